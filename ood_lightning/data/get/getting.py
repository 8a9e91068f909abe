"""From a plan to shards: fetch, uncompress, pack; what is done already is not done again."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ood_lightning.data.artifacts.files import sole_writer
from ood_lightning.data.cards.fetching import NameSource
from ood_lightning.data.get.fetching import fetched
from ood_lightning.data.get.listed import fetched_pictures, names_in
from ood_lightning.data.get.members import pictures_of
from ood_lightning.data.get.plan import Plan
from ood_lightning.data.get.provenance import record_of
from ood_lightning.data.get.space import check_room
from ood_lightning.data.get.uncompressing import uncompressed
from ood_lightning.data.pack.classes import class_folders, in_order
from ood_lightning.data.pack.listings import Entry, Listing
from ood_lightning.data.pack.tar_writer import SkippedImage
from ood_lightning.data.pack.whole_set import HowToPack, check_place, pack_set
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.errors import SourceError

Names = list[tuple[str, str]]  # folder and name of each class, in order


def get_set(
    plan: Plan, imagenet_names: Callable[[], Names], workers: int, max_bad_samples: int
) -> tuple[Manifest, list[SkippedImage]]:
    """Fetch and pack a set.

    Args:
        plan: for it.
        imagenet_names: synset and CLIP's name of ImageNet's classes; only called where the set's names are these.
        workers: processes that read and check pictures.
        max_bad_samples: pictures that may be left out because they cannot be had or read.

    Returns:
        The packed set, and what was left out.

    Raises:
        SettingsError: a disk has no room, the set's folder holds something else, or another process writes into `raw`.
        SourceError: nothing gives the file, or it is another one than the card's.
    """
    check_place(plan.out, plan.out.name, _location(plan))
    check_room(plan.room(), plan.reference)

    with sole_writer(plan.raw):
        provenance = fetched(plan.archive, plan.raw, still_needed=plan.n_copies)
        if plan.archive.picture_addresses:
            listing, archive = (
                fetched_pictures(names_in(plan.target), plan.archive.picture_addresses, plan.pictures),
                None,
            )
        else:
            archive, listing = _opened(plan)
        listing.notes = {"fetched": {"file": plan.archive.file, **vars(provenance)}}

        manifest, bad = _pack(plan, listing, imagenet_names, workers, max_bad_samples)
        if archive is not None and archive != plan.target:
            archive.unlink(missing_ok=True)
    return manifest, bad


def _opened(plan: Plan) -> tuple[Path, Listing]:
    """The fetched archive without its compression, and what it holds of the set."""
    try:
        archive = uncompressed(plan.target)
        return archive, pictures_of(archive, plan.fetch)
    except SourceError as error:
        if plan.archive.digest[0]:  # then these are the bytes that were stated
            raise
        both = f"{plan.target} and {record_of(plan.target)}"
        raise SourceError(f"{str(error).removesuffix('.')}. To have it fetched anew, remove {both}") from None


def _location(plan: Plan) -> str:
    return f"data get {plan.reference}"


def _pack(
    plan: Plan, listing: Listing, imagenet_names: Callable[[], Names], workers: int, max_bad_samples: int
) -> tuple[Manifest, list[SkippedImage]]:
    card, fetch = plan.card, plan.fetch
    names: Sequence[tuple[str | None, str]] = ()
    if fetch.labels == "auto":
        names = class_names(fetch.names, listing.entries, imagenet_names)

    unpacked = Manifest(
        name=plan.out.name,
        role=card.role,
        shards=(),
        licence=card.licence,
        source=card.source,
        protocol=plan.reference,
        orientation="ignore",  # published numbers were made so
    )
    how = HowToPack(fetch.labels, fetch.class_order, names, workers=workers, max_bad_samples=max_bad_samples)
    return pack_set(plan.out, unpacked, listing, listing.entries, _location(plan), how)


def class_names(
    source: NameSource, entries: Sequence[Entry], imagenet_names: Callable[[], Names]
) -> Sequence[tuple[str | None, str]]:
    """Names of the classes in order, each with its folder where that is what orders them; empty: folders' own.

    Raises:
        SourceError: a folder is none of ImageNet's synsets.
    """
    if source == "folders":
        return ()
    if source == "imagenet":
        return [(None, name) for _, name in imagenet_names()]

    folders = in_order([folder for folder in class_folders([e.path for e in entries]) if folder is not None], "auto")
    if source == "numbered folders":
        return [(folder, folder.partition(".")[2].replace("_", " ") or folder) for folder in folders]

    known = dict(imagenet_names())
    if unknown := [folder for folder in folders if folder not in known]:
        raise SourceError(f"the folder {unknown[0]!r} is none of ImageNet's synsets ({len(unknown)} of {len(folders)})")
    return [(folder, known[folder]) for folder in folders]
