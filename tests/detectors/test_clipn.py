"""CLIPN's detector against loops, and whole runs with and without a checkpoint."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from bare_evidence import evidence_of, ready
from random_features import random_unit
from shard_files import COLOURS, encoded
from torch import Tensor
from torch.nn.functional import normalize

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.data.shards.decode import decode
from ood_lightning.detectors.clipn import CLIPN
from ood_lightning.detectors.evidence import Evidence, LabelFeatures
from ood_lightning.encoders.base import Encoder
from ood_lightning.encoders.clipn import NoTexts
from ood_lightning.encoders.openclip import OpenClip

SCALE = 14.3


YES, NO, IMAGES = random_unit(4, 8, seed=1), random_unit(4, 8, seed=2), random_unit(9, 8, seed=3)


def evidence(no: Tensor = NO) -> Evidence:
    def positives_under(make: Callable[[Encoder], Encoder]) -> Tensor:
        made = make(OpenClip("local-dir:none"))
        assert isinstance(made, NoTexts)
        assert made.checkpoint == Path("clipn.pt")
        return no

    labels = LabelFeatures(YES, random_unit(2, 8, seed=4), SCALE)
    return evidence_of({"names": ready(labels, positives_under=positives_under)})


def probability(image: Tensor, score: str) -> float:
    """The paper's probability of an ID image, one name at a time."""
    yes, no = ([SCALE * float(image.double() @ z.double()) for z in side] for side in (YES, NO))
    q = [math.exp(a) / (math.exp(a) + math.exp(b)) for a, b in zip(yes, no, strict=True)]
    if score == "ctw":
        return q[yes.index(max(yes))]
    return sum(math.exp(a) * share for a, share in zip(yes, q, strict=True)) / sum(math.exp(a) for a in yes)


@pytest.fixture
def checkpoint(clipn_tensors: dict[str, Tensor], tmp_path: Path) -> Path:
    """A tiny checkpoint of the published layout, as parallel training leaves it."""
    saved = {"epoch": 10, "state_dict": {f"module.{key}": value for key, value in clipn_tensors.items()}}
    torch.save(saved, tmp_path / "clipn.pt")
    return tmp_path / "clipn.pt"


@pytest.fixture
def with_clipn(eval_yaml: Path) -> Callable[..., list[str]]:
    """Writer of a `test` command with both scores; returns its arguments."""

    def write(checkpoint: str, *more: str) -> list[str]:
        settings = yaml.safe_load(eval_yaml.read_text())
        path = "ood_lightning.detectors.clipn.CLIPN"
        settings["model"]["init_args"]["detectors"] |= {
            f"CLIPN {score.upper()}": {"class_path": path, "init_args": {"score": score, "checkpoint": checkpoint}}
            for score in ("atd", "ctw")
        }
        eval_yaml.write_text(yaml.safe_dump(settings, sort_keys=False))
        return ["test", "--config", str(eval_yaml), *more]

    return write


@pytest.mark.parametrize("score", ["atd", "ctw"])
def test_scores_are_the_log_odds_of_loops_one_can_check_by_hand(score: Any):
    Path("clipn.pt").touch()
    scores = CLIPN(checkpoint="clipn.pt", score=score).bind(evidence())(IMAGES)
    expected = [probability(image, score) for image in IMAGES]
    log_odds = torch.tensor([math.log(p) - math.log1p(-p) for p in expected], dtype=torch.float64)
    torch.testing.assert_close(scores, log_odds, rtol=1e-5, atol=1e-5)
    assert scores.sigmoid().tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("score", ["atd", "ctw"])
def test_no_texts_that_are_the_yes_texts_decide_nothing(score: Any):
    Path("clipn.pt").touch()
    scores = CLIPN(checkpoint="clipn.pt", score=score).bind(evidence(YES))(IMAGES)
    torch.testing.assert_close(scores, torch.zeros(9, dtype=torch.float64), rtol=0, atol=1e-12)


def test_it_misses_a_checkpoint_where_none_is_named():
    assert CLIPN().missing() == "a CLIPN checkpoint (detectors.<name>.init_args.checkpoint)"
    assert CLIPN(checkpoint="clipn.pt").missing() == ""


@pytest.mark.slow
def test_a_run_lists_both_scores_and_keeps_the_no_features(
    with_clipn: Callable[..., list[str]], checkpoint: Path, capsys: pytest.CaptureFixture[str]
):
    command = with_clipn(str(checkpoint))
    assert main(command) == 0
    written = json.loads(Path("run/eval/results.json").read_text())
    assert {row["detector"] for row in written["results"]} == {"MCM", "NegLabel", "CLIPN ATD", "CLIPN CTW"}
    assert {row["supervision"] for row in written["results"]} == {"id_names"}
    assert not written["about"]["not_run"]
    said = capsys.readouterr()
    assert "CLIPN ATD" in said.out
    assert said.err.count("encode positives under local-dir") == said.err.count("encode positives under") > 0
    assert main(command) == 0
    assert "encode positives under" not in capsys.readouterr().err  # read from the cache


@pytest.mark.slow
def test_the_scores_of_a_run_are_those_of_its_images_and_both_towers(
    with_clipn: Callable[..., list[str]], checkpoint: Path, tiny_model: Path
):
    assert main(with_clipn(str(checkpoint), '--model.prompts.templates=["a {}.", "the {}"]')) == 0
    table = pq.read_table("run/eval/scores.parquet").to_pylist()
    encoder = OpenClip(f"local-dir:{tiny_model}")

    text_features = []
    for tower in (encoder, NoTexts(encoder, str(checkpoint))):
        texts = tower.encode_text(["a red.", "the red", "a green.", "the green"]).double()
        text_features.append(normalize(normalize(texts, dim=1).view(2, 2, -1).mean(dim=1), dim=1))

    for n, name in enumerate(("red", "green")):
        pixels = encoder.transform(decode(encoded(COLOURS[name], 1000 + n)))
        feature = encoder.encode_image(pixels[None])[0].double()
        yes, no = (encoder.logit_scale * texts @ feature for texts in text_features)
        q = (yes.exp() / (yes.exp() + no.exp())).tolist()
        ctw = q[int(yes.argmax())]
        atd = sum(float(p) * share for p, share in zip(yes.exp() / yes.exp().sum(), q, strict=True))

        row = next(row for row in table if row["key"] == f"id_test{n:04d}")
        assert row["CLIPN CTW"] == pytest.approx(math.log(ctw / (1 - ctw)), abs=1e-4)
        assert row["CLIPN ATD"] == pytest.approx(math.log(atd / (1 - atd)), abs=1e-4)


@pytest.mark.slow
def test_a_run_without_a_checkpoint_lists_it_as_not_run(
    with_clipn: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
):
    assert main(with_clipn("")) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "CLIPN CTW: not run, needs a CLIPN checkpoint (detectors.CLIPN CTW.init_args.checkpoint)" in said
    written = json.loads(Path("run/eval/results.json").read_text())
    assert {row["detector"] for row in written["results"]} == {"MCM", "NegLabel"}
    assert list(written["about"]["not_run"]) == ["CLIPN ATD", "CLIPN CTW"]


@pytest.mark.slow
def test_a_checkpoint_of_another_encoder_stops_the_run_without_a_traceback(
    with_clipn: Callable[..., list[str]], checkpoint: Path, capsys: pytest.CaptureFixture[str]
):
    held = torch.load(checkpoint, weights_only=True)
    held["state_dict"]["module.visual.conv1.weight"] *= 1.1
    torch.save(held, checkpoint)
    assert main(with_clipn(str(checkpoint))) == 2
    error = capsys.readouterr().err
    assert "was trained beside another encoder" in error
    assert "visual.conv1.weight" in error
    assert "Traceback" not in error


def test_predict_scores_single_images(
    checkpoint: Path, encoder_yaml: dict[str, Any], words_yaml: dict[str, Any], capsys: pytest.CaptureFixture[str]
):
    Path("pictures").mkdir()
    Path("pictures/a.png").write_bytes(encoded(COLOURS["red"], 1))
    fingerprint = OpenClip(**encoder_yaml["init_args"]).fingerprint
    recipe = {"encoder": {"fingerprint": fingerprint, "name": "tiny"}}
    LabelSet((Positive("red"), Positive("green")), (), recipe).write("labels.json")

    detector = {"class_path": "ood_lightning.detectors.clipn.CLIPN", "init_args": {"checkpoint": str(checkpoint)}}
    settings = {
        "encoder": encoder_yaml,
        "corpus": words_yaml,
        "prompts": {"templates": ["{}"]},
        "label_set": "labels.json",
        "score": detector,
        "cache_dir": "cache",
    }

    for path, code in ((str(checkpoint), 0), ("", 2)):
        detector["init_args"]["checkpoint"] = path
        Path("step.yaml").write_text(yaml.safe_dump(settings))
        assert main(["save-detector", "--config", "step.yaml", "--out", "detector"]) == code
    assert main(["predict", "pictures", "--detector", "detector"]) == 0

    said = capsys.readouterr()
    assert "a.png" in said.out
    assert "CLIPN needs a CLIPN checkpoint" in said.err
