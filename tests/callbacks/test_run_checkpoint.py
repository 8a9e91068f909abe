"""What a checkpoint says that its fit depends on."""

from types import SimpleNamespace
from typing import Any

from ood_lightning.callbacks.checkpoint import settings
from ood_lightning.datamodules.features import TrainFeatures
from ood_lightning.modules.temi import TEMIModule


def test_the_settings_of_temi_are_those_of_checkpoints_written_before():
    """Where a name or a value changed, a run would no longer go on from its own checkpoint."""
    encoder: Any = SimpleNamespace(fingerprint="f")
    trainer: Any = SimpleNamespace(max_epochs=60)
    data = TrainFeatures(encoder, "shards/x", n_neighbours=20, batch_size=256)
    assert settings(trainer, TEMIModule(n_clusters=256, n_heads=8), data) == {
        "n_clusters": 256,
        "n_heads": 8,
        "beta": 0.6,
        "lr": 1e-4,
        "min_lr": 1e-4,
        "warmup_epochs": 20,
        "weight_decay": 1e-4,
        "teacher_momentum": 0.996,
        "max_teacher_momentum": 0.996,
        "student_temperature": 0.1,
        "teacher_temperature": 0.1,
        "standardise": True,
        "hidden": 512,
        "bottleneck": 256,
        "seed": 0,
        "slices": 8,
        "max_epochs": 60,
        "id_shards": "shards/x",
        "n_neighbours": 20,
        "self_neighbour": None,
        "batch_size": 256,
        "data.seed": 0,
        "encoder": "f",
    }
    own = TrainFeatures(encoder, "shards/x", self_neighbour=True)
    assert settings(trainer, TEMIModule(n_clusters=256), own)["self_neighbour"] is True
