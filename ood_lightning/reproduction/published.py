"""What the papers print: `published.csv`, numbers in percent with the FPR95 rule behind them. Needs no torch."""

from functools import cache
from importlib import resources
from typing import NamedTuple

from ood_lightning.data.artifacts.sheets import csv_rows
from ood_lightning.errors import SettingsError

FILE = "reproduction/published.csv"
COLUMNS = ("paper", "table", "row", "variant", "id_set", "ood_set", "measure", "value", "convention")


class Place(NamedTuple):
    """Where a number is printed.

    Attributes:
        paper: `clustermine` or `negrefine`.
        table: its number, or `main`, `ablation` and others.
        row: the method.
        variant: which of several rows of that name; empty where there is one.
        id_set: the ID set's name; empty for measures of words.
        ood_set: the OOD set's name, `mean`, or `mean GROUP`; empty for measures of words.
        measure: `auroc`, `fpr95`, `overlap`, `f1` and others.
    """

    paper: str
    table: str
    row: str
    variant: str
    id_set: str
    ood_set: str
    measure: str


class Published(NamedTuple):
    """A printed number.

    Attributes:
        value: as printed; shares in percent.
        convention: the rule of an FPR95, of `functional.conventions`; empty for other measures.
    """

    value: float
    convention: str


@cache
def published() -> dict[Place, Published]:
    """All printed numbers by their places.

    Raises:
        SettingsError: the file has no number where one belongs, or two for one place.
    """
    text = resources.files("ood_lightning").joinpath(FILE).read_text(encoding="utf-8")
    numbers: dict[Place, Published] = {}

    for line, row in enumerate(csv_rows(text), 2):
        if tuple(row) != COLUMNS:
            raise SettingsError(f"{FILE} has the columns {', '.join(map(str, row))}: expected {', '.join(COLUMNS)}")
        printed_at = Place(*(row[column] for column in Place._fields))
        try:
            number = Published(float(row["value"]), row["convention"])
        except ValueError:
            raise SettingsError(f"{FILE}, line {line}: {row['value']!r} is no number") from None
        if printed_at in numbers:
            raise SettingsError(
                f"{FILE}, line {line}: there is another number for {', '.join(filter(None, printed_at))}"
            )
        numbers[printed_at] = number
    return numbers
