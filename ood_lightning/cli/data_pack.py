"""`data pack`: pictures from where they lie to WebDataset shards with a manifest. Needs no torch."""

from __future__ import annotations

from typing import Literal

from ood_lightning.data.pack.classes import Order
from ood_lightning.data.shards.manifest import Role


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
        max_bad_samples: pictures that may be left out because they cannot be decoded; they are listed.
        licence: of the pictures; written into the manifest.
        origin: where they come from; written into the manifest; the source's name if empty.
        protocol: whose rules the set follows; written into the manifest.
    """
    import hashlib
    from pathlib import Path

    from ood_lightning.cli.checks import check_least
    from ood_lightning.data.class_names import read_folders
    from ood_lightning.data.pack.classes import class_folders, numbered
    from ood_lightning.data.pack.packing import pack as make
    from ood_lightning.data.pack.sources import listing, recipes, without
    from ood_lightning.data.shards.manifest import Manifest
    from ood_lightning.errors import SettingsError
    from ood_lightning.places import locate
    from ood_lightning.plurals import many

    if len(source) != 1:
        raise SettingsError(f"{len(source)} sources given: `data pack` packs one set at a time")
    check_least(1, samples_per_shard=samples_per_shard, workers=workers)
    check_least(0, max_bad_samples=max_bad_samples)
    doubt = _doubt(protocol)
    found = listing(source[0], root, split)
    entries = found.entries
    if exclude is not None:
        entries = without(entries, locate(exclude))
    if not entries:
        raise SettingsError(f"{exclude} excludes all pictures of {source[0]}")
    classes: list[int | str | None] = [None] * len(entries)
    if labels == "auto":
        of_folders = class_folders([entry.path for entry in entries]) if found.foldered else []
        classes = [*of_folders] if found.foldered else [entry.label for entry in entries]
    lines = read_folders(class_names) if class_names is not None else []
    given = [name for _, name in lines] or found.class_names * (labels == "auto")
    numbers, names = numbered(classes, given, class_order, [folder for folder, _ in lines if folder is not None])
    own = locate(source[0]).resolve() if not found.origin else Path()
    of_split = f" split {split}" if split else ""
    where = found.origin or f"{own}{of_split}"
    called = found.origin or own.name.encode("utf-8", "replace").decode() + of_split
    about = Manifest(name, role, (), names, licence, origin or called, protocol)
    notes = {"passed_over": dict(sorted(found.passed_over.items())), **found.notes}
    manifest, bad = make(
        Path(out),
        about,
        hashlib.sha256(where.encode("utf-8", "surrogateescape")).hexdigest()[:16],
        recipes(entries, numbers, samples_per_shard, verify),
        workers,
        max_bad_samples,
        notes,
    )
    for left in bad:
        print(f"left out: {left.path!r}: {left.reason}")
    if found.passed_over:
        print("no pictures by name: " + ", ".join(f"{n} {ending}" for ending, n in found.passed_over.most_common()))
    if found.unread:
        print("columns not read: " + ", ".join(found.unread))
    excluded = len(found.entries) - len(entries)
    print(
        f"{name}: {many(manifest.n_samples, 'picture')} in {many(len(manifest.shards), 'shard')}, "
        + (many(len(names), "class name") if names else "no class names")
        + (f", {excluded:,} excluded" if excluded else "")
        + (f", {len(bad):,} left out" if bad else "")
        + f": {out}"
    )
    if doubt:
        print(doubt)
    if found.fetched:
        print(f"{found.origin}: {found.fetched}; no longer needed")
    return 0


def _doubt(protocol: str) -> str:
    """Whether a protocol looks like a misspelt card: then nothing published would be found for the set."""
    from difflib import get_close_matches

    from ood_lightning.data.cards.cards import card_names, find

    name = protocol.partition("@")[0]
    if name in card_names():
        find(protocol)
        return ""
    near = get_close_matches(name, card_names(), n=1, cutoff=0.8)
    return f"worth a look: {protocol!r} is no card of `data list`; did you mean --protocol {near[0]}?" if near else ""
