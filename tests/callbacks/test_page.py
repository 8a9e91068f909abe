"""A `test` leaves its page and its reasons, also where pictures can no longer be read."""

import shutil
from pathlib import Path

import pytest
import yaml

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.scores import StoredScores
from ood_lightning.reasons.stored import read_reasons

pytestmark = pytest.mark.slow  # a whole `test`


@pytest.fixture
def with_page(eval_yaml: Path) -> Path:
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["trainer"]["callbacks"].append({"class_path": "ood_lightning.callbacks.page.ReportPage"})
    detector = {"class_path": "ood_lightning.detectors.label_mass.LabelMass", "init_args": {"labels": "neglabel"}}
    settings["model"]["init_args"]["detectors"]["Mass"] = detector
    eval_yaml.write_text(yaml.safe_dump(settings, sort_keys=False))
    return eval_yaml


def test_the_reasons_are_those_of_the_first_detector_of_equation_1(with_page: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["test", "--config", str(with_page)]) == 0
    assert "to look at: run/eval/report.html" in capsys.readouterr().out
    assert "<title>Report of eval</title>" in Path("run/eval/report.html").read_text()

    reasons = read_reasons(Path("run/eval"))
    assert (reasons.detector, reasons.is_equation, reasons.id_set) == ("Mass", True, "id_test")
    stored = StoredScores(Path("run/eval/scores.parquet")).column("Mass")
    assert reasons.pictures
    for picture in reasons.pictures:
        assert picture.log_odds == pytest.approx(picture.score, abs=1e-2)  # stored ones are of float32 products
        assert picture.score in stored[picture.set].tolist()
        assert reasons.thumbnails[picture.thumbnail]
    assert {word.label for word in reasons.words} == {"red", "green"}
    assert any(word.thumbnails for word in reasons.words)


def test_where_pictures_are_gone_the_page_says_so_and_goes_on(with_page: Path, sets: Path):
    shutil.copytree(sets, "copied")
    with_page.write_text(with_page.read_text().replace(str(sets), str(Path("copied").resolve())))
    assert main(["test", "--config", str(with_page)]) == 0

    shutil.rmtree("run/eval")
    for shard in Path("copied").rglob("*.tar"):  # features are kept elsewhere
        shard.write_bytes(bytes(shard.stat().st_size))
    assert main(["test", "--config", str(with_page)]) == 0

    reasons = read_reasons(Path("run/eval"))
    assert not reasons.thumbnails
    assert {picture.thumbnail for picture in reasons.pictures} == {""}
    page = Path("run/eval/report.html").read_text()
    assert "pictures cannot be shown: " in page


def test_before_the_results_there_is_nothing_to_show(with_page: Path, capsys: pytest.CaptureFixture[str]):
    settings = yaml.safe_load(with_page.read_text())
    settings["trainer"]["callbacks"].reverse()
    with_page.write_text(yaml.safe_dump(settings, sort_keys=False))
    assert main(["test", "--config", str(with_page)]) == 2
    assert "list it behind callbacks.results.ResultsWriter" in capsys.readouterr().err
