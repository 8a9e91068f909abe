"""Samples to shards with a manifest: the same bytes for any number of processes and restarts, no half of anything.

A shard is written under a temporary name in `.pack/`, then renamed, then described there. What lies under its final
name and is described is finished, and made again only if what it is made of has changed.
"""

import io
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple, Protocol

from ood_lightning.data.artifacts.files import atomic_write, write_json
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.data.shards.processes import Tick, parallel_map
from ood_lightning.errors import SettingsError, ShardContentError, SourceError, UserError
from ood_lightning.hashes import sha256_of
from ood_lightning.plurals import many
from ood_lightning.progress import bar

ABOUT = "pack.json"
FORMAT = "ood_lightning/pack/1"
STATE = ".pack"


class Sample(NamedTuple):
    """What goes into a shard: key, ending, encoded picture, class (-1: none), and what `.json` says of it."""

    key: str
    suffix: str
    data: bytes
    label: int = -1
    about: Mapping[str, Any] | None = None


class Bad(NamedTuple):
    """A picture that was left out, and why."""

    path: str
    reason: str


class Recipe(Protocol):
    """What one shard is made of; plain data, so that another process can make it."""

    @property
    def fingerprint(self) -> str:
        """Another one means that the shard's bytes may differ."""

    def __len__(self) -> int:
        """Samples and bad ones together."""

    def samples(self) -> Iterator[Sample | Bad]:
        """All of them in order."""


@dataclass(frozen=True)
class Made:
    """One finished shard as `.pack/` describes it."""

    fingerprint: str
    shard: Shard
    bad: tuple[Bad, ...]


def pack(
    folder: Path,
    about: Manifest,
    origin: str,
    recipes: Sequence[Recipe],
    workers: int,
    max_bad_samples: int,
    notes: Mapping[str, Any],
) -> tuple[Manifest, list[Bad]]:
    """Make the shards that are missing, then `pack.json` and the manifest.

    Args:
        folder: new, or of an earlier call for the same set, which then goes on.
        about: the set, without shards.
        origin: what it is made from; another origin is refused in the same folder.
        recipes: one for each shard.
        workers: processes.
        max_bad_samples: pictures that may be left out; more, and there is no manifest.
        notes: kept in `pack.json`.

    Returns:
        The manifest, and what was left out.

    Raises:
        SettingsError: the folder holds something else or cannot be written, or the name makes no file name.
        ShardContentError: more pictures cannot be decoded than may be left out.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", about.name) or len(about.name) > 100:
        raise SettingsError(f"name is {about.name!r}: expected letters, digits, and . _ - after the first")
    with _writing(folder):
        _claim(folder, about.name, origin)
        names = [f"{about.name}-{i:06d}.tar" for i in range(len(recipes))]
        made = {name: _finished(folder, name, recipe) for name, recipe in zip(names, recipes, strict=True)}
        todo = [(name, recipe) for name, recipe in zip(names, recipes, strict=True) if made[name] is None]
        if todo:
            (folder / "manifest.json").unlink(missing_ok=True)  # it would describe other bytes for a while
        with bar(sum(map(len, recipes)), f"pack {about.name}", "img") as progress_bar:
            progress_bar.initial = sum(len(r) for r in recipes) - sum(len(r) for _, r in todo)
            progress_bar.update(progress_bar.initial)
            for new in parallel_map(partial(_make, folder), todo, workers, progress_bar):
                made[new.shard.path] = new
        done = [m for m in made.values() if m is not None]
        bad = [b for m in done for b in m.bad]
        if len(bad) > max_bad_samples:
            _refuse(folder, about.name, bad, max_bad_samples)
        shards = tuple(m.shard for m in done if m.shard.samples)
        if not shards:
            raise SourceError(f"set {about.name!r}: the source holds no pictures that can be decoded")
        manifest = replace(about, shards=shards, root=folder)
        _finish(folder, manifest, origin, bad, notes)
        return manifest, bad


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Pictures that cannot be read are named as such where they are read; this is about what is written."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise SettingsError(f"{folder} cannot be written: {error}. The same command goes on from there.") from error


def _claim(folder: Path, name: str, origin: str) -> None:
    """Take an empty folder, or go on in one's own."""
    own = {"format": FORMAT, "name": name, "origin": origin}
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder} is a file: name a new folder")
    try:
        found = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if folder.is_dir() and any(path.name[: len(ABOUT) + 2] != f".{ABOUT}." for path in folder.iterdir()):
            raise SettingsError(f"{folder} is not empty, and was not made by this command: name a new folder") from None
        write_json(folder / ABOUT, own, escaped=True)
        found = own
    except (OSError, ValueError) as error:
        raise SettingsError(f"{folder / ABOUT} cannot be read ({error}): name a new folder") from None
    if {key: found.get(key) for key in own} != own:
        raise SettingsError(
            f"{folder} holds the set {found.get('name')!r} from another source or with other choices: name a new "
            f"folder, or remove this one"
        )
    (folder / STATE).mkdir(exist_ok=True)
    # of a run that was killed
    for left in (*(folder / STATE).glob(".*"), *folder.glob(f".{ABOUT}.*"), *folder.glob(".manifest.json.*")):
        left.unlink(missing_ok=True)


def _finished(folder: Path, name: str, recipe: Recipe) -> Made | None:
    try:
        entry = json.loads((folder / STATE / f"{name}.json").read_text(encoding="utf-8"))
        shard = Shard(**entry["shard"])
        made = Made(entry["fingerprint"], shard, tuple(Bad(*b) for b in entry["bad"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    tar = folder / name
    whole = not shard.samples or (tar.is_file() and tar.stat().st_size == shard.bytes)
    return made if whole and made.fingerprint == recipe.fingerprint else None


def _make(folder: Path, task: tuple[str, Recipe], on_progress: Tick) -> Made:
    name, recipe = task
    final, temporary = folder / name, folder / STATE / f".{name}.{token_hex(4)}"
    bad: list[Bad] = []
    n = 0
    try:
        with temporary.open("wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for sample in recipe.samples():
                    if isinstance(sample, Bad):
                        bad.append(sample)
                    else:
                        _add(tar, sample)
                        n += 1
                    on_progress(1)
            file.flush()
            os.fsync(file.fileno())
        shard = Shard(name, n, temporary.stat().st_size, sha256_of(temporary))
        entry = {"fingerprint": recipe.fingerprint, "shard": _described(shard), "bad": bad}
        described = folder / STATE / f"{name}.json"
        described.unlink(missing_ok=True)  # an old one does not fit the new bytes
        if n:
            temporary.rename(final)
        write_json(described, entry, escaped=True)
    finally:
        temporary.unlink(missing_ok=True)
    return Made(recipe.fingerprint, shard, tuple(bad))


def _add(tar: tarfile.TarFile, sample: Sample) -> None:
    """The members of a sample side by side, with no time, owner or rights of their own."""
    members = [(sample.suffix, sample.data)]
    if sample.label != -1:
        members.insert(0, ("cls", str(sample.label).encode()))
    if sample.about is not None:
        members.append(("json", json.dumps(sample.about, sort_keys=True).encode()))  # ASCII: any file name fits
    for ending, data in members:
        member = tarfile.TarInfo(f"{sample.key}.{ending}")
        member.size, member.mode = len(data), 0o644
        tar.addfile(member, io.BytesIO(data))


def _refuse(folder: Path, name: str, bad: Sequence[Bad], allowed: int) -> None:
    listed = folder / STATE / "bad.txt"
    atomic_write(listed, "".join(f"{b.path!r}: {b.reason}\n" for b in bad).encode())
    first = "".join(f"\n  {b.path!r}: {b.reason}" for b in bad[:5])
    raise ShardContentError(
        f"set {name!r}: {many(len(bad), 'picture')} cannot be stored, {allowed} allowed by max_bad_samples:{first}\n"
        f"All stand in {listed}. Repair or exclude them, or allow that many to be left out; the same command then goes "
        f"on with the shards concerned."
    )


def _finish(folder: Path, manifest: Manifest, origin: str, bad: Sequence[Bad], notes: Mapping[str, Any]) -> None:
    wanted = {shard.path for shard in manifest.shards}
    mine = re.compile(re.escape(manifest.name) + r"-\d{6,}\.tar")
    for tar in folder.glob("*.tar"):  # of an earlier, longer list
        if mine.fullmatch(tar.name) and tar.name not in wanted:
            tar.unlink()
    left_out = [{"path": b.path, "reason": b.reason} for b in bad]
    own = {"format": FORMAT, "name": manifest.name, "origin": origin}
    write_json(folder / ABOUT, {**own, **notes, "left_out": left_out}, escaped=True)
    manifest.write(folder)
    (folder / STATE / "bad.txt").unlink(missing_ok=True)


def _described(shard: Shard) -> dict[str, Any]:
    return {"path": shard.path, "samples": shard.samples, "bytes": shard.bytes, "sha256": shard.sha256}
