"""Keys of images in shards: unique, safe as file names anywhere, and the same whatever the order of work."""

import re
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256

LONGEST = 160  # letters of a key, so that a name stays below the 255 bytes that file systems allow


def keys_of(paths: Sequence[str]) -> list[str]:
    """A key for each path: the path without its ending where that is safe and unique, else a safe one with a hash.

    Safe are letters, digits, `_`, `-` and the `/` between folders. A dot would end the key for webdataset, which also
    passes over folders like `__x__`. Keys differ by more than upper and lower case. A path that comes again gets a
    number.

    Example:
        >>> keys_of(["cat/1.jpg", "cat/1.png", "cat/2.JPEG"])
        ['cat/1-634a07bf9d', 'cat/1-6a3b843cf6', 'cat/2']
    """
    safe_stems = [_safe_stem(path) for path in paths]
    uses = Counter(stem.casefold() for stem in safe_stems)

    keys: dict[str, str] = {}  # by what they are without upper and lower case
    for path, stem in zip(paths, safe_stems, strict=True):
        key = stem
        if stem != stem_of(path) or uses[stem.casefold()] > 1:
            key += f"-{sha256(path.encode('utf-8', 'surrogateescape')).hexdigest()[:10]}"

        unnumbered, n = key, 1
        while key.casefold() in keys:
            n += 1
            key = f"{unnumbered}-{n}"
        keys[key.casefold()] = key
    return list(keys.values())


def stem_of(path: str) -> str:
    """The path without its ending; a name whose only dot comes first has no ending."""
    folder, slash, name = path.rpartition("/")
    return folder + slash + (name.rpartition(".")[0] or name)


def _safe_stem(path: str) -> str:
    stem = "/".join(re.sub(r"[^A-Za-z0-9_-]", "-", part) or "-" for part in stem_of(path).split("/"))
    return re.sub(r"^__", "u__", stem)[:LONGEST].rstrip("/")
