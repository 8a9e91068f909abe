"""TEMI: many clustering heads trained at once on stored features.

Source: Adaloglou et al., BMVC 2023, https://arxiv.org/abs/2303.17896, and its code; ClusterMine uses it unchanged.
Differs: gradients and cluster priors are summed over fixed slices of each batch in a fixed order, so that as many
processes as there are slices, or fewer, train the same heads to the last bit. Rate and momentum reach their ends one
step earlier than in the code, and the rate has its peak once, not twice (functional/temi.py); the warm-up of the
teacher's temperature, there from 0.1 to 0.1, is left out; one head alone trains too. Defaults are its README's CIFAR-10
recipe with ClusterMine's 50 heads, on standardised features.

One step, with B = 1,024 pairs, S = 2 slices and R = 2 processes. Each process has S / R = 1 slice, of 512 pairs:

    batch        image (512, D), neighbour (512, D)       this process's half of the pairs
    slices       1 tensor (1024, D)                       a slice's images, then their neighbours; standardised
    lesson       log q (H, 1024, C), weights (512,)       of each slice: what the teacher says, without gradient
    prior        (H, C)                                   moved towards the mean of both slices
    losses       (H,)                                     under this one prior, summed over slices
    gradients    of every parameter                       head by head (clustering/step.py), summed over slices

Every process sums its slices in pairs, then the sums of the processes are added in pairs: with 8 slices
((1+2)+(3+4)) + ((5+6)+(7+8)). One process alone adds in the same order. Addition of floats depends on the order, so
this keeps the bits. Where processes are more than slices, or do not divide them, each has one slice and an all-reduce
adds them in an order of its own: the heads are equal but for rounding.
"""

from collections.abc import Sequence
from typing import Annotated, Any, cast

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor

from ood_lightning.clustering.heads import TEMIHeads
from ood_lightning.clustering.step import Workspace, by_parameters, lesson, losses_and_gradients, workspace
from ood_lightning.datamodules.contracts import NeighbourData, PairData, data_of, pair_recipe
from ood_lightning.errors import SettingsError
from ood_lightning.functional.temi import cosine, tree_sum, updated_prior, warmup_cosine
from ood_lightning.plurals import many
from ood_lightning.ranges import Count, CountOrZero, NotNegative, Positive, Range, Seed, Share, in_range

ASSIGN_BLOCK = 4096  # fixed, so that an image's cluster does not depend on how many are assigned together
MOST_NUMBERS = 2**32  # of all heads: 86 GB of weights, averages, gradients and AdamW's two moments
REFERENCE_BATCH = 256  # learning rates are given for this batch size


class TEMIModule(L.LightningModule):
    """Student and teacher heads, their loss and schedules.

    Args:
        n_clusters: C.
        n_heads: H; the one with the lowest loss of the last epoch is used.
        beta: exponent of the pairwise agreement.
        lr: peak rate at a batch of 256; scaled linearly with the batch.
        min_lr: rate at the end, scaled alike.
        warmup_epochs: epochs of linear warm-up.
        weight_decay: on matrices, not on biases.
        teacher_momentum: of the moving average at the start.
        max_teacher_momentum: at the end, along a cosine.
        student_temperature: divides the student's logits.
        teacher_temperature: divides the teacher's logits.
        standardise: subtract the training features' mean and divide by their deviation (`embed_norm` in TEMI's code).
        hidden: width of the heads' hidden layer.
        bottleneck: width of their unit-norm layer.
        seed: of the initial weights.
        slices: parts of a batch that are summed in order, a power of two. As many processes, or fewer where they divide
            it, train the same heads to the last bit; more processes add by an all-reduce.
    """

    prior: Tensor  # (H, C), running mean of the teacher's cluster probabilities
    head_loss: Tensor  # (H,), mean over the last finished epoch
    feature_mean: Tensor  # (D,)
    feature_std: Tensor  # (D,)

    @in_range
    def __init__(
        self,
        n_clusters: Annotated[int, Range(1, 1_000_000)],
        n_heads: Annotated[int, Range(1, 10_000)] = 50,
        beta: Positive = 0.6,
        lr: Positive = 1e-4,
        min_lr: NotNegative = 1e-4,
        warmup_epochs: CountOrZero = 20,
        weight_decay: NotNegative = 1e-4,
        teacher_momentum: Share = 0.996,
        max_teacher_momentum: Share = 0.996,
        student_temperature: Positive = 0.1,
        teacher_temperature: Positive = 0.1,
        standardise: bool = True,
        hidden: Annotated[int, Range(1, 65_536)] = 512,
        bottleneck: Annotated[int, Range(1, 65_536)] = 256,
        seed: Seed = 0,
        slices: Count = 2,
    ) -> None:
        super().__init__()
        numbers = n_heads * bottleneck * (hidden + n_clusters)
        if numbers > MOST_NUMBERS:
            raise SettingsError(
                f"TEMIModule: {n_heads} heads of {n_clusters} clusters, {hidden} hidden and {bottleneck} bottleneck "
                f"units hold {numbers:,} numbers, expected {MOST_NUMBERS:,} or fewer: training holds five of each"
            )

        # under the CLI the link to data.encoder would put the encoder object here, which no checkpoint may hold
        self.save_hyperparameters(ignore=["encoder"])
        self.hp: Any = self.hparams
        self.automatic_optimization = False  # gradients are summed here, not by DDP
        self.register_buffer("prior", torch.full((n_heads, n_clusters), 1 / n_clusters))
        self.register_buffer("head_loss", torch.zeros(n_heads))
        self._epoch_losses: list[Tensor] = []  # (H,) of each step
        self._space: Workspace | None = None  # there from the first step to the last

    @property
    def settings(self) -> dict[str, Any]:
        """What a fit depends on; a run goes on only from a checkpoint with the same."""
        return {name: value for name, value in self.hparams.items() if not name.startswith("_")}

    def recipe(self, trainer: L.Trainer) -> dict[str, Any]:
        """What the recipes of label sets say of this fit."""
        data = data_of(trainer, NeighbourData, self)
        heads = {name: value for name, value in self.settings.items() if name != "slices"}  # these change nothing
        return {"temi": {**heads, "epochs": trainer.max_epochs, **pair_recipe(data)}, "seed": data.seed}

    def setup(self, stage: str) -> None:
        """Build the heads for the width of the features, and take the features' mean and deviation."""
        data = data_of(self.trainer, PairData, self)
        self._share_slices(data.batch_size)
        self._batch_size, image = data.batch_size, data.features.image
        self._build(image.shape[1])
        if self.settings["standardise"]:
            self.feature_mean.copy_(data.moments.mean)
            self.feature_std.copy_(data.moments.deviation.clamp_min(1e-12))  # a constant dimension would give NaN

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Build the heads before their weights come."""
        self._build(checkpoint["state_dict"]["student.weight1"].shape[1])

    def _build(self, dim: int) -> None:
        """Student and teacher with the same weights, once: a checkpoint may have come before `setup`."""
        if hasattr(self, "student"):
            return
        shape = (self.hp.n_heads, dim, self.hp.n_clusters, self.hp.hidden, self.hp.bottleneck, self.hp.seed)
        self.student = TEMIHeads(*shape)
        self.teacher = TEMIHeads(*shape).requires_grad_(False)
        self.register_buffer("feature_mean", torch.zeros(dim))
        self.register_buffer("feature_std", torch.ones(dim))

    def _share_slices(self, batch_size: int) -> None:
        """How many slices a batch has, and how many of them this process.

        Raises:
            SettingsError: the batch does not divide into them.
        """
        slices, world_size = int(self.hp.slices), self.trainer.world_size
        self._in_order = slices % world_size == 0
        self._n_slices = slices if self._in_order else world_size
        if slices & (slices - 1) or batch_size % self._n_slices:
            raise SettingsError(
                f"slices {slices} must be a power of two, and the batch_size {batch_size} must divide into "
                f"{self._n_slices} equal slices ({many(world_size, 'process', 'processes')})"
            )
        if not self._in_order:
            rank_zero_info(
                f"{world_size} processes and model.slices {slices}: an all-reduce adds the gradients, and the heads "
                f"equal those of one process but for rounding, not to the last bit as with {slices} processes"
            )

    def on_train_start(self) -> None:
        """Let the products of the steps use TF32 where the device has it; scores are computed without."""
        self._before = torch.get_float32_matmul_precision()
        if self.device.type == "cuda":
            torch.set_float32_matmul_precision("high")

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """One step on this rank's slices of a batch of pairs."""
        slices = self._slices(batch)
        space = self._space = self._space or workspace(self.student, slices)
        learnt = lesson(self.teacher, slices, space, self.hp.teacher_temperature)
        (mass,) = self._over_ranks([learnt.mass])
        self.prior = updated_prior(self.prior, mass / self._n_slices)

        losses, gradients = losses_and_gradients(
            self.student,
            slices,
            learnt,
            space,
            self.prior,
            beta=self.hp.beta,
            temperature=self.hp.student_temperature,
        )
        losses, *gradients = self._over_ranks([losses, *gradients])
        for gradient in gradients:
            gradient.div_(self.hp.n_heads * self._n_slices)  # of the mean over heads and slices
        self._step(by_parameters(self.student, gradients))
        self._epoch_losses.append(losses / self._n_slices)

    def _slices(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """This rank's share of the slices, each (2 B / S, D): the images, then their neighbours; standardised."""
        share = self._n_slices // self.trainer.world_size
        slices = zip(batch["image"].chunk(share), batch["neighbour"].chunk(share), strict=True)
        return [self._standardised(torch.cat(pair)) for pair in slices]

    def _standardised(self, features: Tensor) -> Tensor:
        return (features - self.feature_mean) / self.feature_std

    def _over_ranks(self, sums: list[Tensor]) -> list[Tensor]:
        """Sums over all ranks; in one order, whatever their number, where there are slices enough."""
        world_size = self.trainer.world_size
        if world_size == 1:
            return sums

        strategy = self.trainer.strategy
        if world_size == 2 or not self._in_order:  # a + b is b + a: two have but one order
            return [cast("Tensor", strategy.reduce(one, reduce_op="sum")) for one in sums]
        return [tree_sum(strategy.all_gather(one)) for one in sums]

    def _step(self, gradients: Sequence[Tensor]) -> None:
        """Move the student by AdamW at this step's rate, and the teacher towards the student.

        Args:
            gradients: by the student's parameters, in their order.
        """
        per_epoch, epochs = int(self.trainer.num_training_batches), int(self.trainer.max_epochs or 0)
        step, total = self.global_step, per_epoch * epochs

        # The last layer rests during the first epoch, as in TEMI's code. None, not zero: AdamW then leaves out weight
        # decay too.
        resting = {id(parameter) for parameter in self.student.last_layer()} if self.current_epoch == 0 else set()
        for parameter, gradient in zip(self.student.parameters(), gradients, strict=True):
            parameter.grad = None if id(parameter) in resting else gradient

        scale, warmup = self._batch_size / REFERENCE_BATCH, self.hp.warmup_epochs * per_epoch
        rate = warmup_cosine(step, total=total, warmup=warmup, peak=self.hp.lr * scale, final=self.hp.min_lr * scale)
        optimizer: Any = self.optimizers()  # Lightning's wrapper of the only one
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()

        momentum = cosine(step, total=total, start=self.hp.teacher_momentum, end=self.hp.max_teacher_momentum)
        with torch.no_grad():
            for average, parameter in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
                average.lerp_(parameter, 1 - momentum)

    def on_train_epoch_end(self) -> None:
        """Average the epoch's losses and log how the clusters fare."""
        if not self._epoch_losses:
            return
        self.head_loss = torch.stack(self._epoch_losses).mean(dim=0)
        self._epoch_losses.clear()
        if not torch.isfinite(self.head_loss).all():
            raise SettingsError("the loss is not finite: lower lr, or check the features")

        best, entropy = self.best_head, torch.special.entr(self.prior).sum(dim=1)  # (H,), nats
        values = {
            "fit/loss": self.head_loss.mean(),
            "fit/loss_best_head": self.head_loss[best],
            "fit/prior_entropy": entropy.mean(),
            "fit/prior_entropy_best_head": entropy[best],
            "fit/clusters_in_use_best_head": entropy[best].exp(),  # equally large clusters of the same entropy
            "fit/lr": torch.tensor(self.trainer.optimizers[0].param_groups[0]["lr"]),
        }
        # equal on every rank: all of it was gathered; sync_dist would only average equal numbers
        self.log_dict(values, prog_bar=False, rank_zero_only=True)
        self.log("loss", self.head_loss[best], prog_bar=True, logger=False, rank_zero_only=True)

    def on_train_end(self) -> None:
        """Give back the memory of the steps, and the precision of products."""
        torch.set_float32_matmul_precision(self._before)
        self._space = None
        self.student.zero_grad()

    @property
    def best_head(self) -> int:
        """Head with the lowest loss of the last epoch; the earlier one of equals."""
        return int(self.head_loss.argmin())

    @torch.inference_mode()
    def assign(self, image: Tensor) -> Tensor:
        """Cluster of each image, shape (N,) int64, by the best head of the teacher.

        Args:
            image: features (N, D) as trained on, any float dtype; moved to the module's device block by block.
        """
        clusters = []
        for block in image.split(ASSIGN_BLOCK):
            features = self._standardised(block.to(self.prior.device).float())
            logits = self.teacher(features, self.best_head)[0]  # (n, C)
            clusters.append(logits.argmax(dim=1).cpu())
        return torch.cat(clusters)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; the rate is set in every step."""
        heads = self.student
        matrices = [heads.weight1, heads.weight2, heads.last_direction, heads.last_gain]
        groups = [
            {"params": matrices, "weight_decay": self.hp.weight_decay},
            {"params": [heads.bias1, heads.bias2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.hp.lr, fused=True)
