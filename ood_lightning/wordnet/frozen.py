"""The files of WordNet 3.0 that come with this package, checked by their SHA-256."""

import hashlib
import lzma
from importlib.resources import files

from ood_lightning.errors import CorpusError


def frozen_text(name: str, sha256: str) -> str:
    """The text of a frozen file.

    Args:
        name: of the file.
        sha256: of the text inside, so that another liblzma does not change it.

    Raises:
        CorpusError: if the file is missing, damaged or changed.
    """
    file = files("ood_lightning") / "corpora" / "frozen" / name
    try:
        text = lzma.decompress(file.read_bytes())
    except (OSError, lzma.LZMAError) as error:
        raise CorpusError(f"cannot read {file}: {error}. Install ood-lightning again.") from error

    if (digest := hashlib.sha256(text).hexdigest()) != sha256:
        raise CorpusError(
            f"{file} has SHA-256 {digest[:12]}..., expected {sha256[:12]}...: it was changed. Install ood-lightning "
            f"again; for words of your own use ood_lightning.corpora.words.WordFile."
        )
    return text.decode()
