"""Checkpoints of fits that may be stopped: written at epochs' ends, and resumed only by the run that wrote them."""

from io import BytesIO
from pathlib import Path
from time import monotonic
from typing import Any, Protocol
from zipfile import BadZipFile, ZipFile

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ood_lightning.data.artifacts.files import atomic_write, sweep
from ood_lightning.datamodules.contracts import data_of
from ood_lightning.errors import SettingsError, first_line
from ood_lightning.hashes import run_hash
from ood_lightning.masking import masked
from ood_lightning.ranges import Count, NotNegative, in_range

LAST = "last.ckpt"
RUN = "ood_lightning_run"
TRAIN_ANEW = "remove it, and the same command trains from the beginning; features are kept"


class Resumable(Protocol):
    """A module, or a data module, of a fit that can go on from a checkpoint.

    Attributes:
        settings: all that the fit's result depends on, as plain data.
    """

    @property
    def settings(self) -> dict[str, Any]: ...  # noqa: D102


def settings(trainer: L.Trainer, module: Resumable, data: Resumable) -> dict[str, Any]:
    """All settings that a fit's result depends on, as plain data: those of its module and of its data."""
    return {**module.settings, "max_epochs": trainer.max_epochs, **data.settings}


def read_checkpoint(path: Path, advice: str = TRAIN_ANEW) -> dict[str, Any]:
    """A checkpoint, its tensors left in the file, once all of it was compared with its checksums.

    Args:
        path: of the file.
        advice: what to do where it is damaged.

    Raises:
        SettingsError: it is damaged; torch alone does not look at the checksums that it writes.
    """
    path.open("rb").close()  # rights, and too many open files, are no damage

    try:
        with ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise BadZipFile(f"{damaged} is not what was written, by its CRC-32")
        return {**torch.load(path, weights_only=True, mmap=True, map_location="cpu")}
    except Exception as cause:  # of a damaged file, zipfile and torch raise nearly anything
        raise SettingsError(f"{path} is damaged, or no checkpoint ({first_line(cause)}): {advice}") from None


def hash_of_fit(trainer: L.Trainer, module: Resumable, data: Any, **deciding: object) -> str:
    """The hash of a fit, which stands in the files that it writes.

    Args:
        trainer: of the fit.
        module: of the fit.
        data: its data module, with the manifests of its sets.
        deciding: what else decides.
    """
    manifests = getattr(data, "manifests", None) or [data.manifest]
    places = ("id_shards", "synthetic_shards")  # what lies there has the hashes of its manifests
    kept = {name: value for name, value in settings(trainer, module, data).items() if name not in places}
    return run_hash({**kept, "sets": [(manifest.name, manifest) for manifest in manifests], **deciding})


def checkpoint_of(trainer: L.Trainer, module: Any, data: Any) -> Path | None:
    """The checkpoint that this very run left in its folder, if any.

    Raises:
        SettingsError: a run with other settings left it; the message names what differs.
    """
    path = Path(trainer.default_root_dir) / LAST
    if not path.is_file():
        return None

    before = read_checkpoint(path).get(RUN, {})
    now = settings(trainer, module, data)
    before |= {name: masked(value) for name, value in before.items() if isinstance(value, str)}
    if "id_set" not in before:  # written before it was kept: nothing is known of what lay at the path then
        now.pop("id_set", None)

    if changed := [
        f"{name} {before.get(name)!r} there, {now[name]!r} now" for name in now if before.get(name) != now[name]
    ]:
        raise SettingsError(
            f"{path} was made with other settings ({'; '.join(changed[:4])}). Give this run a folder of its own with "
            f"--trainer.default_root_dir, or remove the old one."
        )
    return path


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint under a temporary name beside its place, and renames it.

    Lightning writes into the system's folder for temporary files, often on another disk, and copies from there: a
    process killed meanwhile would leave half a checkpoint in the place of a whole one, and a full disk is not named.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write it.

        Raises:
            UnwritableError: the disk is full, or the folder may not be written to.
        """
        content = BytesIO()
        torch.save(checkpoint, content)
        atomic_write(Path(path), content.getbuffer())


class RunCheckpoint(Checkpoint):
    """`last.ckpt` in the run's folder, at the end of every n-th epoch and of the last.

    Never inside an epoch: Lightning would then repeat its first batches and leave out the others. Not a
    `ModelCheckpoint`: in Lightning 2.6 one with `save_top_k=0` writes its `last.ckpt` only when all training is done.

    Args:
        every_n_epochs: how often.
        every_n_minutes: no sooner than so many minutes after the one before, the last epoch's excepted: at ImageNet's
            size a checkpoint of 50 heads has 1.7 GB, and an epoch on a GPU takes seconds.
    """

    @in_range
    def __init__(self, every_n_epochs: Count = 1, every_n_minutes: NotNegative = 0.0) -> None:
        self.every_n_epochs, self.every_n_minutes = every_n_epochs, every_n_minutes
        self._last_s = monotonic()

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Have checkpoints written whole or not at all."""
        trainer.strategy.checkpoint_io = WholeFiles()
        self._last_s = monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: D102
        finished = trainer.current_epoch + 1
        if finished != trainer.max_epochs and (finished % self.every_n_epochs or self._too_soon(trainer)):
            return

        self._last_s = monotonic()
        folder = Path(trainer.default_root_dir)
        trainer.save_checkpoint(folder / LAST, weights_only=False)  # rank 0 writes, the others wait
        if trainer.is_global_zero:
            sweep(folder, {LAST})

    def _too_soon(self, trainer: L.Trainer) -> bool:
        """Whether fewer minutes have passed by rank 0's clock: the ranks' own ones differ, and all have to save."""
        return bool(trainer.strategy.broadcast(monotonic() - self._last_s < 60 * self.every_n_minutes))

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:  # noqa: D102
        checkpoint[RUN] = settings(trainer, pl_module, data_of(trainer, Resumable, self))

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:  # noqa: D102
        if not isinstance(exception, KeyboardInterrupt | SIGTERMException) or not trainer.is_global_zero:
            return

        path = Path(trainer.default_root_dir) / LAST
        kept = f"{path} holds the epochs up to its last save" if path.is_file() else "finished features are kept"

        epoch, n_epochs = trainer.current_epoch, trainer.max_epochs or 0
        when = f"in epoch {epoch + 1} of {n_epochs}" if epoch < n_epochs else "after training"
        print(f"stopped {when}: {kept}.", flush=True)
