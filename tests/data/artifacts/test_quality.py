"""`quality.json` is read as it was written, and what is missing or wrong in it is named."""

from pathlib import Path
from typing import Any

import pytest

from ood_lightning.data.artifacts.quality import FORMAT, read_quality, write_quality
from ood_lightning.errors import SourceError

LABELS: dict[str, Any] = {"method": "ClusterMine", "sha256": "aa", "positives": 3, "names": {"hits": 1}}
CONTENT: dict[str, Any] = {
    "clusters": {"asked": 4, "purity": 0.5},
    "truth": None,
    "label_sets": {
        "labels": LABELS | {"similarity": {"mean": 0.5, "bins": [1, 2]}, "hops": {"mean": None, "bins": []}}
    },
}


def test_measures_survive_the_disk_by_file_and_by_folder(tmp_path: Path):
    write_quality(tmp_path / "quality.json", CONTENT)
    for source in (tmp_path, tmp_path / "quality.json"):
        assert read_quality(source) == {"format": FORMAT, "run": None, **CONTENT}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "x/2"}, "format is 'x/2': input should be 'ood_lightning/quality/1'"),
        ({"clusters": {"purity": "0.5"}}, "clusters.purity is '0.5'"),
        ({"truth": {"nmi": None}}, "truth.nmi is None"),
        ({"heads": {}}, "heads is a key that nothing here knows"),
        ({"label_sets": {"labels": 3}}, "label_sets.labels is 3"),
        ({"label_sets": {"labels": LABELS | {"positives": -1}}}, "label_sets: labels.positives is -1"),
        ({"label_sets": {"labels": {}}}, "label_sets: labels.positives is missing"),
        (
            {"label_sets": {"labels": LABELS | {"hops": {"mean": 1.0, "bins": [1, "2"]}}}},
            "label_sets: labels.hops.bins.1 is '2'",
        ),
    ],
)
def test_what_is_no_measure_is_named_by_file_and_field(tmp_path: Path, change: dict[str, Any], words: str):
    write_quality(tmp_path / "quality.json", CONTENT | change)
    with pytest.raises(SourceError, match=rf"quality\.json.*{words}"):
        read_quality(tmp_path)
