"""A folder of pictures as a set: read where it lies, without a copy, as virtual shards of its files. Needs no torch.

The files are sorted by their relative paths and cut into parts of 256, each of which is a shard to whoever plans, reads
and stores. An example, of 300 photographs in two folders:

    photos/autumn/001.jpg ... 260.jpg
    photos/winter/001.jpg ...  40.jpg

    pictures-000000    autumn/001.jpg ... autumn/256.jpg
    pictures-000001    autumn/257.jpg ... winter/040.jpg

What a shard holds is known by a hash of its files' names, sizes and times of change: a file that was added, removed,
renamed or written again makes another set of it, whose features are computed anew. Bytes that were changed while size
and time stayed are not noticed; reading all of them first would take as long as decoding them.
"""

import hashlib
from collections import Counter
from pathlib import Path

from ood_lightning.data.shards.folder_files import FolderFiles, packed_file, picture_names
from ood_lightning.data.shards.manifest import Manifest, Role, Shard
from ood_lightning.errors import SourceError
from ood_lightning.file_names import safe_name
from ood_lightning.places import FOLDER, locate
from ood_lightning.plurals import listed
from ood_lightning.progress import bar

PER_SHARD = 256  # pictures: the work is dealt out, stored and resumed in parts of that size


def folder_set(source: str, role: Role = "id") -> Manifest:
    """All pictures below a folder as a set, called as the folder; they are set upright as their EXIF says.

    Takes about 15 microseconds of the processor a file, keeps 45 bytes of it, and holds 160 while it lists.

    Args:
        source: the folder, with or without `folder:`.
        role: of the set.

    Raises:
        SourceError: there is no such folder, it may not be read, or it holds no pictures.
    """
    folder = locate(source)
    if not folder.is_dir():
        raise SourceError(f"{folder} is no folder" if folder.exists() else f"there is no folder {folder}")

    passed_over = Counter[str]()
    rows: list[bytes] = []
    sizes: list[int] = []
    with bar(None, f"list {folder.name}", "img", delay_s=2) as progress_bar:  # a network may take minutes
        for name in sorted(picture_names(folder, passed_over)):
            progress_bar.update()
            if file := packed_file(str(folder), name):
                rows.append(file[0])
                sizes.append(file[1])
            else:
                passed_over["no plain file"] += 1

    if not rows:
        raise SourceError(_without_pictures(folder, passed_over))
    starts = range(0, len(rows), PER_SHARD)
    shards = [_shard(i, folder, rows[at : at + PER_SHARD], sizes[at : at + PER_SHARD]) for i, at in enumerate(starts)]
    name = safe_name(folder.resolve().name, "pictures")
    return Manifest(name, role, tuple(shards), orientation="exif", root=folder, passed_over=passed_over)


def _shard(number: int, folder: Path, rows: list[bytes], sizes: list[int]) -> Shard:
    files = FolderFiles(folder, b"".join(rows))
    members = hashlib.sha256(files.packed).hexdigest()
    return Shard(f"pictures-{number:06d}", len(rows), sum(sizes), members=members, files=files)


def bare_folder_set(folder: Path, source: str, role: Role) -> Manifest:
    """The set of a folder that has no manifest: of its pictures, if it holds any and no tars.

    Args:
        folder: that `source` names.
        source: as it was given.
        role: of the set.

    Raises:
        SourceError: it holds tars or an unfinished set, or no pictures.
    """
    refuse_tars(folder, source)
    return folder_set(source, role)


def refuse_tars(folder: Path, source: str) -> None:
    """Refuse a folder without a manifest whose tars would be passed over.

    Args:
        folder: that `source` names.
        source: as it was given.

    Raises:
        SourceError: it holds tars or an unfinished set.
    """
    if (folder / ".pack").is_dir():
        raise SourceError(
            f"{folder} holds no manifest.json: its making has not ended. Give the same command again, which goes on, "
            f"and mend what it names"
        )
    if not any(folder.glob("*.tar")):
        return

    by_tars = f"name its tars, e.g. {source}/shard-{{000..009}}.tar"
    if next(picture_names(folder, Counter()), None) is None:
        raise SourceError(f"{folder} holds no manifest.json: {by_tars}")
    raise SourceError(
        f"{folder} holds tars and pictures, and no manifest.json that says which are meant: {by_tars}, or the "
        f"pictures by {FOLDER}{source}"
    )


def _without_pictures(folder: Path, passed_over: Counter[str]) -> str:
    """What to do with a folder that holds no pictures."""
    others = f", only {listed(passed_over)}" if passed_over else ""
    from ood_lightning.data.shards.decode import endings  # brings Pillow, which only the refusal needs

    return (
        f"{folder} holds no manifest.json, no tars and no pictures{others}: name a folder with pictures in it or its "
        f"subfolders ({', '.join(endings())}), or with the shards of a set"
    )
