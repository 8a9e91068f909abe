"""What a checkpoint says that its fit depends on."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from full_disk import full_disk
from shard_files import MakeSet

from ood_lightning.callbacks.checkpoint import (
    LAST,
    RUN,
    RunCheckpoint,
    WholeFiles,
    checkpoint_of,
    read_checkpoint,
    settings,
)
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules.features import TrainFeatures
from ood_lightning.errors import SettingsError, UnwritableError
from ood_lightning.modules.temi import TEMIModule

ENCODER: Any = SimpleNamespace(fingerprint="f")


def test_the_settings_of_temi_are_those_of_checkpoints_written_before(make_set: MakeSet):
    """Where a name or a value changed, a run would no longer go on from its own checkpoint."""
    make_set(Path("shards"), "x")
    trainer = SimpleNamespace(max_epochs=60)
    data: Any = TrainFeatures(ENCODER, "shards/x", n_neighbours=20, batch_size=256)
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
        "slices": 2,
        "max_epochs": 60,
        "id_shards": "shards/x",
        "id_set": read_manifest("shards/x").fingerprint,
        "n_neighbours": 20,
        "self_neighbour": None,
        "neighbour_search": None,
        "batch_size": 256,
        "data.seed": 0,
        "encoder": "f",
    }

    with_self = TrainFeatures(ENCODER, "shards/x", self_neighbour=True)
    assert settings(trainer, TEMIModule(n_clusters=256), with_self)["self_neighbour"] is True


def test_a_fit_does_not_go_on_with_other_pictures_at_the_same_path(make_set: MakeSet, tmp_path: Path):
    trainer: Any = SimpleNamespace(max_epochs=60, default_root_dir=str(tmp_path))
    make_set(Path("shards"), "x")
    module = TEMIModule(n_clusters=256)
    first = settings(trainer, module, TrainFeatures(ENCODER, "shards/x"))
    torch.save({RUN: first}, tmp_path / LAST)
    assert checkpoint_of(trainer, module, TrainFeatures(ENCODER, "shards/x")) == tmp_path / LAST

    shutil.rmtree("shards")
    make_set(Path("shards"), "x", seed=1)  # as many pictures in as many shards
    words = rf"last\.ckpt was made with other settings \(id_set '{first['id_set']}' there"
    with pytest.raises(SettingsError, match=words):
        checkpoint_of(trainer, module, TrainFeatures(ENCODER, "shards/x"))

    del first["id_set"]
    torch.save({RUN: first}, tmp_path / LAST)  # from before it was kept
    assert checkpoint_of(trainer, module, TrainFeatures(ENCODER, "shards/x")) == tmp_path / LAST


def test_no_signature_is_kept_and_another_one_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(TrainFeatures, "manifest", SimpleNamespace(fingerprint="a set"))
    trainer: Any = SimpleNamespace(max_epochs=60, default_root_dir=str(tmp_path))
    module = TEMIModule(n_clusters=256)
    address = "https://example.org/x?signature="
    first = settings(trainer, module, TrainFeatures(ENCODER, f"{address}0123"))
    assert first["id_shards"] == f"{address[: -len('signature=')]}***"

    for stored in (first, {**first, "id_shards": f"{address}0123"}):  # the second from before they were left out
        torch.save({RUN: stored}, tmp_path / LAST)
        assert checkpoint_of(trainer, module, TrainFeatures(ENCODER, f"{address}4567")) == tmp_path / LAST


def test_no_damaged_checkpoint_is_read(tmp_path: Path):
    file = tmp_path / LAST
    state = {RUN: {"seed": 0}, "state_dict": {"weight": torch.arange(3000.0)}}
    torch.save(state, file)
    assert torch.equal(read_checkpoint(file)["state_dict"]["weight"], state["state_dict"]["weight"])

    sound, refused = file.read_bytes(), 0
    for position in range(0, len(sound), 37):
        content = bytearray(sound)
        content[position] ^= 1 << position % 8
        file.write_bytes(content)
        try:
            held = read_checkpoint(file)
        except SettingsError as error:
            refused += 1
            assert f"{file} is damaged, or no checkpoint" in str(error)  # noqa: PT017
        else:  # a byte that nothing reads
            assert torch.equal(held["state_dict"]["weight"], state["state_dict"]["weight"])
            assert held[RUN] == state[RUN]
    assert refused > 320  # 12,000 of its bytes are the weight's

    for content in (b"", b"no checkpoint", sound[:-9], sound[: len(sound) // 2]):
        file.write_bytes(content)
        with pytest.raises(SettingsError, match="remove it, and the same command trains from the beginning"):
            read_checkpoint(file)


def test_a_checkpoint_that_finds_no_room_names_its_place_and_leaves_nothing_else(tmp_path: Path):
    file = tmp_path / "run" / LAST
    WholeFiles().save_checkpoint({"epoch": 1}, file)
    words = r"run/last\.ckpt cannot be written: No space left on device\. Make room"
    with full_disk(), pytest.raises(UnwritableError, match=words):
        WholeFiles().save_checkpoint({"epoch": 2}, file)
    assert [path.name for path in file.parent.iterdir()] == [LAST]
    assert read_checkpoint(file) == {"epoch": 1}


@pytest.mark.parametrize(
    ("settings", "saved"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7]),
        ({"every_n_epochs": 3}, [3, 6, 7]),
        ({"every_n_minutes": 5}, [3, 6, 7]),  # epochs of two minutes
        ({"every_n_epochs": 2, "every_n_minutes": 5}, [4, 7]),
    ],
)
def test_checkpoints_come_at_epochs_ends_no_sooner_than_minutes_allow(
    settings: dict[str, Any], saved: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clock, written = [0.0], []
    monkeypatch.setattr("ood_lightning.callbacks.checkpoint.monotonic", lambda: clock[0])
    trainer: Any = SimpleNamespace(
        max_epochs=7,
        current_epoch=0,
        default_root_dir=str(tmp_path),
        is_global_zero=True,
        strategy=SimpleNamespace(broadcast=lambda value: value),
        save_checkpoint=lambda path, weights_only: written.append(trainer.current_epoch + 1),
    )

    callback = RunCheckpoint(**settings)
    callback.setup(trainer, SimpleNamespace(), "fit")  # type: ignore[arg-type]
    for epoch in range(7):
        clock[0] += 120
        trainer.current_epoch = epoch
        callback.on_train_epoch_end(trainer, SimpleNamespace())  # type: ignore[arg-type]

    assert written == saved
