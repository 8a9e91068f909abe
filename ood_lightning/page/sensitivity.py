"""How results depend on settings, where several runs or label sets differ in some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ood_lightning.metrics.results import means
from ood_lightning.page.runs import PageRun
from ood_lightning.report.labels import flat
from ood_lightning.report.tables import OURS

if TYPE_CHECKING:
    from ood_lightning.data.artifacts.label_set import LabelSet
    from ood_lightning.metrics.results import Result

HASHES = ("sha256", "fingerprint", "versions.", "run")  # of a recipe: they differ wherever anything does
NAMES = {  # of settings, as papers call them
    "temi.n_clusters": "C (clusters)",
    "kmeans.n_clusters": "C (clusters)",
    "clustering.clusters": "C (clusters)",
    "count_threshold": "M (least pictures)",
    "min_images": "M (least pictures)",
    "sharpness": "sharpness (1 / tau)",
    "corpus.name": "corpus",
    "prompts.templates": "prompts",
}


def sensitivity(runs: Sequence[PageRun]) -> dict[str, Any] | None:
    """Settings that differ between detectors of one kind, and what each of them reached; None where none does.

    Args:
        runs: of the page.
    """
    lines = [line for run in runs for line in _lines(run)]
    kinds: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in lines:
        kinds.setdefault((line["method"], line["id_set"]), []).append(line)

    tables = []
    for (method, id_set), of_kind in kinds.items():
        varied = [
            key
            for key in dict.fromkeys(key for line in of_kind for key in line["settings"])
            if len({line["settings"].get(key) for line in of_kind}) > 1
        ]
        if len(of_kind) > 1 and varied:
            rows = [{**line, "settings": _named(line["settings"], varied)} for line in of_kind]
            names = [NAMES.get(key, key) for key in varied]
            tables.append({"method": method, "id_set": id_set, "settings": names, "rows": rows})

    return {"tables": tables} if tables else None


def _named(settings: Mapping[str, str], varied: Sequence[str]) -> dict[str, str]:
    """Some settings by the names that papers give them."""
    return {NAMES.get(key, key): settings.get(key, "") for key in varied}


def _lines(run: PageRun) -> list[dict[str, Any]]:
    """Each detector of a run: its settings, its mean AUROC and FPR95."""
    configured = _configured(run.config.text if run.config else "")
    lines = []
    for row in means(run.results):
        if row.group:
            continue

        label_set = run.label_sets.get(row.recipe)
        settings = {**_settings(label_set), **configured.get(row.detector, {})}
        if run.metadata.get("encoder"):
            settings["encoder"] = str(run.metadata["encoder"])
        method = str(label_set.recipe.get("method", "")) if label_set else row.detector
        lines.append(
            {
                "run": run.name,
                "detector": row.detector,
                "method": method or row.detector,
                "id_set": row.id_set,
                "settings": settings,
                "auroc": _estimate(row, "auroc"),
                "fpr": _estimate(row, OURS),
            }
        )
    return lines


def _settings(label_set: LabelSet | None) -> dict[str, str]:
    if label_set is None:
        return {}
    recipe = flat(label_set.recipe)
    return {key: value for key, value in recipe.items() if not any(part in key for part in HASHES)}


def _configured(config: str) -> Mapping[str, dict[str, str]]:
    """Settings of detectors, by the name of the detector, of a run's settings as text."""
    import yaml

    try:
        settings = yaml.safe_load(config) or {}
        detectors = settings["model"]["init_args"]["detectors"]
        return {name: flat(one.get("init_args") or {}) for name, one in detectors.items()}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}


def _estimate(row: Result, metric: str) -> list[float | None]:
    if metric not in row.metrics:
        return [None, None, None]
    estimate = row.metrics[metric]
    return [estimate.value, estimate.low, estimate.high]
