"""Any source of images to recipes of shards: what kind it is, what is left out of it, which keys its images get."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ood_lightning.data.pack.archives import tar_listing, zip_listing
from ood_lightning.data.pack.folder import folder_listing
from ood_lightning.data.pack.hub_splits import SPLITS, Groups, chosen, grouped
from ood_lightning.data.pack.keys import keys_of, stem_of
from ood_lightning.data.pack.list_files import list_file, table
from ood_lightning.data.pack.listings import Entry, Listing
from ood_lightning.data.pack.tar_writer import PackedImage, SkippedImage
from ood_lightning.data.shards.decode import suffix_of
from ood_lightning.data.shards.formats import is_fork
from ood_lightning.errors import SourceError
from ood_lightning.places import locate
from ood_lightning.plurals import many
from ood_lightning.text_files import lines_of, read_text

KINDS = (
    "a folder of pictures or of .parquet files; a list file .txt with lines `path label`; a .csv or .tsv with a column "
    "path; a .tar; a .zip; a .parquet; hf:OWNER/DATASET"
)
LISTS = (".txt", ".csv", ".tsv")


def listing(source: str, root: str | None = None, split: str | None = None) -> Listing:
    """What `source` holds.

    Args:
        source: see :data:`KINDS`.
        root: folder that the paths of a list, .csv or .tsv start from; if None that file's own folder.
        split: of a data set on the hub or in a folder of Parquet files; several with `+`; None: the only one.

    Raises:
        SourceError: there is no such source, it is of no known kind, or it holds no pictures.
    """
    is_on_hub = source.startswith("hf:")
    path = Path(source) if is_on_hub else locate(source)
    if not is_on_hub and not path.exists():
        raise SourceError(f"there is no file or folder {path}")
    if root is not None and (is_on_hub or path.is_dir() or path.suffix.lower() not in LISTS):
        raise SourceError(f"root is {root!r}: it goes with a list file, .csv or .tsv, and {source} is none")

    if is_on_hub:
        from ood_lightning.data.pack.hub import hub_listing  # its client takes its time

        return hub_listing(source, split)

    if path.is_dir():
        content = _read_folder(path, split)
    elif split is not None:
        raise _not_of_splits(path, split)
    else:
        content = _read_file(path, locate(root) if root is not None else path.parent)

    if not content.entries:
        others = ", ".join(f"{n} {ending}" for ending, n in content.passed_over.most_common())
        raise SourceError(f"{path} holds no pictures" + (f", only {others}" if others else ""))
    return content


def _not_of_splits(path: Path, split: str) -> SourceError:
    return SourceError(f"split is {split!r}: it goes with hf: and with folders of .parquet files, and {path} is none")


def _read_folder(path: Path, split: str | None) -> Listing:
    """Pictures of a folder, or those of the Parquet files in it: where it holds no pictures, or a split is chosen."""
    content = Listing([]) if split is not None else folder_listing(path)
    if content.entries:
        return content
    if any(path.glob("*.arrow")):
        raise SourceError(f"{path} holds Arrow files of the `datasets` library: export them with `to_parquet`")

    files = (file for file in path.rglob("*") if file.suffix.lower() == ".parquet" and not is_fork(file.name))
    if tables := sorted(file for file in files if file.is_file()):
        return _read_parquet(_of_splits(tables, path, split))
    if split is not None:
        raise _not_of_splits(path, split)
    return content


def _of_splits(tables: Sequence[Path], path: Path, split: str | None) -> list[Path]:
    """The files that are meant; of names that speak of several splits one has to be chosen, as on the hub."""
    groups: Groups[Path] = grouped(tables, lambda file: file.relative_to(path).as_posix())
    splits = {name for _, name in groups}
    if split is None and (len(splits) == 1 or not splits & SPLITS):
        return list(tables)
    return sorted(chosen(groups, split, str(path), lambda file: file.stat().st_size))


def _read_file(path: Path, root: Path) -> Listing:
    match path.suffix.lower():
        case ".txt":
            return list_file(path, root)
        case ".csv" | ".tsv":
            return table(path, root)
        case ".tar" | ".tgz" | ".gz" | ".xz" | ".bz2" | ".zst":
            return tar_listing(path)
        case ".zip":
            return zip_listing(path)
        case ".parquet":
            return _read_parquet([path])
    raise SourceError(f"{path} is no source of pictures: expected {KINDS}")


def _read_parquet(files: Sequence[Path]) -> Listing:
    from ood_lightning.data.pack.parquet import parquet_listing  # pyarrow takes its time

    return parquet_listing(files)


def without(entries: Sequence[Entry], exclusions: Path) -> list[Entry]:
    """Entries that a file does not exclude: a path a line, a folder with `/` at its end.

    Raises:
        SourceError: the file cannot be read, or a line excludes nothing, so it is misspelt.
    """
    lines = {line for line in lines_of(read_text(exclusions, "list of exclusions", SourceError)) if line.strip()}

    kept = []
    unused = set(lines)
    for entry in entries:
        folders = {entry.path[: i + 1] for i, letter in enumerate(entry.path) if letter == "/"}
        excluding = lines & {entry.path, *folders}
        unused -= excluding
        if not excluding:
            kept.append(entry)

    if unused:
        raise SourceError(
            f"{exclusions} excludes {min(unused)!r} ({many(len(unused), 'such line')}), which the source does not "
            f"hold: expected its paths, such as {entries[0].path!r}, or folders ending with /"
        )
    return kept


class Item(NamedTuple):
    """One image on its way into a shard: its entry in the source, and the key and class number that it gets."""

    entry: Entry
    key: str
    label: int


@dataclass(frozen=True)
class Originals:
    """Recipe of a shard of pictures as they are, byte for byte.

    Args:
        items: in order.
        verify: decode all of each; otherwise its header only.
    """

    items: tuple[Item, ...]
    verify: bool

    @property
    def fingerprint(self) -> str:
        """Hash of names, classes, sizes and times."""
        rows = [(e.path, repr(e.location), e.stamp, key, label) for e, key, label in self.items]
        return hashlib.sha256(json.dumps([self.verify, rows]).encode()).hexdigest()[:32]

    def __len__(self) -> int:
        return len(self.items)

    def images(self) -> Iterator[PackedImage | SkippedImage]:
        """Each image, or why it is left out."""
        for entry, key, label in self.items:
            try:
                data = entry.location.read()
                suffix = suffix_of(data, pixels=self.verify)
            except (OSError, ValueError) as error:
                yield SkippedImage(entry.path, getattr(error, "strerror", None) or str(error))
            else:
                metadata = None if key == stem_of(entry.path) else {"path": entry.path}
                yield PackedImage(key, suffix, data, label, metadata)


def recipes(
    entries: Sequence[Entry], labels: Sequence[int], samples_per_shard: int, verify: bool = True
) -> list[Originals]:
    """Recipes of shards of that many images, in order.

    Args:
        entries: of the source.
        labels: class number of each; -1: none.
        samples_per_shard: the last shard may hold fewer.
        verify: see :class:`Originals`.
    """
    keys = keys_of([entry.path for entry in entries])
    items = [Item(*parts) for parts in zip(entries, keys, labels, strict=True)]
    starts = range(0, len(items), samples_per_shard)
    return [Originals(tuple(items[i : i + samples_per_shard]), verify) for i in starts]
