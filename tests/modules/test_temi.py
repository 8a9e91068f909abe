"""TEMIModule: it clusters what is separable, and does the same twice."""

import copy
from collections import Counter
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from ood_lightning.clustering.pairs import EpochPairs, PairFeatures
from ood_lightning.errors import SettingsError
from ood_lightning.functional.moments import moments
from ood_lightning.functional.similarity import neighbours, unit
from ood_lightning.modules.temi import TEMIModule

pytestmark = pytest.mark.filterwarnings("ignore:.*smaller than the logging interval", "ignore:.*LeafSpec")
N, BATCH = 96, 32


def blobs(n: int = N, dim: int = 16) -> Tensor:
    """Unit vectors around two directions; row i belongs to blob i % 2."""
    draw = torch.Generator().manual_seed(0)
    centres = unit(torch.randn(2, dim, generator=draw))
    return unit(centres.repeat(n // 2, 1) + 0.05 * torch.randn(n, dim, generator=draw))


class Blobs(L.LightningDataModule):
    """What TEMIModule asks of its data."""

    def __init__(self, image: Tensor, batch_size: int = BATCH) -> None:
        super().__init__()
        self.features = type("Features", (), {"image": image})
        self.moments = moments(image)
        self.batch_size = batch_size

    def train_dataloader(self) -> Any:
        image = self.features.image
        pairs = EpochPairs(len(image), 5, self.batch_size, 0, 0, 1)
        return torch.utils.data.DataLoader(PairFeatures(image, neighbours(image, 5)), sampler=pairs, batch_size=None)


class Snapshots(L.Callback):
    """State of student and teacher before the first step and after every epoch."""

    def __init__(self) -> None:
        self.student: list[dict[str, Tensor]] = []
        self.teacher: list[dict[str, Tensor]] = []
        self.losses: list[float] = []

    def _take(self, module: Any) -> None:
        self.student.append(copy.deepcopy(module.student.state_dict()))
        self.teacher.append(copy.deepcopy(module.teacher.state_dict()))

    def on_train_start(self, trainer: L.Trainer, module: Any) -> None:
        self._take(module)

    def on_train_epoch_end(self, trainer: L.Trainer, module: Any) -> None:
        self._take(module)
        self.losses.append(float(module.head_loss.mean()))


def fit(
    image: Tensor, epochs: int, folder: Path, precision: Any = "32-true", **settings: Any
) -> tuple[TEMIModule, Snapshots]:
    heads: dict[str, Any] = {"n_clusters": 2, "n_heads": 4, "hidden": 32, "bottleneck": 16, "warmup_epochs": 2}
    module, seen = TEMIModule(**{**heads, "lr": 1e-2, "min_lr": 1e-3, "teacher_momentum": 0.9, **settings}), Snapshots()

    trainer = L.Trainer(
        max_epochs=epochs,
        precision=precision,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        deterministic=True,
        use_distributed_sampler=False,
        default_root_dir=folder,
        callbacks=[seen],
    )
    trainer.fit(module, datamodule=Blobs(image))
    return module, seen


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[TEMIModule, Snapshots]:
    return fit(blobs(), 30, tmp_path_factory.mktemp("temi"))


def test_two_blobs_become_two_clusters(trained: tuple[TEMIModule, Snapshots]):
    assigned = trained[0].assign(blobs())
    assert assigned.dtype == torch.int64
    pairs = Counter(zip(assigned.tolist(), [i % 2 for i in range(N)], strict=True))
    assert sorted(pairs.values()) == [N // 2, N // 2]  # one cluster a blob, nothing astray
    assert len({cluster for cluster, _ in pairs}) == 2


def test_bfloat16_products_find_the_same_clusters(trained: tuple[TEMIModule, Snapshots], tmp_path: Path):
    module, _ = fit(blobs(), 30, tmp_path, precision="bf16-mixed")
    assert adjusted_rand_score(module.assign(blobs()), trained[0].assign(blobs())) == 1
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    assert (module.teacher.weight1 != trained[0].teacher.weight1).any()


def test_the_loss_falls(trained: tuple[TEMIModule, Snapshots]):
    losses = trained[1].losses
    assert losses[-1] < losses[0] - 0.1


def test_the_last_layer_stays_as_it_was_during_the_first_epoch(trained: tuple[TEMIModule, Snapshots]):
    before, first, second = trained[1].student[:3]
    for name in before:
        moved = bool((first[name] != before[name]).any())
        assert moved == (not name.startswith("last_")), name
        assert (second[name] != first[name]).any(), name


def test_the_teacher_starts_as_the_student_and_lags_behind_it(trained: tuple[TEMIModule, Snapshots]):
    students, teachers = trained[1].student, trained[1].teacher
    for name in students[0]:
        torch.testing.assert_close(students[0][name], teachers[0][name], atol=0, rtol=0)
    start, student, teacher = (state["weight1"] for state in (students[0], students[1], teachers[1]))
    assert (teacher - start).norm() < 0.6 * (student - start).norm()
    assert (teacher != start).any()


def test_the_teacher_is_the_moving_average_of_the_student(tmp_path: Path):
    """One step of one epoch: t = m * t0 + (1 - m) * s."""
    _, seen = fit(blobs(BATCH), 1, tmp_path, teacher_momentum=0.75, max_teacher_momentum=0.75)
    for name, start in seen.student[0].items():
        expected = 0.75 * start + 0.25 * seen.student[1][name]
        torch.testing.assert_close(seen.teacher[1][name], expected, atol=1e-7, rtol=1e-6)


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not(tmp_path: Path):
    torch.manual_seed(1)
    first, _ = fit(blobs(), 2, tmp_path)
    torch.manual_seed(2)
    again, _ = fit(blobs(), 2, tmp_path)
    other, _ = fit(blobs(), 2, tmp_path, seed=1)
    for name, value in first.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, atol=0, rtol=0, equal_nan=True)
    assert (other.teacher.weight1 != first.teacher.weight1).any()


@pytest.mark.parametrize("slices", [1, 2, 4])
def test_slices_change_rounding_only(trained: tuple[TEMIModule, Snapshots], tmp_path: Path, slices: int):
    module, _ = fit(blobs(), 2, tmp_path, slices=slices)
    expected, _ = fit(blobs(), 2, tmp_path, slices=8)
    torch.testing.assert_close(module.prior, expected.prior, atol=0.02, rtol=0)
    torch.testing.assert_close(module.head_loss, expected.head_loss, atol=0.1, rtol=0)


def test_an_images_cluster_does_not_depend_on_the_others(
    trained: tuple[TEMIModule, Snapshots], monkeypatch: pytest.MonkeyPatch
):
    module, image = trained[0], blobs()
    whole = module.assign(image)
    torch.testing.assert_close(module.assign(image.half()), whole)
    monkeypatch.setattr("ood_lightning.modules.temi.ASSIGN_BLOCK", 7)
    torch.testing.assert_close(module.assign(image), whole, atol=0, rtol=0)


def test_features_are_standardised_by_the_training_sets_mean_and_deviation(trained: tuple[TEMIModule, Snapshots]):
    module, image = trained[0], blobs()
    inside = module._standardised(image)
    torch.testing.assert_close(inside.mean(dim=0), torch.zeros(16), atol=1e-5, rtol=0)
    torch.testing.assert_close(inside.std(dim=0), torch.ones(16), atol=1e-4, rtol=0)


def test_a_constant_dimension_gives_no_nan(tmp_path: Path):
    image = blobs()
    image[:, 3] = 0
    module, _ = fit(unit(image), 1, tmp_path)
    assert torch.isfinite(module.head_loss).all()


def test_the_head_with_the_lowest_loss_is_used_and_of_equals_the_first():
    module = TEMIModule(n_clusters=2, n_heads=4)
    module.head_loss = torch.tensor([3.0, 1.0, 2.0, 1.0])
    assert module.best_head == 1


def test_hyperparameters_are_plain_data(trained: tuple[TEMIModule, Snapshots], tmp_path: Path):
    torch.save({"h": dict(trained[0].hparams), "s": trained[0].state_dict()}, tmp_path / "x.ckpt")
    kept = torch.load(tmp_path / "x.ckpt", weights_only=True)
    assert kept["h"]["n_clusters"] == 2
    assert "encoder" not in kept["h"]


@pytest.mark.parametrize("slices", [3, 6, 64])
def test_slices_that_do_not_cut_a_batch_evenly_are_refused(tmp_path: Path, slices: int):
    with pytest.raises(SettingsError, match=rf"slices {slices} must be a power of two.*batch_size 32"):
        fit(blobs(), 1, tmp_path, slices=slices)
