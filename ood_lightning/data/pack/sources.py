"""Any source of pictures to recipes of shards: what kind it is, what is left out of it, which class is which number."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ood_lightning.data.pack.archives import tar_listing, zip_listing
from ood_lightning.data.pack.hub_splits import SPLITS, Groups, chosen, grouped
from ood_lightning.data.pack.keys import keys_of, shows
from ood_lightning.data.pack.listings import Entry, Listing, Place, folder, list_file, table
from ood_lightning.data.pack.packing import Bad, Sample
from ood_lightning.data.shards.decode import suffix_of
from ood_lightning.errors import SourceError
from ood_lightning.places import locate
from ood_lightning.plurals import many

KINDS = (
    "a folder of pictures or of .parquet files; a list file .txt with lines `path label`; a .csv or .tsv with a column "
    "path; a .tar; a .zip; a .parquet; hf:OWNER/DATASET"
)


def listing(source: str, root: str | None = None, split: str | None = None) -> Listing:
    """What `source` holds.

    Args:
        source: see :data:`KINDS`.
        root: folder that the paths of a list, .csv or .tsv start from; if None that file's own folder.
        split: of a data set on the hub or in a folder of Parquet files; several with `+`; None: the only one.

    Raises:
        SourceError: there is no such source, it is of no known kind, or it holds no pictures.
    """
    if source.startswith("hf:"):
        if root is not None:
            raise SourceError(f"root is {root!r}: it goes with a list file, .csv or .tsv, and {source} is none")
        from ood_lightning.data.pack.hub import hub_listing  # its client takes its time

        return hub_listing(source, split)
    path = locate(source)
    if not path.exists():
        raise SourceError(f"there is no file or folder {path}")
    kind = path.suffix.lower()
    if root is not None and (path.is_dir() or kind not in (".txt", ".csv", ".tsv")):
        raise SourceError(f"root is {root!r}: it goes with a list file, .csv or .tsv, and {path} is none")
    tables = [] if split is None or not path.is_dir() else _tables(path)
    if split is not None and not tables:
        raise SourceError(
            f"split is {split!r}: it goes with hf: and with folders of .parquet files, and {path} is none"
        )
    found = _of_kind(path, kind, locate(root) if root is not None else path.parent, split)
    if not found.entries:
        others = ", ".join(f"{n} {ending}" for ending, n in found.passed_over.most_common())
        raise SourceError(f"{path} holds no pictures" + (f", only {others}" if others else ""))
    return found


def _tables(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*.parquet") if file.is_file())


def _of_splits(tables: Sequence[Path], path: Path, split: str | None) -> list[Path]:
    """The files that are meant; of names that speak of several splits one has to be chosen, as on the hub."""
    groups: Groups[Path] = grouped(tables, lambda file: file.relative_to(path).as_posix())
    splits = {name for _, name in groups}
    if split is None and (len(splits) == 1 or not splits & SPLITS):
        return list(tables)
    return sorted(chosen(groups, split, str(path), lambda file: file.stat().st_size))


def _of_kind(path: Path, kind: str, root: Path, split: str | None) -> Listing:
    if path.is_dir():
        found = Listing([]) if split is not None else folder(path)
        if found.entries:
            return found
        if any(path.glob("*.arrow")):
            raise SourceError(f"{path} holds Arrow files of the `datasets` library: export them with `to_parquet`")
        tables = _tables(path)
        return _parquet(_of_splits(tables, path, split)) if tables else found
    if kind == ".txt":
        return list_file(path, root)
    if kind in (".csv", ".tsv"):
        return table(path, root)
    if kind in (".tar", ".tgz", ".gz", ".xz", ".bz2", ".zst"):
        return tar_listing(path)
    if kind == ".zip":
        return zip_listing(path)
    if kind == ".parquet":
        return _parquet([path])
    raise SourceError(f"{path} is no source of pictures: expected {KINDS}")


def _parquet(files: Sequence[Path]) -> Listing:
    from ood_lightning.data.pack.parquet import parquet_listing  # pyarrow takes its time

    return parquet_listing(files)


def without(entries: Sequence[Entry], listed: Path) -> list[Entry]:
    """Entries that a file does not exclude: a path a line, a folder with `/` at its end.

    Raises:
        SourceError: the file cannot be read, or a line excludes nothing, so it is misspelt.
    """
    try:
        text = listed.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        lines = [line for line in text.split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"list of exclusions {listed} cannot be read: {error}") from None
    wanted, unused, kept = set(lines), set(lines), []
    for entry in entries:
        parts = entry.path.split("/")
        hit = {entry.path, *("/".join(parts[:i]) + "/" for i in range(1, len(parts)))} & wanted
        unused -= hit
        if not hit:
            kept.append(entry)
    if unused:
        raise SourceError(
            f"{listed} excludes {min(unused)!r} ({many(len(unused), 'such line')}), which the source does not hold: "
            f"expected its paths, such as {entries[0].path!r}, or folders ending with /"
        )
    return kept


@dataclass(frozen=True, slots=True)
class Item:
    """One picture on its way: where it lies, and what it is called afterwards."""

    path: str
    place: Place
    stamp: str
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
        rows = [(i.path, repr(i.place), i.stamp, i.key, i.label) for i in self.items]
        return hashlib.sha256(json.dumps([self.verify, rows]).encode()).hexdigest()[:32]

    def __len__(self) -> int:
        return len(self.items)

    def samples(self) -> Iterator[Sample | Bad]:
        """Each picture, or why it is left out."""
        for item in self.items:
            try:
                data = item.place.read()
                suffix = suffix_of(data, pixels=self.verify)
            except OSError as error:
                yield Bad(item.path, error.strerror or str(error))
            except ValueError as error:
                yield Bad(item.path, str(error))
            else:
                about = None if shows(item.key, item.path) else {"path": item.path}
                yield Sample(item.key, suffix, data, item.label, about)


def recipes(
    entries: Sequence[Entry], labels: Sequence[int], samples_per_shard: int, verify: bool = True
) -> list[Originals]:
    """Recipes of shards of that many pictures, in order."""
    keys = keys_of([entry.path for entry in entries])
    items = [
        Item(entry.path, entry.place, entry.stamp, key, label)
        for entry, key, label in zip(entries, keys, labels, strict=True)
    ]
    starts = range(0, len(items), samples_per_shard)
    return [Originals(tuple(items[i : i + samples_per_shard]), verify) for i in starts]
