"""Rows of results that tests of tables and files share: two detectors on three OOD sets, with and without intervals."""

from dataclasses import replace

from ood_lightning.metrics.intervals import Comparison
from ood_lightning.metrics.results import Estimate, Result, means


def result(
    detector: str, ood_set: str, auroc: float, id_set: str = "birds", group: str = "", **change: object
) -> Result:
    """AUROC and the FPR of our convention add up to 1; the other metrics are the same in all rows."""
    values = {
        "auroc": auroc,
        "fpr_ood@id_tpr95": 1 - auroc,
        "fpr_id@ood_tpr95": 0.111,
        "aupr_in": 0.222,
        "aupr_out": 0.333,
    }
    metrics = {name: Estimate(value) for name, value in values.items()}
    base = Result(detector, id_set, ood_set, metrics, 100, 40, supervision=("id_names",), group=group, recipe="abc")
    return replace(base, **change)  # type: ignore[arg-type]


def changed(row: Result, metric: str, **parts: float) -> Result:
    """With other parts of one metric's estimate."""
    return replace(row, metrics={**row.metrics, metric: row.metrics[metric]._replace(**parts)})


def bounded(row: Result) -> Result:
    """With intervals that a reader can tell apart."""
    row = changed(row, "auroc", low=0.1, high=0.2)
    row = changed(row, "fpr_ood@id_tpr95", low=0.3, high=0.4)
    row = changed(row, "fpr_id@ood_tpr95", low=0.5, high=0.6)
    return replace(row, resamples=1000)


RESULTS = [
    result("MCM", "near1", 0.70, group="near"),
    result("MCM", "near2", 0.80, group="near"),
    result("MCM", "far1", 0.99, group="far"),
    result("ClusterMine", "near1", 0.75, group="near", supervision=("id_images",)),
    result("ClusterMine", "near2", 0.85, group="near", supervision=("id_images",)),
    result("ClusterMine", "far1", 0.95, group="far", supervision=("id_images",)),
]
BOUNDED = [bounded(row) for row in [*RESULTS, *means(RESULTS)]]
COMPARED = [Comparison("birds", "ClusterMine", "MCM", 0.02, -0.01, 0.05, 0.25, 1000)]
