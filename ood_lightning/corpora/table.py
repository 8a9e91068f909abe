"""Words from a column of a CSV or TSV file."""

import csv
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ood_lightning.corpora.words import Corpus, Words, distinct
from ood_lightning.errors import CorpusError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TableColumn(Corpus):
    """One column of a table with a header, in UTF-8; cells may be quoted.

    Blanks at the ends are cut and runs of blanks become one; empty cells and duplicates are left out and counted in the
    log. The order of the rows is kept.

    Args:
        path: of the file; ``~`` is the home folder.
        column: its name in the header.
        delimiter: one character; a tab for .tsv and .tab, a comma otherwise, if None.
        lower: lower-case the words, as :class:`ood_lightning.corpora.words.WordFile` does.
    """

    path: str
    column: str
    delimiter: str | None = None
    lower: bool = True

    def load(self) -> Words:
        """Read the column.

        Raises:
            CorpusError: if the file is missing, is not UTF-8 (names the line), has no such column (names those that
                exist), a row of another length (names the line), or no words.
        """
        rows = read_columns(self.path, [self.column], self.delimiter)
        words = kept(self.path, [cells[0] for cells in rows], self.lower)
        return Words(Path(self.path).stem, words, source=f"{self.path}, column {self.column!r}")


def kept(path: str, cells: Sequence[str], lower: bool) -> tuple[str, ...]:
    """The distinct words among cells, what was left out counted in the log.

    Raises:
        CorpusError: if there are none.
    """
    tidied = [" ".join(cell.split()) for cell in cells]
    filled = [word.lower() if lower else word for word in tidied if word]
    if not filled:
        raise CorpusError(f"table {path} holds no words in the wanted column and rows")

    words = distinct(filled)
    n_empty, n_twice = len(cells) - len(filled), len(filled) - len(words)
    log.info("%s: %d words; left out %d empty cells and %d duplicates", path, len(words), n_empty, n_twice)
    return words


def read_columns(source: str, columns: Sequence[str], delimiter: str | None = None) -> list[list[str]]:
    """The cells of some columns, row by row; empty lines give empty cells.

    Raises:
        CorpusError: see :meth:`TableColumn.load`.
    """
    path = Path(source).expanduser()
    if delimiter is None:
        delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    if len(delimiter) != 1:
        raise CorpusError(f"table {path}: delimiter {delimiter!r}: expected one character")

    reader = csv.reader(io.StringIO(_text(path), newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        indices = [_index(path, header, column) for column in columns]

        rows = []
        for row in reader:
            if row and len(row) != len(header):
                raise CorpusError(
                    f"table {path}, line {reader.line_num}: {len(row)} cells, the header has {len(header)}. Quote "
                    f"cells that hold {delimiter!r}, or name the right delimiter."
                )
            rows.append([row[i] for i in indices] if row else [""] * len(indices))
    except csv.Error as error:
        raise CorpusError(f"table {path}, line {reader.line_num}: {error}") from error

    return rows


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise CorpusError(f"table {path} does not exist (looked from {Path.cwd()}). Give its path.") from None
    except OSError as error:
        raise CorpusError(f"table {path} cannot be read: {error.strerror}. Give a readable file.") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"table {path}, line {line}: byte 0x{error.object[error.start]:02x} is no UTF-8. Save the file as UTF-8 "
            f"(`iconv -f latin1 -t utf-8` for a Latin-1 one)."
        ) from None


def _index(path: Path, header: Sequence[str], column: str) -> int:
    if header.count(column) != 1:
        n_columns = f"{header.count(column)} columns" if column in header else "no column"
        names = ", ".join(map(repr, header)) or "none"
        raise CorpusError(f"table {path} has {n_columns} {column!r}; its header names {names}")
    return header.index(column)
