"""Files and words of a calibration."""

import json
import math
from pathlib import Path

import pytest
import torch

from ood_lightning.calibration.calibration import Calibration
from ood_lightning.errors import CalibrationError


def calibration(n: int = 100, tpr: float = 0.95, **fields: object) -> Calibration:
    """Scores 0 to n - 1."""
    made = {"tpr": tpr, "n_images": n, "source": "my_photos", **fields}
    return Calibration(tuple(map(float, range(n))), **made)  # type: ignore[arg-type]


def test_decisions_are_those_of_the_p_values():
    made = calibration(60)
    scores = torch.linspace(-3, 63, 133)
    assert made.threshold == 2.0
    assert torch.equal(made.accepted(scores), made.p_values(scores) > 0.0500001)
    assert made.accepted(torch.tensor([1.999, 2.0])).tolist() == [False, True]
    with pytest.raises(CalibrationError, match="1 of 1 scores are NaN"):
        made.accepted(torch.tensor([math.nan]))


def test_both_promises_are_stated():
    lines = calibration(60, n_images=75, remarks=("a remark",)).statements()
    assert lines == [
        "Calibrated on 60 images from my_photos, one of each group of near-duplicates (15 others left out).",
        "An image is accepted if its score is 2 or more, that is, if its p-value is above 5 %. A tie counts in the "
        "image's favour, so ties accept more.",
        "On average over calibration sets: at least 95 % of new images like these are accepted (95.0 % where no scores "
        "tie).",
        "For this very detector: with 95 % confidence at least 89.8 % of new images like these are accepted; with 95 % "
        "confidence the true rate lies between 88.4 % and 99.0 %, where no scores tie.",
        "To accept 95 % with 95 % confidence for this very detector, accept scores from 0 on.",
        "a remark",
    ]


def test_too_few_for_confidence():
    lines = calibration(30).statements()
    assert lines[1].startswith("An image is accepted if its score is 0 or more")
    assert lines[-1] == (
        "No threshold accepts 95 % with 95 % confidence for this very detector: the most that 30 images can promise so "
        "is 90.4 %, where scores from 0 on are accepted. 59 images are needed, no two of them near-duplicates."
    )


def test_too_few_for_anything():
    made = calibration(10)
    assert made.threshold == -math.inf
    assert made.accepted(torch.tensor([-1e30, -math.inf])).all()
    assert made.statements()[1:] == [
        "Every image is accepted, whatever it scores: there is no threshold. For one at 95 %, calibrate on 9 more "
        "images (19 in all, no two near-duplicates), or with a tpr of 0.909 or less.",
        "On average over calibration sets: 10 images are too few to promise 95 %; the most is 90.9 %. 19 images are "
        "needed, no two of them near-duplicates.",
        "No threshold accepts 95 % with 95 % confidence for this very detector: the most that 10 images can promise so "
        "is 74.1 %, where scores from 0 on are accepted. 59 images are needed, no two of them near-duplicates.",
    ]


def test_the_tpr_that_is_proposed_has_a_threshold():
    for n in (1, 2, 10, 18):
        line = calibration(n).statements()[1]
        assert calibration(n, tpr=float(line.split("with a tpr of ")[1].split()[0])).threshold > -math.inf
    assert "calibrate on 1 more image (19 in all" in calibration(18).statements()[1]
    assert "1 image is too few" in calibration(1).statements()[2]


def test_all_of_them_is_promised_by_no_number():
    lines = calibration(1000, tpr=1.0).statements()
    assert lines[1].endswith("No number of images gives one for 100 %: calibrate with a tpr of 0.999 or less.")
    assert all("No number of images promises 100 %." in line for line in lines[2:])


def test_no_name_reaches_the_terminal_as_it_is():
    lines = calibration(source="a\x1b[2J\nb", remarks=("c\x1b[2J",)).statements()
    assert all(line.isprintable() for line in lines)


def test_a_file_holds_all_of_it(tmp_path: Path):
    draw = torch.Generator().manual_seed(0)
    scores = torch.randn(20, generator=draw, dtype=torch.float64).sort().values.tolist()
    made = Calibration(tuple(scores), tpr=0.9, n_images=31, source="\u00fc a", remarks=("x", "y"))
    made.write(tmp_path / "calibration.json")
    assert Calibration.read(tmp_path / "calibration.json") == made

    first = (tmp_path / "calibration.json").read_bytes()
    made.write(tmp_path / "calibration.json")
    assert (tmp_path / "calibration.json").read_bytes() == first


def test_a_file_name_that_is_no_utf_8_is_spelt_out(tmp_path: Path):
    calibration(source="caf\udce9").write(tmp_path / "calibration.json")
    assert Calibration.read(tmp_path / "calibration.json").source == "caf\\udce9"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": []}, "there are no calibration scores"),
        ({"scores": [2.0, 1.0]}, "not in ascending order"),
        ({"scores": [1.0, "2"]}, r"scores\.1 is '2'"),
        ({"tpr": 95}, r"0\.95, not 95"),
        ({"tpr": 0.0}, r"tpr is 0\.0, expected a fraction"),
        ({"n_images": 1}, "n_images is 1, expected at least the 2"),
        ({"threshold": 1.0}, "threshold is a key that nothing here knows"),
        ({"format": "ood_lightning/calibration/2"}, "format is 'ood_lightning/calibration/2'"),
    ],
)
def test_a_wrong_file_is_refused_by_field(tmp_path: Path, changes: dict[str, object], message: str):
    path = tmp_path / "calibration.json"
    Calibration((1.0, 2.0), n_images=2, source="s").write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(CalibrationError, match=message) as refused:
        Calibration.read(path)
    assert str(refused.value).startswith(str(path))


def test_a_missing_file_and_infinite_scores_are_refused(tmp_path: Path):
    with pytest.raises(CalibrationError, match="cannot be read: No such file"):
        Calibration.read(tmp_path / "calibration.json")
    with pytest.raises(CalibrationError, match="NaN or infinity"):
        Calibration((-math.inf, 2.0), n_images=2, source="s")
