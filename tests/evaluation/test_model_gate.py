"""The model gate: a known set named as often as published passes, any other refuses before a score is computed."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from ood_lightning.cli.main import main
from ood_lightning.corpora.prompts import OPENAI_80, Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.data.artifacts.features import EvalSet, Features
from ood_lightning.data.cards.card import TOLERANCE, Card, Protocol
from ood_lightning.data.cards.cards import read_card
from ood_lightning.data.cards.figures import Top1
from ood_lightning.data.shards.manifest import Manifest, Role, Shard
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules.embedding import embed
from ood_lightning.encoders.base import Encoder
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.errors import FeatureError, GateError
from ood_lightning.evaluation import model_gate as gate
from ood_lightning.evaluation.model_gate import Measured, Published, judge, measure

CPU, BARE = torch.device("cpu"), Prompts(("{}",))
MODEL = "ViT-B-16-quickgelu/openai"


class Letters(Encoder):
    """A text's feature is how often each letter stands in it; nothing is loaded."""

    name = MODEL  # type: ignore[assignment]
    fingerprint = "letters"  # type: ignore[assignment]

    def __init__(self) -> None:
        self.texts: list[str] = []

    def load(self, device: torch.device) -> None:
        raise NotImplementedError

    @property
    def transform(self) -> Any:
        raise NotImplementedError

    @property
    def logit_scale(self) -> float:
        raise NotImplementedError

    def encode_image(self, image: Tensor) -> Tensor:
        raise NotImplementedError

    def encode_text(self, texts: Sequence[str], on_progress: Callable[[int], object] = lambda n: None) -> Tensor:
        self.texts += texts
        return torch.tensor([[float(text.count(chr(97 + i))) for i in range(26)] for text in texts])


@pytest.fixture
def bank(tmp_path: Path) -> TextBank:
    return TextBank(Letters(), tmp_path / "cache")


def eval_set(
    right: int, of: int = 100, names: Sequence[str] = ("aaa", "bbb", "ccc"), role: Role = "id", protocol: str = ""
) -> EvalSet:
    """A set of which so many pictures are like their own class's bare name; the others are like the next one's."""
    label = torch.arange(of) % 3
    looks_like = torch.where(torch.arange(of) < right, label, (label + 1) % 3)
    manifest = Manifest("x", role, (Shard("a.tar", of, 0),), tuple(names), protocol=protocol)
    return EvalSet(manifest, Features("x", torch.eye(26)[looks_like], label, list(map(str, range(of))), []), role)


def measured(percent: float, published: float | None = 68.34, name: str = "imagenet-val") -> Measured:
    return Measured(name, percent, 50_000, 1000, 80, "0", published, "" if published is None else "open_clip, a table")


def test_a_set_nobody_published_is_measured_under_the_runs_prompts(bank: TextBank):
    (top1,) = measure([eval_set(61)], bank, Prompts(("{}",), adjectives=("a {} one",)), CPU)
    assert (top1.percent, top1.pictures, top1.names, top1.templates) == (61.0, 100, 3, 1)
    assert (top1.published, top1.passes) == (None, None)
    assert top1.prompts_sha256 == BARE.fingerprint
    assert bank.encoder.texts == ["aaa", "bbb", "ccc"]  # type: ignore[attr-defined]


def test_ood_sets_and_sets_without_names_or_labels_are_left_alone(bank: TextBank, caplog: pytest.LogCaptureFixture):
    unlabelled = eval_set(50)
    unlabelled = replace(unlabelled, features=replace(unlabelled.features, label=torch.full((100,), -1)))
    sets = [eval_set(50, role="ood"), eval_set(50, names=()), unlabelled]
    with caplog.at_level("INFO"):
        assert measure(sets, bank, BARE, CPU) == []
    assert "top-1" not in caplog.text
    assert bank.encoder.texts == []  # type: ignore[attr-defined]


def test_a_published_figure_that_cannot_be_checked_is_told(bank: TextBank, caplog: pytest.LogCaptureFixture):
    with caplog.at_level("INFO"):
        assert measure([eval_set(50, names=(), protocol="imagenet-val")], bank, BARE, CPU) == []
    assert "top-1 of x is published, but cannot be checked: it has no class_names in its manifest" in caplog.text


def test_a_card_brings_its_own_prompts_and_what_differs(bank: TextBank):
    (top1,) = measure([eval_set(50, protocol="imagenet-val@openood")], bank, BARE, CPU)
    assert (top1.published, top1.source) == (68.34, "open_clip, docs/openclip_results.csv at f862f86")
    assert top1.templates == 80
    assert top1.prompts_sha256 == Prompts(OPENAI_80, "normalise-then-mean").fingerprint
    assert "a bad photo of a aaa." in bank.encoder.texts  # type: ignore[attr-defined]
    assert top1.differs == (
        "100 pictures, the card imagenet-val@openood says 45,000 (counted in the list)",
        "3 class names, the card imagenet-val says 1,000 classes",
    )


def test_underscores_of_known_sets_are_read_as_blanks(bank: TextBank):
    for protocol in ("imagenet-val", ""):
        measure([eval_set(50, names=("a_a", "bbb", "ccc"), protocol=protocol)], bank, Prompts(("{}",)), CPU)
    texts = bank.encoder.texts  # type: ignore[attr-defined]
    assert "a bad photo of a a a." in texts
    assert "a_a" in texts  # what nobody published is measured as it is


def test_figures_hold_for_the_pictures_they_were_measured_on():
    def published(protocol: str, model: str = MODEL) -> Published | None:
        return Published.find(eval_set(1, protocol=protocol).manifest, model)

    for reference, templates in (("cars@test", 8), ("food101@test", 1), ("cifar10", 18), ("imagenet-a", 80)):
        figure = published(reference)
        assert figure is not None
        assert len(figure.prompts.templates) == templates
    assert published("food101") is None, "its training pictures have wrong labels"
    for nobody in ("cars", "cub", "textures", "", "tests", "imagenet-val@mine", "../groups/classic"):
        assert published(nobody) is None, nobody
    assert published("imagenet-val", "ViT-B-16/openai") is None
    assert published("imagenet-val", "ViT-B-16-quickgelu/my.pt") is None
    assert Published.find(replace(eval_set(1).manifest, protocol=None), MODEL) is None  # type: ignore[arg-type]


def test_two_points_on_either_side_pass(caplog: pytest.LogCaptureFixture):
    assert TOLERANCE == 2
    with caplog.at_level("INFO"):
        judge([measured(66.4), measured(70.3), measured(12.5, None, "mine")], MODEL, "refuse")
    assert "top-1 of imagenet-val is 66.40 %, published 68.34 % (open_clip, a table): within 2 points" in caplog.text
    assert "with no published figure: mine 12.50 %" in caplog.text


@pytest.mark.parametrize("percent", [0.1, 66.3, 70.4])
def test_outside_the_message_says_what_to_do(percent: float):
    with pytest.raises(GateError) as refused:
        judge([measured(68.0), replace(measured(percent), differs=("998 class names",))], MODEL, "refuse")

    message = str(refused.value)
    for words in (
        f"top-1 of imagenet-val is {percent:.2f} %, published 68.34 % (open_clip, a table), not within 2 points",
        f"under {MODEL}",
        "no score is to be believed",
        "another order than the labels",
        "wrong labels",
        "-quickgelu",
        "preprocessing",
        "998 class names",
        "--model.gate warn",
    ):
        assert words in message, words
    assert len(message) < 600


def test_a_warning_is_all_that_is_left_if_so_chosen(caplog: pytest.LogCaptureFixture):
    with caplog.at_level("INFO"):
        judge([measured(0.1)], MODEL, "warn")
    assert "0.10 %, published 68.34 % (open_clip, a table): WARNING, not within 2 points" in caplog.text
    assert measured(0.1).passes is False


def test_every_set_that_fails_is_named_and_its_figures_are_told_once(caplog: pytest.LogCaptureFixture):
    words = r"of imagenet-val is 0\.10 %.*; imagenet-a, imagenet-r too: no score"
    with caplog.at_level("INFO"), pytest.raises(GateError, match=words):
        judge([measured(0.1), measured(1.0, name="imagenet-a"), measured(2.0, name="imagenet-r")], MODEL, "refuse")
    assert [re.findall(r"of (\S+) is (\S+) %", line) for line in caplog.messages] == [
        [("imagenet-a", "1.00")],
        [("imagenet-r", "2.00")],
    ]


def test_features_of_another_encoder_are_refused_by_name(bank: TextBank):
    wrong = eval_set(50)
    wrong = replace(wrong, features=replace(wrong.features, image=torch.ones(100, 7)))
    with pytest.raises(FeatureError, match="set 'x' has features of 7 dimensions"):
        measure([wrong], bank, BARE, CPU)


@pytest.mark.slow
def test_the_built_in_model_passes_on_the_built_in_pictures_and_no_other_order_of_names_does(tmp_path: Path):
    encoder = OpenClip("builtin:pictograms/model")
    manifest = read_manifest("builtin:pictograms/shards/id_test")
    features = embed(encoder, manifest, tmp_path, device=CPU, num_workers=0).read()
    bank = TextBank(encoder, tmp_path)
    top1 = measure([EvalSet(manifest, features, "id")], bank, BARE, CPU)
    judge(top1, encoder.name, "refuse")
    assert [(one.published, one.templates, one.pictures) for one in top1] == [(46.3, 2, 488)]
    assert top1[0].differs == ()
    names = manifest.class_names
    for wrong in (names[::-1], (*names[1:], names[0]), sorted(names, key=len)):
        other = EvalSet(replace(manifest, class_names=tuple(wrong)), features, "id")
        with pytest.raises(GateError, match=r"of id_test is \d\.\d\d %, published 46.30 %"):
            judge(measure([other], bank, BARE, CPU), encoder.name, "refuse")


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> Callable[[float], None]:
    """Publishes a figure for the tiny model on `id_test`."""

    def publish(percent: float) -> None:
        figures = Top1(source="a test", percent={f"local-dir:{tiny_model}": percent}, templates=("{}",))
        made: tuple[Card, Protocol] = (replace(read_card("cifar10"), top1=figures), read_card("cifar10").protocol())
        monkeypatch.setattr(gate, "known", lambda manifest: made if manifest.name == "id_test" else None)
        monkeypatch.setattr(gate, "differences", lambda manifest, reference: [])

    return publish


@pytest.mark.slow
def test_a_run_stops_before_scores_or_goes_on_with_the_same_ones(
    eval_yaml: Path, card: Callable[[float], None], capfd: pytest.CaptureFixture[str]
):
    command = ["test", "--config", str(eval_yaml)]
    assert main(command) == 0
    folder = Path("run/eval")
    written = json.loads((folder / "results.json").read_text())
    free, scores = written["results"], pq.read_table(folder / "scores.parquet")
    assert {row["set"]: row["passes"] for row in written["about"]["top1"]} == {"id_test": None, "shifted": None}

    percent = written["about"]["top1"][0]["percent"]
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()

    card(percent + 2.5)
    assert main(command) == 2
    error = capfd.readouterr().err
    assert re.search(r"^error: zero-shot top-1 of id_test is .* \(a test\), not within 2 points", error, re.MULTILINE)
    assert not (folder / "results.json").exists()

    assert main([*command, "--model.gate", "warn"]) == 0
    written = json.loads((folder / "results.json").read_text())
    assert written["about"]["top1"][0]["passes"] is False
    assert written["results"] == free
    assert pq.read_table(folder / "scores.parquet").equals(scores)  # the files hold the hashes of their runs
    words = f"top-1 of id_test is {percent:.2f} %, published {percent + 2.5:.2f} %"
    assert words in (folder / "results.md").read_text().splitlines()[2]
    assert words in capfd.readouterr().out

    assert main([*command, "--model.gate", "off"]) == 2
    assert "gate" in capfd.readouterr().err

    card(percent - 1.5)
    two = [*command, "--trainer.devices=2", "--trainer.accelerator=cpu", "--trainer.strategy=ddp_fork"]
    two += ["--trainer.default_root_dir=run/two", "--data.cache_dir=two", "--model.cache_dir=two"]
    assert main(two) == 0
    assert capfd.readouterr().err.count("within 2 points") == 1
    there = json.loads(Path("run/two/results.json").read_text())
    assert there["results"] == free
    assert there["about"]["top1"][0] == {**written["about"]["top1"][0], "published": percent - 1.5, "passes": True}
