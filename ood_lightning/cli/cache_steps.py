"""What stored features and texts take on disk, and how to bound it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ood_lightning.errors import SettingsError, check_least
from ood_lightning.places import FEATURES, expanded
from ood_lightning.plurals import many

ENCODER = re.compile("[0-9a-f]{16}")  # a fingerprint
ENDINGS = (".safetensors", ".json")  # of files that features are stored in
GB = 1e9


@dataclass(frozen=True)
class Stored:
    """Features of one set, or of one list of words, under one encoder.

    Args:
        encoder: its fingerprint.
        name: of the set with its fingerprint, or of the texts' file.
        files: all of it.
        bytes: that they take.
        written: when the last of them was, in seconds since 1970.
    """

    encoder: str
    name: str
    files: tuple[Path, ...]
    bytes: int
    written: float

    @classmethod
    def of(cls, encoder: str, name: str, paths: Iterator[Path]) -> "Stored":
        """With the sizes and times of the files; what another process removes meanwhile is left out."""
        files, n_bytes, written = [], 0, 0.0
        for path in paths:
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            files.append(path)
            n_bytes, written = n_bytes + status.st_size, max(written, status.st_mtime)
        return cls(encoder, name, tuple(files), n_bytes, written)

    def remove(self) -> None:
        """Remove the files, and the folders that are empty then."""
        for path in self.files:
            path.unlink(missing_ok=True)
        for folder in sorted({path.parent for path in self.files}, key=lambda path: -len(path.parts)):
            for empty in (folder, folder.parent):
                if empty.is_dir() and not any(empty.iterdir()):
                    empty.rmdir()


def stored_in(cache_dir: str) -> list[Stored]:
    """All that lies in a cache, the oldest first."""
    root = expanded(cache_dir)
    if not root.is_dir():
        return []

    entries = []
    for encoder in sorted(path for path in root.iterdir() if ENCODER.fullmatch(path.name) and path.is_dir()):
        for part in sorted(encoder.iterdir()):
            if part.name == "text":
                entries += [Stored.of(encoder.name, f"text/{file.name}", iter([file])) for file in _files(part)]
            elif part.is_dir():
                entries.append(Stored.of(encoder.name, part.name, _files(part)))
    return sorted((entry for entry in entries if entry.files), key=lambda entry: (entry.written, entry.name))


def _files(folder: Path) -> Iterator[Path]:
    """Stored features below a folder; links are not followed."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in ENDINGS and path.is_file() and not path.is_symlink():
            yield path


def list_cache(cache_dir: str = FEATURES) -> int:
    """List what features and texts take on disk.

    Args:
        cache_dir: folder of all features.
    """
    from ood_lightning.report.console import console, table

    entries = stored_in(cache_dir)
    rows = [
        [
            entry.name,
            entry.encoder,
            f"{entry.bytes / 1e6:,.1f}",
            f"{datetime.fromtimestamp(entry.written):%Y-%m-%d %H:%M}",
        ]
        for entry in entries
    ]
    if rows:
        console().print(table(f"{cache_dir}, the oldest first", ("features", "encoder", "MB", "written"), rows))
    print(
        f"{many(len(entries), 'entry', 'entries')}, {sum(entry.bytes for entry in entries) / GB:.2f} GB in {cache_dir}"
    )
    return 0


def clean(max_gb: float, cache_dir: str = FEATURES, dry_run: bool = False) -> int:
    """Remove stored features and texts, the oldest first, until no more than some gigabytes are left.

    Whatever a run needs again is computed again.

    Args:
        max_gb: gigabytes (10^9 bytes) that may stay; 0 removes all.
        cache_dir: folder of all features.
        dry_run: only say what would be removed.
    """
    check_least(0, max_gb=max_gb)
    entries = stored_in(cache_dir)
    if not entries and not expanded(cache_dir).is_dir():
        raise SettingsError(f"cache_dir is {cache_dir!r}, and there is no such folder")

    left, removed = sum(entry.bytes for entry in entries), 0
    for entry in entries:
        if left <= max_gb * GB:
            break
        print(f"{'would remove' if dry_run else 'removed'} {entry.encoder}/{entry.name}: {entry.bytes / 1e6:,.1f} MB")
        if not dry_run:
            entry.remove()
        left, removed = left - entry.bytes, removed + 1

    print(f"{many(removed, 'entry', 'entries')} {'would go' if dry_run else 'removed'}, {left / GB:.2f} GB stay")
    return 0
