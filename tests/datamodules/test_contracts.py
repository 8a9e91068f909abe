"""What modules ask of data: our data modules have it, and another one is refused in one sentence."""

from types import SimpleNamespace
from typing import Any, cast

import lightning.pytorch as L
import pytest

from ood_lightning.datamodules.contracts import EvalData, NeighbourData, PairData, SyntheticData, TargetData, data_of
from ood_lightning.datamodules.features import EvalFeatures, TrainFeatures
from ood_lightning.datamodules.synthetic import SyntheticFeatures
from ood_lightning.datamodules.targets import TargetFeatures

NO_ENCODER = cast(Any, None)
MODULES: list[tuple[Any, L.LightningDataModule]] = [
    (PairData, TrainFeatures(NO_ENCODER, "")),
    (NeighbourData, TrainFeatures(NO_ENCODER, "")),
    (EvalData, EvalFeatures(NO_ENCODER, [""], {"near": [""]})),
    (TargetData, TargetFeatures(NO_ENCODER, "")),
    (SyntheticData, SyntheticFeatures(NO_ENCODER, "", "")),
]


class Asking:
    """Reads data."""


def ask(data: object, kind: Any) -> object:
    return data_of(cast(L.Trainer, SimpleNamespace(datamodule=data)), kind, Asking())


@pytest.mark.parametrize(("kind", "data"), MODULES, ids=lambda part: getattr(part, "__name__", type(part).__name__))
def test_our_data_modules_have_what_is_asked_of_them_before_any_setup(kind: Any, data: L.LightningDataModule):
    assert ask(data, kind) is data


def test_what_a_kind_extends_is_asked_for_too():
    class NoPairs(SimpleNamespace):
        manifest = encoder = cache_dir = n_neighbours = neighbour_search = self_neighbour = seed = None

    with pytest.raises(ValueError, match="which has no features, no moments, no batch_size: name another"):
        ask(NoPairs(), NeighbourData)


@pytest.mark.parametrize("data", [MODULES[0][1], None], ids=["another", "none"])
def test_another_data_module_is_refused_by_both_names(data: object):
    words = (
        rf"^Asking reads data of the kind EvalData, and the config names {type(data).__name__}, which has no sets, "
        r"no id_train, no read_columns: name another class in data\.class_path$"
    )
    with pytest.raises(ValueError, match=words):
        ask(data, EvalData)
