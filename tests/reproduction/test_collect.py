"""One table over several people's results; what cannot be compared is refused."""

from pathlib import Path
from typing import Any

import pytest

from ood_lightning.data.artifacts.files import atomic_write
from ood_lightning.errors import SettingsError, SourceError
from ood_lightning.metrics.results import Estimate
from ood_lightning.reproduction.collect import collected
from ood_lightning.reproduction.entry import Entry
from ood_lightning.reproduction.record import Record, write
from ood_lightning.reproduction.tables import sheet


def result(name: str, value: float = 94.0, **change: Any) -> Path:
    """A person's result of one number."""
    fields: dict[str, Any] = {
        "item": "clustermine:table1",
        "kind": "full",
        "item_hash": "abc",
        "conventions": ["ours"],
        "supervision": {},
        "encoders": {"ViT-H-14": "1"},
        "sets": {"ninco": "2"},
        "versions": {"torch": "2.15.0"},
        "devices": ["cpu"],
        "steps": {},
        "not_run": {},
    }

    folder = Path(name)
    atomic_write(
        folder / "result.csv", sheet([Entry(0, "MCM", "NINCO", "auroc", Estimate(value, 93.0, 95.0), printed=94.5)])
    )
    write(folder, Record(**{**fields, **change}), [], Path("steps"))
    return folder


def test_a_line_for_each_number_and_a_column_for_each_person():
    text, table = collected([result("ann"), result("bob", 93.5, devices=["H100"], sets={"ninco": "3"})])
    assert "| MCM | NINCO | AUROC | 94.5 | 94.00 [93.00, 95.00] | 93.50 [93.00, 95.00] |" in text.splitlines()
    assert "Differs: devices (ann: cpu; bob: H100)." in text
    assert "Differs: set ninco." in text
    assert table.decode().splitlines()[1] == "0,MCM,NINCO,auroc,94.5,94.0,93.5"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"item": "clustermine:table2"}, "ann has item clustermine:table1, bob has clustermine:table2"),
        ({"kind": "twin"}, "bob has twin: a twin on built-in drawings is no result"),
        ({"item_hash": "abd"}, "they may follow other protocols"),
        ({"conventions": ["openood"]}, "their FPR95 follow other rules"),
        ({"sets": {"ninco": "2", "sun": "4"}}, "ann and bob were scored on other sets: sun"),
    ],
)
def test_refusals(change: dict[str, Any], words: str):
    with pytest.raises(SettingsError) as error:
        collected([result("ann"), result("bob", **change)])
    assert words in str(error.value)


def test_a_folder_without_a_record_is_named():
    with pytest.raises(SourceError, match=r"there is no eve/record.json"):
        collected([result("ann"), Path("eve")])
