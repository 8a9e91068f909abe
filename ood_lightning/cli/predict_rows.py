"""Where the rows of a `predict` go: to a file that a later process goes on with, to standard output, or nowhere."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from ood_lightning.cli.predict_summary import Summary
from ood_lightning.data.rows.formats import as_bytes, header, json_line
from ood_lightning.data.rows.growing_file import GrowingFile, growing_file
from ood_lightning.detector_folder.detector import Result
from ood_lightning.detector_folder.images import Item, path_of

KINDS: dict[str, type] = {
    "path": str,
    "score": float,
    "p_value": float,
    "accepted": bool,
    "concepts": list,
    "nearest_negative": str,
    "error": str,
}
assert list(KINDS) == [field.name for field in fields(Result)]


class Rows:
    """Rows that are kept nowhere."""

    def begin(self, todo: Iterator[Item], fingerprints: Sequence[str]) -> Summary:
        """What is known of the images that were done before; takes these from `todo`.

        Args:
            todo: all images, in order.
            fingerprints: of the sets that they come from.
        """
        return Summary()

    def append(self, results: Sequence[Result], summary: Summary) -> None:
        """Write the rows of a batch, which the summary has seen."""

    def finish(self) -> None:
        """All rows are there."""


class OutputRows(Rows):
    """Rows as JSON lines on standard output, in ASCII, so that no name acts on a terminal."""

    def append(self, results: Sequence[Result], summary: Summary) -> None:
        """Write the rows of a batch at once."""
        sys.stdout.write("".join(json_line(asdict(result), ascii_only=True) for result in results))
        sys.stdout.flush()


class FileRows(Rows):
    """Rows in a file, whose form its name says.

    Args:
        file: perhaps begun before.
    """

    def __init__(self, file: GrowingFile) -> None:
        self.file = file
        self.ending = file.path.suffix.lower()

    def begin(self, todo: Iterator[Item], fingerprints: Sequence[str]) -> Summary:
        """See :class:`Rows`.

        Raises:
            SettingsError: the rows that are there are of other images.
        """
        n_done = self.file.journal.images
        for fingerprint in fingerprints:
            self.file.count(fingerprint)
        for item in islice(todo, n_done):
            self.file.count(str(path_of(item)))
        if n_done:
            self.file.check_images()
            return Summary.of_plain(self.file.journal.state)
        return Summary()

    def append(self, results: Sequence[Result], summary: Summary) -> None:
        """See :class:`Rows`."""
        for result in results:
            self.file.count(str(result.path))
        begin = b"" if self.file.journal.bytes else header(self.ending, list(KINDS))
        rows = as_bytes(self.ending, [asdict(result) for result in results])
        self.file.append(begin + rows, len(results), summary.plain())

    def finish(self) -> None:
        """See :class:`Rows`."""
        if not self.file.journal.bytes:
            self.file.append(header(self.ending, list(KINDS)), 0, {})
        self.file.finish(partial(_to_parquet, self.file.path) if self.ending == ".parquet" else None)


def _to_parquet(path: Path, lines: BinaryIO) -> None:
    from ood_lightning.data.rows.parquet import write_parquet

    write_parquet(path, lines, KINDS)


@contextmanager
def rows_to(target: Path | None, to_output: bool, run: str) -> Iterator[Rows]:
    """Where rows go.

    Args:
        target: a file; None: none.
        to_output: they go to standard output.
        run: hash of all that decides what the rows are.
    """
    if target is not None:
        with growing_file(target, run) as file:
            yield FileRows(file)
        return

    yield OutputRows() if to_output else Rows()
