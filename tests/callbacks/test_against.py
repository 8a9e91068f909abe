"""One table of all detectors: what it needs, and that label-free rows differ by their positives alone."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ood_lightning.cli.main import main

ROOT = Path(__file__).parents[2]
DETECTORS = ROOT / "configs" / "pictograms" / "detectors.yaml"
KINDS = {"mined": "runs/clustermine/labels.json", "unseen vendor": "runs/unseen_vendor/labels.json"}
CALLBACK = "ood_lightning.callbacks.against.AgainstReferences"


def settings_of(name: str, model: dict[str, Any]) -> dict[str, Any]:
    """Class path and settings of a detector, from a file of its own where there is one."""
    for kind in ("detectors", "streams"):
        if name in model[kind]:
            part = model[kind][name]
            if isinstance(part, str):
                part = yaml.safe_load((DETECTORS.parent / part).read_text())
            return {"kind": kind, "class_path": part["class_path"], "init_args": dict(part.get("init_args", {}))}
    raise AssertionError(f"no detector {name!r}")


def without(part: dict[str, Any], key: str) -> tuple[dict[str, Any], Any]:
    """A class path with its settings but for one, and that one, wherever it lies below `source`."""
    part = json.loads(json.dumps(part))
    inner = part["init_args"]["source"] if "source" in part.get("init_args", {}) else part
    value = inner.setdefault("init_args", {}).pop(key, None)
    return part, value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["AdaNeg", "CSP", "Debiased", "TANL", "TINS"])
def test_a_label_free_row_differs_from_the_named_one_by_its_positives_alone(method: str, kind: str):
    model = yaml.safe_load(DETECTORS.read_text())["model"]["init_args"]
    named, free = (settings_of(name, model) for name in (method, f"{method}, {kind}"))
    default = {"AdaNeg": "neglabel", "TANL": "neglabel", "Debiased": "debiased", "TINS": "tins"}
    its_set = named["init_args"].pop("labels", default.get(method))
    free_set = free["init_args"].pop("labels")
    assert free == named

    of_named, no_names = without(model["label_sets"][its_set], "names")
    of_free, names = without(model["label_sets"][free_set], "names")
    assert of_free == of_named
    assert (no_names, names) == (None, KINDS[kind])


def with_callback(eval_yaml: Path, *references: str) -> list[str]:
    settings = yaml.safe_load(eval_yaml.read_text())
    options = {"references": list(references), "resamples": 50}
    settings["trainer"]["callbacks"].append({"class_path": CALLBACK, "init_args": options})
    stream = {"class_path": "ood_lightning.detectors.tanl.TANL", "init_args": {"count": 4}}
    settings["model"]["init_args"]["streams"] = {"TANL": stream}
    eval_yaml.write_text(yaml.safe_dump(settings, sort_keys=False))
    return ["test", "--config", str(eval_yaml)]


@pytest.mark.slow
def test_a_run_compares_streams_too(eval_yaml: Path, capsys: pytest.CaptureFixture[str]):
    assert main(with_callback(eval_yaml, "MCM")) == 0
    rows = json.loads(Path("run/eval/against.json").read_text())["rows"]
    results = json.loads(Path("run/eval/results.json").read_text())["results"]
    means = {row["detector"]: row for row in results if row["ood_set"] == "mean" and row["id_set"] == "id_test"}
    assert [row["detector"] for row in rows] == ["MCM", "NegLabel", "TANL"]
    for row in rows:
        assert row["auroc"]["value"] == means[row["detector"]]["auroc"]
        assert list(row["differences"]) == ([] if row["detector"] == "MCM" else ["MCM"])
    assert "minus MCM" in capsys.readouterr().out


@pytest.mark.slow
def test_a_reference_that_the_run_lacks_is_refused_before_anything_is_scored(
    eval_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(with_callback(eval_yaml, "TANL")) == 2
    assert "references: TANL is no detector of the run that scores each image alone" in capsys.readouterr().err
    assert not Path("run/eval/results.json").exists()
