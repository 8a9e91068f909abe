"""The columns of a row of results, as `results.csv` and `results.json` have them. Needs no torch."""

from typing import Any

ESTIMATE_PARTS = ("std", "low", "high")  # of a metric, beside its value: `auroc_std`, `auroc_low`, `auroc_high`

# The standard metrics' columns stand where they were first written, so that files of any age have one layout. Not every
# standard metric has every part: AUPR has neither interval nor deviation. A further metric has all parts, at the end.
ROW_COLUMNS: dict[str, Any] = {
    "detector": str,
    "id_set": str,
    "ood_set": str,
    "auroc": float,
    "fpr_ood@id_tpr95": float,
    "fpr_id@ood_tpr95": float,
    "aupr_in": float,
    "aupr_out": float,
    "n_id": int,
    "n_ood": int,
    "supervision": str,  # joined by `+`
    "stream": bool,
    "group": str,
    "recipe": str,
    "auroc_std": float | None,
    "fpr_ood@id_tpr95_std": float | None,
    "orders": int | None,
    "auroc_low": float | None,
    "auroc_high": float | None,
    "fpr_ood@id_tpr95_low": float | None,
    "fpr_ood@id_tpr95_high": float | None,
    "fpr_id@ood_tpr95_low": float | None,
    "fpr_id@ood_tpr95_high": float | None,
    "resamples": int | None,
}


def parts_of(metric: str) -> tuple[str, ...]:
    """What rows hold of a metric beside its value.

    Example:
        >>> parts_of("auroc"), parts_of("aupr_in"), parts_of("fpr_ood@id_tpr80")
        (('std', 'low', 'high'), (), ('std', 'low', 'high'))
    """
    return tuple(part for part in ESTIMATE_PARTS if metric not in ROW_COLUMNS or f"{metric}_{part}" in ROW_COLUMNS)
