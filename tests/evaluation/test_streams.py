"""Streams: images arrive in the protocol's order, each pair of sets starts afresh, and rows say what they are."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
import yaml
from bare_evidence import evidence_of
from torch import Tensor

from ood_lightning.cli.main import main
from ood_lightning.detectors.base import Stream, StreamDetector, StreamProtocol
from ood_lightning.detectors.evidence import Evidence, IDFeatures, Input
from ood_lightning.errors import SettingsError
from ood_lightning.evaluation.streams import Provenance, StreamScores, evaluate_streams, stream_scores
from ood_lightning.functional.roc import auroc
from ood_lightning.functional.similarity import unit

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Drift(StreamDetector):
    """How like the mean of what came before, this batch included."""

    required_inputs: ClassVar[frozenset[type[Input]]] = frozenset()

    def open(self, evidence: Evidence) -> Stream:
        total = torch.zeros(1)

        def score(features: Tensor) -> Tensor:
            nonlocal total
            total = total + features.sum(dim=0)
            return (features @ total).double()

        return score


@dataclass(frozen=True)
class Hungry(Drift):
    """Wants ID images."""

    required_inputs: ClassVar[frozenset[type[Input]]] = frozenset({IDFeatures})


def eval_set(name: str, role: str, n: int, seed: int, group: str = "") -> SimpleNamespace:
    image = unit(torch.randn(n, 6, generator=torch.Generator().manual_seed(seed)) + (role == "id")).half()

    class Features(SimpleNamespace):
        def __len__(self) -> int:
            return len(self.image)

    return SimpleNamespace(role=role, group=group, features=Features(name=name, image=image))


SETS = [
    eval_set("birds", "id", 30, 0),
    eval_set("sketches", "covariate", 12, 1),
    eval_set("cars", "ood", 20, 2, "near"),
    eval_set("noise", "ood", 9, 3, "far"),
]


def run(streams: dict[str, StreamDetector], protocol: StreamProtocol = StreamProtocol()) -> list:  # noqa: B008
    provenance = dict.fromkeys(streams, Provenance(("test_stream",), "abc"))
    return evaluate_streams(streams, evidence_of({}), SETS, protocol, CPU, provenance)  # type: ignore[arg-type]


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_every_image_comes_once_in_stream_order_and_its_score_goes_to_its_side(batch_size: int):
    id_image, ood_image = SETS[0].features.image, SETS[2].features.image
    rows = StreamProtocol().rows(30, 20, 0)
    seen: list[Tensor] = []

    def stream(features: Tensor) -> Tensor:
        seen.append(features)
        return features[:, 0].double()

    id_scores, ood_scores = stream_scores(stream, id_image, ood_image, rows, batch_size, CPU)
    assert [len(batch) for batch in seen][:-1] == [batch_size] * (len(seen) - 1)
    expected = unit(torch.cat([id_image, ood_image]).float())[rows]
    torch.testing.assert_close(torch.cat(seen), expected, atol=0, rtol=0)
    torch.testing.assert_close(id_scores, expected[rows < 30, 0].double(), atol=0, rtol=0)
    torch.testing.assert_close(ood_scores, expected[rows >= 30, 0].double(), atol=0, rtol=0)


@pytest.mark.parametrize("wrong", [lambda f: f[:, 0], lambda f: f.double(), lambda f: f[:1, 0].double()])
def test_a_stream_that_gives_something_else_is_refused(wrong: Callable[[Tensor], Tensor]):
    with pytest.raises(SettingsError, match="expected float64, one an image"):
        stream_scores(wrong, SETS[0].features.image, SETS[2].features.image, torch.arange(50), 5, CPU)


def test_a_row_is_the_mean_over_orders_each_from_a_fresh_stream():
    protocol = StreamProtocol(orders=4, seed=3, batch_size=5)
    row = next(r for r in run({"Drift": Drift()}, protocol) if (r.id_set, r.ood_set) == ("birds", "noise"))
    id_image, ood_image = SETS[0].features.image, SETS[3].features.image
    per_order = []
    for order in range(4):
        rows = protocol.rows(30, 9, order)
        sides = stream_scores(Drift().open(evidence_of({})), id_image, ood_image, rows, 5, CPU)
        per_order.append(float(auroc(*sides)))
    assert row.metrics["auroc"].value == fmean(per_order)
    assert row.metrics["auroc"].std == stdev(per_order) > 0
    assert (row.stream, row.orders, row.group, row.n_id, row.n_ood) == (True, 4, "far", 30, 9)
    assert (row.supervision, row.recipe) == (("test_stream",), "abc")


def test_rows_come_by_detector_then_id_set_then_ood_set_and_do_not_depend_on_the_company():
    both = run({"A": Drift(), "B": Drift()})
    pairs = [("birds", "cars"), ("birds", "noise"), ("sketches", "cars"), ("sketches", "noise")]
    assert [(r.detector, r.id_set, r.ood_set) for r in both] == [(d, *pair) for d in "AB" for pair in pairs]
    torch.manual_seed(7)
    assert run({"A": Drift()}) == both[:4]


def test_one_order_has_no_deviation():
    for result in run({"A": Drift()}, StreamProtocol(orders=1)):
        assert {estimate.std for estimate in result.metrics.values()} == {None}
        assert result.orders == 1


def test_a_mixture_counts_the_images_that_were_streamed():
    counts = {(r.id_set, r.ood_set): (r.n_id, r.n_ood) for r in run({"A": Drift()}, StreamProtocol(id_per_ood=1.0))}
    assert counts["birds", "cars"] == (20, 20)
    assert counts["sketches", "cars"] == (12, 12)


def _with_streams(path: Path, **streams: str) -> None:
    settings = yaml.safe_load(path.read_text())
    settings["model"]["init_args"]["streams"] = {n: {"class_path": f"{__name__}.{kind}"} for n, kind in streams.items()}
    settings["model"]["init_args"]["protocol"] = {"orders": 2, "batch_size": 3}
    path.write_text(yaml.safe_dump(settings, sort_keys=False))


@pytest.mark.slow
def test_a_run_lists_streams_in_a_table_of_their_own(eval_yaml: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["test", "--config", str(eval_yaml)]) == 0
    static = json.loads(Path("run/eval/results.json").read_text())["results"]

    _with_streams(eval_yaml, Drifting="Drift", Starved="Hungry")
    assert main(["test", "--config", str(eval_yaml)]) == 0
    written = json.loads(Path("run/eval/results.json").read_text())
    rows = written["results"]
    assert [row for row in rows if not row["stream"]] == static
    assert {row["detector"] for row in rows if row["stream"]} == {"Drifting"}
    assert {row["supervision"] for row in rows if row["stream"]} == {"test_stream"}
    assert all((row["auroc_std"] is None) != (row["stream"] and row["ood_set"] != "mean") for row in rows)
    assert written["about"]["streams"] == {"orders": 2, "seed": 0, "batch_size": 3, "id_per_ood": None}
    assert list(written["about"]["not_run"]) == ["Starved"]

    said = " ".join(capsys.readouterr().out.split())  # a long title is wrapped
    assert "learns from the test stream; 2 orders, mean ± standard deviation" in said
    assert "Starved: not run, needs ID training images" in said
    last = said.partition("ID set id_test: AUROC / fpr_ood@id_tpr95 (%); learns")[2]
    assert "Drifting" in last
    assert "MCM" not in last
    assert "±" not in said.partition("learns")[0]


@pytest.mark.slow
def test_a_run_of_streams_alone(eval_yaml: Path):
    _with_streams(eval_yaml, Drifting="Drift")
    assert main(["test", "--config", str(eval_yaml), "--model.detectors={}"]) == 0
    rows = json.loads(Path("run/eval/results.json").read_text())["results"]
    assert {(row["detector"], row["stream"]) for row in rows} == {("Drifting", True)}


@pytest.mark.slow
def test_the_detectors_of_papers_run_on_mined_label_sets(eval_yaml: Path, sets: Path):
    settings = yaml.safe_load(eval_yaml.read_text())
    model, detectors = settings["model"]["init_args"], "ood_lightning.detectors"
    mined = {"names": str(sets / "id_test"), "farthest": 6, "nearest": 5}
    source = {"class_path": "ood_lightning.label_sets.sources.CLIPScopeNegatives", "init_args": mined}
    model["label_sets"] = {"ends": source}
    model["detectors"] = {}
    model["streams"] = {
        "CLIPScope": {"class_path": f"{detectors}.clipscope.CLIPScope", "init_args": {"labels": "ends"}},
        "AdaNeg": {"class_path": f"{detectors}.adaneg.AdaNeg", "init_args": {"labels": "ends", "groups": 2}},
        "TANL": {"class_path": f"{detectors}.tanl.TANL", "init_args": {"labels": "ends", "count": 4}},
    }

    eval_yaml.write_text(yaml.safe_dump(settings, sort_keys=False))
    assert main(["test", "--config", str(eval_yaml)]) == 0
    rows = json.loads(Path("run/eval/results.json").read_text())["results"]
    assert {(row["detector"], row["supervision"]) for row in rows} == {
        (name, "id_names+test_stream") for name in ("CLIPScope", "AdaNeg", "TANL")
    }
    assert len(json.loads(Path("run/eval/labels/ends.json").read_text())["negatives"]) == 11


def test_one_name_for_two_detectors_is_refused(eval_yaml: Path, capsys: pytest.CaptureFixture[str]):
    _with_streams(eval_yaml, MCM="Drift")
    assert main(["test", "--config", str(eval_yaml)]) == 2
    assert "MCM is in detectors and in streams" in capsys.readouterr().err


def test_scores_are_handed_on_in_the_order_of_the_sets():
    handed: list[StreamScores] = []
    protocol, provenance = StreamProtocol(orders=2, batch_size=1000), {"First": Provenance((), "")}

    @dataclass(frozen=True)
    class First(Drift):
        """The first number of a feature, whatever came before."""

        def open(self, evidence: Evidence) -> Stream:
            return lambda features: features[:, 0].double()

    results = evaluate_streams(
        {"First": First()},
        evidence_of({}),
        SETS,  # type: ignore[arg-type]
        protocol,
        CPU,
        provenance,
        on_scores=handed.append,
    )
    assert [(one.id_set, one.ood_set) for one in handed] == [(row.id_set, row.ood_set) for row in results]
    for one in handed:
        for name, scores in ((one.id_set, one.id_scores), (one.ood_set, one.ood_scores)):
            image = next(of.features.image for of in SETS if of.features.name == name)
            expected = unit(image.float())[:, 0].double()
            torch.testing.assert_close(scores, expected[:, None].expand(-1, 2), atol=1e-6, rtol=0)
