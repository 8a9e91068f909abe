"""k-means in the place of TEMI: the papers' baseline, and quick where there are few images.

All clusters are found before the first epoch, which has one step and does nothing: rank 0 computes, the others receive
the centres. So Ctrl-C ends it at once, and a run that is stopped begins again; `last.ckpt` of a finished one holds the
centres.

Source: TEMI's code (Adaloglou et al., BMVC 2023, https://arxiv.org/abs/2303.17896) compares with scikit-learn's
`KMeans(n_clusters, n_init=2)` on raw or standardised features. Spherical k-means is ours.
"""

from functools import partial
from typing import Annotated, Any

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor, nn

from ood_lightning.checks import Check
from ood_lightning.clustering.kmeans import Method, clusters, space_of
from ood_lightning.datamodules.contracts import UnlabelledData, data_of
from ood_lightning.errors import SettingsError
from ood_lightning.functional.kmeans import nearest_centres
from ood_lightning.functional.kmeans_seeds import Space
from ood_lightning.progress import bar
from ood_lightning.ranges import Count, Range, Seed, in_range


class KMeansModule(L.LightningModule):
    """Centres of clusters, found at once.

    Args:
        n_clusters: C.
        method: `spherical`: by cosine; `raw`: by distance; `standardised`: by distance, each dimension with mean 0 and
            deviation 1.
        starts: of which the one with the smallest sum of squared distances is kept.
        most_rounds: of a start, which else ends when no image moves.
        seed: of the starts.
    """

    shift: Tensor  # (D,)
    scale: Tensor  # (D,)

    @in_range
    def __init__(
        self,
        n_clusters: Annotated[int, Range(1, 1_000_000)],
        method: Method = "spherical",
        starts: Count = 2,
        most_rounds: Count = 100,
        seed: Seed = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["encoder"])  # a link would put it here under the CLI
        self.hp: Any = self.hparams
        self.automatic_optimization = False
        self._found = False
        self._measured: dict[str, float] = {}

    @property
    def settings(self) -> dict[str, Any]:
        """What a fit depends on; a run goes on only from a checkpoint with the same."""
        return {name: value for name, value in self.hparams.items() if not name.startswith("_")}

    def recipe(self, trainer: L.Trainer) -> dict[str, Any]:
        """What the recipes of label sets say of this fit."""
        return {
            "kmeans": {name: value for name, value in self.settings.items() if name != "seed"},
            "seed": self.hp.seed,
        }

    def checks(self, data: Any) -> list[Check]:
        """Whether there are as many pictures as clusters, before they are embedded."""
        return [Check("clusters", partial(self._check_count, data))]

    def _check_count(self, data: Any) -> str:
        n_clusters, counted = self.hp.n_clusters, data.id_sets()  # none where pictures are counted by fetching them
        for manifest in counted:
            if manifest.n_samples < n_clusters:
                raise SettingsError(
                    f"set {manifest.name!r} has {manifest.n_samples:,} pictures, fewer than model.n_clusters "
                    f"{n_clusters:,}: ask for fewer clusters"
                )
        return " ".join([f"{n_clusters:,}", *(f"of {manifest.n_samples:,} pictures" for manifest in counted)])

    def setup(self, stage: str) -> None:
        """Make room for the centres.

        Raises:
            SettingsError: there is more than one epoch.
        """
        if self.trainer.max_epochs != 1:
            raise SettingsError(
                f"KMeansModule finds its clusters before the first epoch, and trainer.max_epochs is "
                f"{self.trainer.max_epochs}: set it to 1"
            )
        self._build(data_of(self.trainer, UnlabelledData, self).features.image.shape[1])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Make room before the centres come."""
        self._build(checkpoint["state_dict"]["centres"].shape[1])
        self._found = True

    def _build(self, dim: int) -> None:
        if hasattr(self, "centres"):
            return
        self.centres = nn.Parameter(torch.zeros(self.hp.n_clusters, dim))  # DDP takes no module without parameters
        self.register_buffer("shift", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    def on_fit_start(self) -> None:
        """Find the clusters, unless a checkpoint brought them."""
        if self._found:
            return

        strategy = self.trainer.strategy
        result: Any = self._find(strategy.root_device) if self.trainer.is_global_zero else None
        centres, shift, scale, self._measured = strategy.broadcast(result)
        with torch.no_grad():
            for held, value in ((self.centres, centres), (self.shift, shift), (self.scale, scale)):
                held.copy_(value)
        self._found = True

    def _find(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor, dict[str, float]]:
        """Centres, shift and scale on the CPU, and what there is to log."""
        image, starts, most_rounds = self._image(), self.hp.starts, self.hp.most_rounds
        space = space_of(image, self.hp.method, device)

        with bar(starts * most_rounds, "k-means, at most", "round", delay_s=3) as progress_bar:
            result = clusters(
                image,
                self.hp.n_clusters,
                space,
                seed=self.hp.seed,
                starts=starts,
                most_rounds=most_rounds,
                on_round=lambda start, n: progress_bar.update(start * most_rounds + n + 1 - progress_bar.n),
            )

        in_use = len(result.assignments.unique())
        rank_zero_info(
            f"k-means: {in_use:,} clusters of {len(image):,} pictures after {result.rounds} rounds, squared distances "
            f"{result.inertia:,.4g}"
        )
        measured = {
            "fit/inertia": result.inertia,
            "fit/rounds": float(result.rounds),
            "fit/clusters_in_use": float(in_use),
        }
        return result.centres.cpu(), space.shift.cpu(), space.scale.cpu(), measured

    def _image(self) -> Any:
        return data_of(self.trainer, UnlabelledData, self).features.image

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Nothing is left to do."""

    def on_train_epoch_end(self) -> None:
        """Log how the clusters came out."""
        self.log_dict(self._measured, rank_zero_only=True)

    def configure_optimizers(self) -> None:
        """None: nothing is trained."""

    @torch.inference_mode()
    def assign(self, image: Tensor) -> Tensor:
        """Cluster of each image, shape (N,) int64: that of the nearest centre.

        Args:
            image: features (N, D) as clustered, any float dtype; moved to the module's device block by block.
        """
        space = Space(self.shift, self.scale, self.hp.method == "spherical")
        return nearest_centres(image, self.centres.detach(), space).cluster
