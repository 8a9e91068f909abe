"""Images to tar shards with a manifest: the same bytes for any number of processes and restarts, no half of anything.

Five pictures in two class folders, three to a shard:

    birds/auk/1.jpg   birds/auk/2.jpg   birds/auk/3.png   birds/kea/1.jpg   birds/kea/2 b.jpg

    python -m ood_lightning data pack birds --out shards/birds --name birds --role id --samples_per_shard 3

become two shards, in which the members of an image lie side by side under one key, as webdataset wants it. A `.json`
holds the path of an image where its key does not show it:

    shards/birds/
      birds-000000.tar             auk/1.cls  auk/1.jpg  auk/2.cls  auk/2.jpg  auk/3.cls  auk/3.png
      birds-000001.tar             kea/1.cls  kea/1.jpg  kea/2-b-6d8973c698.cls  kea/2-b-6d8973c698.jpg
                                   kea/2-b-6d8973c698.json
      manifest.json                name, role and class names of the set; number of images, bytes and SHA-256 of a shard
      pack.json                    what the set was made from; pictures that were left out, and why
      .pack/birds-000000.tar.json  fingerprint of what the shard was made from, its row of the manifest, what it lacks
      .pack/birds-000001.tar.json

Each shard goes through three steps: it is written under a temporary name in `.pack/`, it gets its final name, it is
described in `.pack/`. After a kill, a shard that has its name and a description with the right fingerprint is finished,
and any other is made anew. The manifest comes last, so a folder that has one holds all its shards.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

from ood_lightning.data.artifacts.files import atomic_write, write_json
from ood_lightning.data.pack.tar_writer import Recipe, SkippedImage, write_tar
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.processes import parallel_map
from ood_lightning.errors import SettingsError, ShardContentError, SourceError, UserError
from ood_lightning.hashes import sha256_of
from ood_lightning.plurals import many
from ood_lightning.progress import bar

NOTES = "pack.json"
FORMAT = "ood_lightning/pack/1"
STATE = ".pack"


class FinishedShard(NamedTuple):
    """A shard that has its final name, as its description in `.pack/` says.

    Attributes:
        shard: its row of the manifest; without images there is no tar.
        skipped: images of the recipe that are not in it.
    """

    shard: Shard
    skipped: tuple[SkippedImage, ...]


def pack(
    folder: Path,
    manifest: Manifest,
    origin: str,
    recipes: Sequence[Recipe],
    workers: int,
    max_bad_samples: int,
    notes: Mapping[str, Any],
) -> tuple[Manifest, list[SkippedImage]]:
    """Make the shards that are missing, then `pack.json` and the manifest.

    Args:
        folder: new, or of an earlier call for the same set, which then goes on.
        manifest: the set, without shards.
        origin: what it is made from; another origin is refused in the same folder.
        recipes: one for each shard.
        workers: processes.
        max_bad_samples: pictures that may be left out; more, and there is no manifest.
        notes: kept in `pack.json`.

    Returns:
        The manifest with its shards, and what was left out.

    Raises:
        SettingsError: the folder holds something else or cannot be written, or the name makes no file name.
        ShardContentError: more pictures cannot be read than may be left out.
        SourceError: no picture can be decoded.
    """
    name = manifest.name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or len(name) > 100:
        raise SettingsError(f"name is {name!r}: expected letters, digits, and . _ - after the first")

    try:
        claim = {"format": FORMAT, "name": name, "origin": origin}
        _claim(folder, claim)
        finished = _make_missing_shards(folder, name, recipes, workers)

        skipped = [image for shard in finished for image in shard.skipped]
        if len(skipped) > max_bad_samples:
            _refuse(folder, name, skipped, max_bad_samples)
        shards = tuple(made.shard for made in finished if made.shard.samples)
        if not shards:
            raise SourceError(f"set {name!r}: the source holds no pictures that can be read")

        packed = replace(manifest, shards=shards, root=folder)
        _remove_surplus_shards(folder, packed)
        content = {**claim, **notes, "left_out": [image._asdict() for image in skipped]}
        write_json(folder / NOTES, content, escaped=True)
        packed.write(folder)  # last: it says that all the rest is there
        (folder / STATE / "bad.txt").unlink(missing_ok=True)
    except UserError:
        raise
    except OSError as error:  # from writing: a picture that cannot be read is a `SkippedImage`
        raise SettingsError(f"{folder} cannot be written: {error}. The same command goes on from there.") from error
    return packed, skipped


def check_claim(folder: Path, name: str, origin: str) -> bool:
    """Whether an earlier call for the same set took a folder; it may also be new. Nothing is written.

    Args:
        folder: of the set.
        name: of the set.
        origin: see :func:`pack`.

    Raises:
        SettingsError: the folder holds something else.
    """
    claim = {"format": FORMAT, "name": name, "origin": origin}
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder} is a file: name a new folder")

    try:
        notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
    except FileNotFoundError:
        # a call that was killed in its first moment leaves a temporary file of these notes
        if folder.is_dir() and not all(path.name.startswith(f".{NOTES}.") for path in folder.iterdir()):
            raise SettingsError(f"{folder} is not empty, and was not made by this command: name a new folder") from None
        return False
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{folder / NOTES} cannot be read ({error}): name a new folder") from None

    held = notes if isinstance(notes, dict) else {}
    if {key: held.get(key) for key in claim} != claim:
        raise SettingsError(
            f"{folder} holds the set {held.get('name')!r} from another source or with other choices: name a new "
            f"folder, or remove this one"
        )
    return True


def _claim(folder: Path, claim: Mapping[str, str]) -> None:
    """Take an empty folder, or go on in one that an earlier call with the same claim took."""
    if not check_claim(folder, claim["name"], claim["origin"]):
        write_json(folder / NOTES, claim, escaped=True)

    (folder / STATE).mkdir(exist_ok=True)
    for pattern in (f"{STATE}/.*", f".{NOTES}.*", ".manifest.json.*"):  # temporary files of killed calls
        for temporary in folder.glob(pattern):
            temporary.unlink(missing_ok=True)


def _make_missing_shards(folder: Path, name: str, recipes: Sequence[Recipe], workers: int) -> list[FinishedShard]:
    """All shards of the set in order; those that an earlier call finished are only looked at."""
    by_name = {f"{name}-{i:06d}.tar": recipe for i, recipe in enumerate(recipes)}
    finished = {tar: made for tar, recipe in by_name.items() if (made := _finished_earlier(folder, tar, recipe))}
    missing = [(tar, recipe) for tar, recipe in by_name.items() if tar not in finished]
    if missing:
        (folder / "manifest.json").unlink(missing_ok=True)  # it would describe other bytes for a while

    n_images = sum(len(recipe) for recipe in recipes)
    with bar(n_images, f"pack {name}", "img") as progress_bar:
        progress_bar.initial = n_images - sum(len(recipe) for _, recipe in missing)  # no part of the speed
        progress_bar.update(progress_bar.initial)
        made_now = parallel_map(partial(_make_shard, folder), missing, workers, progress_bar)

    finished |= {made.shard.path: made for made in made_now}
    return [finished[tar] for tar in by_name]


def _finished_earlier(folder: Path, name: str, recipe: Recipe) -> FinishedShard | None:
    """The shard of that name, if it is whole and was made by this recipe."""
    try:
        description = json.loads((folder / STATE / f"{name}.json").read_text(encoding="utf-8"))
        shard = Shard(**description["shard"])
        made = FinishedShard(shard, tuple(SkippedImage(*row) for row in description["bad"]))
        is_current = description["fingerprint"] == recipe.fingerprint
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None

    tar = folder / name
    is_whole = not shard.samples or (tar.is_file() and tar.stat().st_size == shard.bytes)
    return made if is_whole and is_current else None


def _make_shard(folder: Path, task: tuple[str, Recipe], on_progress: Callable[[int], None]) -> FinishedShard:
    """Write a shard, name it, describe it; in this order, see above."""
    name, recipe = task
    temporary = folder / STATE / f".{name}.{token_hex(4)}"
    description = folder / STATE / f"{name}.json"

    try:
        skipped = write_tar(temporary, recipe, on_progress)
        n_images = len(recipe) - len(skipped)
        shard = Shard(name, n_images, temporary.stat().st_size, sha256_of(temporary))

        description.unlink(missing_ok=True)  # an older one does not fit the new bytes
        if n_images:
            temporary.rename(folder / name)
        row = {"path": name, "samples": n_images, "bytes": shard.bytes, "sha256": shard.sha256}
        write_json(description, {"fingerprint": recipe.fingerprint, "shard": row, "bad": skipped}, escaped=True)
    finally:
        temporary.unlink(missing_ok=True)
    return FinishedShard(shard, tuple(skipped))


def _refuse(folder: Path, name: str, skipped: Sequence[SkippedImage], allowed: int) -> None:
    """Write the whole list of what cannot be stored, and raise an error with its start."""
    lines = [f"{image.path!r}: {image.reason}" for image in skipped]
    full_list = folder / STATE / "bad.txt"
    atomic_write(full_list, "".join(f"{line}\n" for line in lines).encode())

    start = "".join(f"\n  {line}" for line in lines[:5])
    raise ShardContentError(
        f"set {name!r}: {many(len(skipped), 'picture')} cannot be stored, {allowed} allowed by max_bad_samples:{start}"
        f"\nAll stand in {full_list}. Repair or exclude them, or allow that many to be left out; the same command then "
        f"goes on with the shards concerned."
    )


def _remove_surplus_shards(folder: Path, manifest: Manifest) -> None:
    """Remove tars of this set that an earlier call made from a longer list, or whose pictures are all left out now."""
    kept = {shard.path for shard in manifest.shards}
    name_of_a_shard = re.compile(re.escape(manifest.name) + r"-\d{6,}\.tar")
    for tar in folder.glob("*.tar"):
        if name_of_a_shard.fullmatch(tar.name) and tar.name not in kept:
            tar.unlink()
