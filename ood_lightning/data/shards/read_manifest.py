"""The set behind a folder, a `manifest.json`, a brace list of tars, or a remote source.

Tars without a manifest are counted from their headers; a folder of pictures is listed.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ood_lightning.data.artifacts.typed import decode_json, shortened
from ood_lightning.data.plain_names import plain_names
from ood_lightning.data.remote import addresses
from ood_lightning.data.remote import fetch as remote
from ood_lightning.data.shards.counted_once import refuse_copies, refuse_equal, refuse_one_file, refuse_twice
from ood_lightning.data.shards.folders import bare_folder_set, folder_set
from ood_lightning.data.shards.formats import PICTURE_ENDINGS
from ood_lightning.data.shards.manifest import Manifest, ManifestEntries, Role, Shard
from ood_lightning.data.shards.tars import scanned
from ood_lightning.errors import ManifestError, RefusedError, SourceError
from ood_lightning.file_names import name_fault, path_fault
from ood_lightning.places import FOLDER, expand, is_remote, locate
from ood_lightning.progress import bar

COMPRESSED_NAMES = (".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")


def read_manifest(source: str, role: Role = "id", *, whole: bool = True) -> Manifest:
    """The set behind `source`.

    Args:
        source: a folder that holds `manifest.json`, that file itself, tars by a brace list (`train-{000..146}.tar`),
            whose samples are then counted, or a folder of pictures, which `folder:` before it insists on. `builtin:`
            paths are allowed, and remote ones (`data.remote`); of a remote set with a manifest nothing else is
            fetched yet, remote tars without one are fetched to be counted.
        role: of pictures, and of tars without a manifest; a manifest says its own.
        whole: refuse a manifest whose shards are missing or of another size.

    Raises:
        SourceError: nothing lies there, a shard is missing, or a folder holds no pictures.
        ManifestError: the manifest is unreadable, or says other sizes than the shards have.
    """
    if source.startswith(FOLDER):
        return folder_set(source, role)

    if is_remote(source):
        if addresses.file_name(source).lower().endswith(COMPRESSED_NAMES):
            raise SourceError(
                f"{addresses.redacted(source)} is a compressed tar by its name: its members cannot be reached one by "
                f"one. Fetch it, uncompress it, and name the tar"
            )
        return _remote_tars(source, role) if is_counted_by_fetching(source) else _remote_set(source)

    path = locate(source)
    if path.is_dir():
        if not (path / "manifest.json").is_file():
            return bare_folder_set(path, source, role)
        path = path / "manifest.json"

    if path.is_file() and path.suffix[1:].lower() in PICTURE_ENDINGS:
        raise SourceError(f"{path} is a picture: name the folder that it lies in")
    if path.name == "manifest.json":
        return local_set(path, whole)

    paths = [locate(part) for part in expand(source)]
    if paths == [path] and path.suffix.lower() != ".tar" and not path.exists():
        raise SourceError(
            f"there is no set {path}: expected a folder with a manifest.json or pictures, or tars by a brace list"
        )
    if not paths:
        raise SourceError(f"{source!r} names no tar: its range runs backwards")
    return index(paths, role=role)


def is_counted_by_fetching(source: str) -> bool:
    """Whether all tars of a set have to be fetched before anything is known of it: remote ones without a manifest."""
    return is_remote(source) and addresses.file_name(source).lower().endswith(".tar")  # that of a command does


def local_set(path: Path, whole: bool) -> Manifest:
    """The set of a manifest on this machine; `whole`: with shards of the sizes that it states.

    Raises:
        SourceError, ManifestError: see :func:`read_manifest`.
    """
    if not path.exists():
        raise SourceError(f"there is no {path}")
    manifest = replace(_parsed(path.read_bytes(), str(path)), root=path.parent)
    if whole:
        _check_sizes(manifest)
    return manifest


def _remote_set(source: str) -> Manifest:
    """The set of a remote manifest, or of the folder that it lies in; shards are fetched when they are read."""
    if addresses.file_name(source) != "manifest.json":
        source = addresses.below(source, "manifest.json")

    try:
        text = remote.text(source)
    except SourceError as error:
        if source.startswith("http") and not isinstance(error, RefusedError):
            raise
        raise SourceError(
            f"{error} (A set without manifest is named by its tars: .../shard-{{000..009}}.tar)"
        ) from None

    manifest = _parsed(text, addresses.redacted(source))
    return replace(manifest, origins={shard.path: addresses.beside(source, shard.path) for shard in manifest.shards})


def _remote_tars(source: str, role: Role) -> Manifest:
    """The set of remote tars without a manifest; all are fetched, since only their headers say what they hold."""
    sources = expand(source)
    if not sources:
        raise SourceError(f"{addresses.redacted(source)!r} names no tar: its range runs backwards")
    refuse_twice(sources, addresses.redacted(source))

    names = [addresses.file_name(part) for part in sources]
    if len(set(names)) < len(names):  # tars of two folders, or commands that name no tar
        names = [f"{i:06d}-{name}" for i, name in enumerate(names)]

    shards, files = [], []
    with bar(len(sources), f"fetch {names[0]} ...", "shard", delay_s=2) as progress_bar:
        for part, name in zip(sources, names, strict=True):
            path = remote.fetch(part, scanned)
            shards.append(replace(_counted(path, path.parent), path=name))
            files.append(path)
            progress_bar.update()
    refuse_copies(shards, files, addresses.redacted(source))

    folder = "pipe" if source.startswith("pipe:") else addresses.file_name(sources[0].rpartition("/")[0])
    set_name = _stem(Path(addresses.file_name(sources[0]))) or folder or "tars"
    manifest = Manifest(set_name, role, tuple(shards), origins=dict(zip(names, sources, strict=True)))
    _refuse_names(manifest, addresses.redacted(source))
    return manifest


def _stem(path: Path) -> str:
    """What the tars of a set are called, without their numbers; readable where that is no UTF-8."""
    return path.stem.rstrip("-_.0123456789").encode("utf-8", "backslashreplace").decode()


def _parsed(text: str | bytes, where: str) -> Manifest:
    """The manifest that a JSON text states; `where` names it in errors."""
    entries = decode_json(text, ManifestEntries, where, ManifestError)
    _refuse_names(entries, where)

    refuse_twice([shard.path for shard in entries.shards], where)
    refuse_equal([(shard.path, shard.sha256) for shard in entries.shards if shard.sha256], where)

    names = tuple(plain_names(entries.class_names, f"{where}, class_names", ManifestError))
    shards = tuple(Shard(**vars(shard)) for shard in entries.shards)
    return Manifest(**{**vars(entries), "shards": shards, "class_names": names})


def _refuse_names(entries: ManifestEntries, where: str) -> None:
    """Refuse a name or a shard's path that could lead out of the folders of the set and of its features."""
    faults = {"name": (entries.name, name_fault(entries.name))}
    faults |= {f"shards.{i}.path": (shard.path, path_fault(shard.path)) for i, shard in enumerate(entries.shards)}

    for field, (value, fault) in faults.items():
        if fault:
            raise ManifestError(f"{where}: {field} is {shortened(value)}: {fault}")


def _check_sizes(manifest: Manifest) -> None:
    for shard in manifest.shards:
        file = manifest.root / shard.path
        if not file.is_file():
            raise SourceError(
                f"set {manifest.name!r}: shard {file} is missing. Copy it again, or correct "
                f"{manifest.root / 'manifest.json'}."
            )
        if file.stat().st_size != shard.bytes:
            raise ManifestError(
                f"set {manifest.name!r}: {file} has {file.stat().st_size} bytes, the manifest says {shard.bytes}. "
                f"The shard is truncated or was changed: copy it again, or make the manifest anew."
            )
    refuse_one_file([manifest.root / shard.path for shard in manifest.shards], str(manifest.root / "manifest.json"))


def index(paths: Sequence[Path], role: Role = "id") -> Manifest:
    """Manifest of tars that have none, from their headers (about 30 microseconds a sample).

    Args:
        paths: tars in order; names are taken relative to the first one's folder. The set is called as the first one,
            without its number, or as the folder.
        role: of the set.
    """
    missing = [f"{path}{' is no plain file' if path.exists() else ''}" for path in paths if not path.is_file()]
    if missing or not paths:
        more = f" and {len(missing) - 3} more" if missing[3:] else ""
        raise SourceError(f"no such shard: {', '.join(missing[:3])}{more}")

    refuse_one_file([*paths], "the list of tars")
    root = paths[0].parent
    name = _stem(paths[0]) or root.resolve().name
    shards = tuple(_counted(path, root) for path in paths)
    refuse_copies(shards, paths, "the list of tars")
    return Manifest(name, role, shards, root=root)


def _counted(path: Path, root: Path) -> Shard:
    relative = path.relative_to(root) if path.is_relative_to(root) else path.resolve()
    samples, members = scanned(path)
    return Shard(path=str(relative), samples=samples, bytes=path.stat().st_size, members=members)
