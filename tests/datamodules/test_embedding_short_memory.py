"""Where memory is short, embedding ends in words, and what is stored stays."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from plain_encoder import PlainEncoder
from torch import Tensor
from torch.utils.data import DataLoader

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules.embedding import embed
from ood_lightning.errors import SettingsError


def stopped(manifest_at: Path, encoder: PlainEncoder, words: str) -> FeatureFolder:
    manifest = read_manifest(str(manifest_at))
    with pytest.raises(SettingsError, match=words):
        embed(encoder, manifest, "cache", device=torch.device("cpu"), batch_size=2, num_workers=2)
    return FeatureFolder("cache", manifest, encoder.fingerprint)


def test_shared_memory_that_is_too_small(
    tmp_path: Path, make_set: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    def full(n_bytes: int, device: str) -> None:
        raise RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")

    folder = make_set(tmp_path, "s", shards=(5, 5, 5))
    with monkeypatch.context() as patched:
        patched.setattr(torch.UntypedStorage, "_new_shared", full)  # workers are forked, and so patched too
        left = stopped(folder, PlainEncoder(), "No space left.*--shm-size")
    assert len(left.missing()) == 3
    assert main(["embed", "--encoder=plain_encoder.PlainEncoder", f"--shards=['{folder}']", "--cache_dir=cache"]) == 0
    assert not left.missing()


def test_a_process_that_cannot_be_started(
    tmp_path: Path, make_set: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    def full(self: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DataLoader, "__iter__", full)
    stopped(make_set(tmp_path, "s", shards=(5, 5)), PlainEncoder(), r"cannot be started \(No space left.*num_workers")


class Killing(PlainEncoder):
    """Its pictures of a certain colour use up all memory, so to say."""

    @property
    def transform(self) -> Callable[[Image.Image], Tensor]:
        usual, main_process = super().transform, os.getpid()

        def kill(picture: Image.Image) -> Tensor:
            assert os.getpid() != main_process
            os.kill(os.getpid(), signal.SIGKILL)
            return usual(picture)

        return kill


def test_a_worker_that_is_killed(tmp_path: Path, make_set: Callable[..., Path], capfd: Any):
    left = stopped(make_set(tmp_path, "s", shards=(5, 5)), Killing(), "was killed.*fewer num_workers.*pid")
    assert len(left.missing()) == 2
    assert "Traceback" not in capfd.readouterr().err
