"""The five standard metrics: what they compute, which way is better, and what further ones may not be called."""

import pytest
import torch
from torch import Tensor

from ood_lightning.errors import SettingsError
from ood_lightning.metrics.base import Metric
from ood_lightning.metrics.columns import ROW_COLUMNS, parts_of
from ood_lightning.metrics.standard import STANDARD, with_standard


class Half(Metric):
    """Says neither what it measures nor which way is better."""

    def __call__(self, id_scores: Tensor, ood_scores: Tensor) -> Tensor:
        return torch.tensor(0.5)


class TitledHalf(Half):
    title = "a half"


class UsableHalf(TitledHalf):
    higher_is_better = False


@pytest.mark.parametrize("name", STANDARD)
def test_a_standard_metric_says_its_direction(name: str):
    metric = STANDARD[name]
    apart = float(metric(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0])))
    together = float(metric(torch.ones(2), torch.ones(2)))
    assert (apart > together) == metric.higher_is_better
    assert apart != together


def test_values_by_hand():
    id_scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5])
    ood_scores = torch.tensor([0.55, 0.4, 0.3])
    values = {name: float(metric(id_scores, ood_scores)) for name, metric in STANDARD.items()}
    assert values == pytest.approx({
        "auroc": 14 / 15,
        "fpr_ood@id_tpr95": 1 / 3,
        "fpr_id@ood_tpr95": 1 / 5,
        "aupr_in": (4 + 5 / 6) / 5,
        "aupr_out": (1 + 1 + 3 / 4) / 3,
    })  # fmt: skip


def test_files_have_a_column_for_each_standard_metric_and_know_its_parts():
    assert [name for name, kind in ROW_COLUMNS.items() if kind is float] == list(STANDARD)
    assert {name: parts_of(name) for name in (*STANDARD, "mine")} == {
        "auroc": ("std", "low", "high"),
        "fpr_ood@id_tpr95": ("std", "low", "high"),
        "fpr_id@ood_tpr95": ("low", "high"),
        "aupr_in": (),
        "aupr_out": (),
        "mine": ("std", "low", "high"),
    }


def test_further_metrics_come_behind_the_five():
    assert list(with_standard({})) == ["auroc", "fpr_ood@id_tpr95", "fpr_id@ood_tpr95", "aupr_in", "aupr_out"]
    half = UsableHalf()
    assert with_standard({"half": half}) == {**STANDARD, "half": half}


@pytest.mark.parametrize("name", ["auroc", "n_id", "mine_low", "mine_high", "mine_std"])
def test_a_name_that_files_could_have_for_something_else_is_refused(name: str):
    with pytest.raises(SettingsError, match=rf"no further metric may be called '{name}': .* not end in _std, _low"):
        with_standard({name: UsableHalf()})


@pytest.mark.parametrize("metric", [Half(), TitledHalf()])
def test_a_metric_that_does_not_say_what_it_is_is_refused(metric: Metric):
    with pytest.raises(SettingsError, match="metric 'half' lacks title or higher_is_better"):
        with_standard({"half": metric})
