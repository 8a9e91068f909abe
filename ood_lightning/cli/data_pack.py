"""`data pack`: pictures from where they lie to WebDataset shards with a manifest. Needs no torch."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Literal

from ood_lightning.data.cards.cards import card_names, find
from ood_lightning.data.class_names import read_folders
from ood_lightning.data.pack.classes import Order
from ood_lightning.data.pack.sources import listing, without
from ood_lightning.data.pack.whole_set import HowToPack, pack_set
from ood_lightning.data.shards.manifest import Manifest, Orientation, Role
from ood_lightning.errors import SOME_UNREAD, SettingsError, check_least
from ood_lightning.places import expanded, locate
from ood_lightning.plurals import many
from ood_lightning.spelling import is_id, is_number


def pack(
    source: list[str],
    out: str,
    name: str,
    role: Role,
    split: str | None = None,
    root: str | None = None,
    exclude: str | None = None,
    labels: Literal["auto", "none"] = "auto",
    class_order: Order = "auto",
    class_names: str | None = None,
    samples_per_shard: int = 1000,
    workers: int = 2,
    verify: bool = True,
    max_bad_samples: int = 0,
    licence: str = "",
    origin: str = "",
    protocol: str = "",
    orientation: Orientation | Literal["auto"] = "auto",
) -> int:
    """Pack pictures into shards, bytes unchanged. Finished shards are never made again.

    Args:
        source: folder, list file (.txt), .csv, .tsv, .tar, .zip, .parquet, or hf:OWNER/DATASET[@REVISION][/FOLDER].
        out: folder of the shards; new, or of the same set, whose packing then goes on.
        name: of the set, as results call it.
        role: `id`, `covariate` (ID under another style) or `ood`.
        split: of a data set on the Hugging Face hub, or in a folder of .parquet, as the files are named; A+B takes two;
            not needed for one.
        root: folder that the paths of a list start from; the list's own if None.
        exclude: .txt of paths within the source to leave out, one a line; folders end with /.
        labels: `auto`: classes are the list's labels, or the first folders that differ; `none`: no classes.
        class_order: of class folders or names; `auto`: by number if all are whole numbers, else by name.
        class_names: .txt with one name a line, in the order of the classes or as folder<TAB>name; or a packed set.
        samples_per_shard: pictures in a shard.
        workers: processes that read and check pictures.
        verify: decode every picture; false: look at its header only.
        max_bad_samples: pictures that may be left out because they cannot be read; they are listed.
        licence: of the pictures; written into the manifest.
        origin: where they come from; written into the manifest; the source's name if empty.
        protocol: whose rules the set follows; written into the manifest.
        orientation: `exif`: readers set pictures upright as their EXIF says; `ignore`: they take them as they are
            stored, as published evaluations do; `auto`: `exif` for a folder that follows no card's protocol.
    """
    if len(source) != 1:
        raise SettingsError(f"{len(source)} sources given: `data pack` packs one set at a time")
    check_least(1, samples_per_shard=samples_per_shard, workers=workers)
    check_least(0, max_bad_samples=max_bad_samples)
    doubt = _doubt(protocol)

    listed = listing(source[0], root, split)
    entries = listed.entries if exclude is None else without(listed.entries, locate(exclude))
    if not entries:
        raise SettingsError(f"{exclude} excludes all pictures of {source[0]}")

    if listed.origin:
        location = title = listed.origin
    else:
        path = locate(source[0]).resolve()
        of_split = f" split {split}" if split else ""
        location = f"{path}{of_split}"
        title = path.name.encode("utf-8", "replace").decode() + of_split
    if orientation == "auto":
        of_folder = not listed.origin and locate(source[0]).is_dir() and protocol.partition("@")[0] not in card_names()
        orientation = "exif" if of_folder else "ignore"

    lines = read_folders(class_names) if class_names is not None else ()
    manifest, bad = pack_set(
        expanded(out),
        Manifest(name, role, (), (), licence, origin or title, protocol, orientation),
        listed,
        entries,
        location,
        HowToPack(labels, class_order, lines, samples_per_shard, workers, verify, max_bad_samples),
    )
    names = manifest.class_names

    for image in bad:
        print(f"left out: {image.path!r}: {image.reason}")
    if listed.passed_over:
        print("no pictures by name: " + ", ".join(f"{n} {ending}" for ending, n in listed.passed_over.most_common()))
    if listed.unread:
        print("columns not read: " + ", ".join(listed.unread))

    n_excluded = len(listed.entries) - len(entries)
    summary = [
        f"{many(manifest.n_samples, 'picture')} in {many(len(manifest.shards), 'shard')}",
        many(len(names), "class name") if names else "no class names",
        f"{n_excluded:,} excluded" if n_excluded else "",
        f"{len(bad):,} left out" if bad else "",
    ]
    print(f"{name}: {', '.join(filter(None, summary))}: {out}")

    for remark in filter(None, (doubt, _no_names(names))):
        print(remark)
    if listed.fetched:
        print(f"{listed.origin}: {listed.fetched}; no longer needed")
    return SOME_UNREAD if bad else 0


def _no_names(names: Sequence[str]) -> str:
    """A remark on class names that are ids or numbers, which no score by names can take."""
    odd = [class_name for class_name in names if is_id(class_name) or is_number(class_name)]
    if not odd:
        return ""
    return (
        f"no names: {len(odd):,} of {many(len(names), 'class name')} are ids or numbers, such as {odd[0]!r}. Scores "
        f"by names need words: --class_names FILE with lines `{odd[0]}<TAB>name`"
    )


def _doubt(protocol: str) -> str:
    """A remark on a protocol that is nearly the name of a card; for a misspelt one nothing published would be found."""
    name = protocol.partition("@")[0]
    if name in card_names():
        find(protocol)
        return ""

    close = get_close_matches(name, card_names(), n=1, cutoff=0.8)
    return f"worth a look: {protocol!r} is no card of `data list`; did you mean --protocol {close[0]}?" if close else ""
