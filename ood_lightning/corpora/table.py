"""Words from a column of a CSV or TSV file."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ood_lightning.corpora.words import Corpus, Words, kept
from ood_lightning.errors import CorpusError
from ood_lightning.places import expanded
from ood_lightning.text_files import read_text


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
        cells = [cell for (cell,) in read_columns(self.path, [self.column], self.delimiter)]
        words = kept(cells, f"table {self.path}", "cell", lower=self.lower)
        return Words(expanded(self.path).stem, words, source=f"{self.path}, column {self.column!r}")


def read_columns(source: str, columns: Sequence[str], delimiter: str | None = None) -> list[list[str]]:
    """The cells of some columns, row by row, runs of blanks made one; empty lines give empty cells.

    Raises:
        CorpusError: see :meth:`TableColumn.load`.
    """
    path = expanded(source)
    if delimiter is None:
        delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    if len(delimiter) != 1:
        raise CorpusError(f"table {path}: delimiter {delimiter!r}: expected one character")

    reader = csv.reader(
        io.StringIO(read_text(path, "table", CorpusError), newline=""), delimiter=delimiter, strict=True
    )
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
            rows.append([" ".join(row[i].split()) for i in indices] if row else [""] * len(indices))
    except csv.Error as error:
        raise CorpusError(f"table {path}, line {reader.line_num}: {error}") from error

    return rows


def _index(path: Path, header: Sequence[str], column: str) -> int:
    if header.count(column) != 1:
        n_columns = f"{header.count(column)} columns" if column in header else "no column"
        names = ", ".join(map(repr, header)) or "none"
        raise CorpusError(f"table {path} has {n_columns} {column!r}; its header names {names}")
    return header.index(column)
