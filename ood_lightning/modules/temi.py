"""TEMI: many clustering heads trained at once on stored features.

Source: Adaloglou et al., BMVC 2023, https://arxiv.org/abs/2303.17896, and its code; ClusterMine uses it as it is.
Differs: gradients and cluster priors are summed over fixed slices of each batch in a fixed order, so that any number of
processes trains the same heads to the last bit.
"""

from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor

from ood_lightning.clustering.heads import TEMIHeads
from ood_lightning.errors import SettingsError
from ood_lightning.functional.reduction import tree_sum
from ood_lightning.functional.temi import cosine, head_losses, updated_prior, warmup_cosine

ASSIGN_BLOCK = 4096  # fixed, so that an image's cluster does not depend on how many are assigned together
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
        slices: parts of a batch that are summed in order, a power of two; the number of processes must divide it.
    """

    student: TEMIHeads | None
    teacher: TEMIHeads
    prior: Tensor
    head_loss: Tensor
    feature_mean: Tensor
    feature_std: Tensor

    def __init__(
        self,
        n_clusters: int,
        n_heads: int = 50,
        beta: float = 0.6,
        lr: float = 1e-4,
        min_lr: float = 1e-4,
        warmup_epochs: int = 20,
        weight_decay: float = 1e-4,
        teacher_momentum: float = 0.996,
        max_teacher_momentum: float = 0.996,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.1,
        standardise: bool = True,
        hidden: int = 512,
        bottleneck: int = 256,
        seed: int = 0,
        slices: int = 8,
    ) -> None:
        super().__init__()
        # under the CLI the link to data.encoder would put the encoder object here, which no checkpoint may hold
        self.save_hyperparameters(ignore=["encoder"])
        self.automatic_optimization = False  # gradients are summed here, not by DDP
        self.student = None
        self.register_buffer("prior", torch.full((n_heads, n_clusters), 1 / n_clusters))
        self.register_buffer("head_loss", torch.zeros(n_heads))  # mean over the last finished epoch
        self._epoch_losses: list[Tensor] = []

    def _build(self, dim: int) -> None:
        if self.student is not None:
            return
        p: Any = self.hparams
        self.student = TEMIHeads(p.n_heads, dim, p.n_clusters, p.hidden, p.bottleneck, p.seed)
        self.teacher = TEMIHeads(p.n_heads, dim, p.n_clusters, p.hidden, p.bottleneck, p.seed).requires_grad_(False)
        self.register_buffer("feature_mean", torch.zeros(dim))
        self.register_buffer("feature_std", torch.ones(dim))

    @property
    def _student(self) -> TEMIHeads:
        assert self.student is not None  # built in setup, or when a checkpoint is loaded
        return self.student

    @property
    def settings(self) -> dict[str, Any]:
        """What a fit depends on; a run goes on only from a checkpoint with the same."""
        return {name: value for name, value in self.hparams.items() if not name.startswith("_")}

    def setup(self, stage: str) -> None:
        """Build the heads for the width of the features, and take the features' mean and deviation."""
        p: Any = self.hparams
        slices, world = p.slices, self.trainer.world_size
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if slices & (slices - 1) or slices % world or data.batch_size % slices:
            raise SettingsError(
                f"slices {slices} must be a power of two that the {world} processes divide, and must divide the "
                f"batch_size {data.batch_size}"
            )
        image = data.features.image
        self._build(image.shape[1])
        if p.standardise:
            deviation, mean = torch.std_mean(image.double(), dim=0)
            self.feature_mean.copy_(mean)
            self.feature_std.copy_(deviation.clamp_min(1e-12))  # a constant dimension would give NaN

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Build the heads before their weights come."""
        self._build(checkpoint["state_dict"]["student.weight1"].shape[1])

    def _standardised(self, features: Tensor) -> Tensor:
        return (features - self.feature_mean) / self.feature_std

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """One step on this rank's slices of a batch of pairs."""
        p: Any = self.hparams
        share = p.slices // self.trainer.world_size
        pairs = [
            self._standardised(torch.cat(pair))
            for pair in zip(batch["image"].chunk(share), batch["neighbour"].chunk(share), strict=True)
        ]
        with torch.no_grad():
            teacher = [self.teacher(pair) for pair in pairs]
            mass = [(logits / p.teacher_temperature).softmax(dim=-1).mean(dim=1) for logits in teacher]
            self.prior = updated_prior(self.prior, self._summed(mass) / p.slices)
        parameters = list(self._student.parameters())
        gradients, losses = [], []
        for pair, target in zip(pairs, teacher, strict=True):
            first, second = self._student(pair).chunk(2, dim=1)
            first_target, second_target = target.chunk(2, dim=1)
            loss = head_losses(
                first,
                second,
                first_target,
                second_target,
                self.prior,
                beta=p.beta,
                student_temperature=p.student_temperature,
                teacher_temperature=p.teacher_temperature,
            )
            found = torch.autograd.grad(loss.mean(), parameters)
            gradients.append(torch.cat([g.flatten() for g in found]))
            losses.append(loss.detach())
        self._step(parameters, self._summed(gradients) / p.slices)
        self._epoch_losses.append(self._summed(losses) / p.slices)

    def _summed(self, parts: list[Tensor]) -> Tensor:
        """Sum over all slices of all ranks, in one order."""
        mine = tree_sum(parts)
        if self.trainer.world_size == 1:
            return mine
        gathered: Any = self.all_gather(mine)
        return tree_sum(gathered.unbind())

    def _step(self, parameters: list[torch.nn.Parameter], gradient: Tensor) -> None:
        p: Any = self.hparams
        per_epoch, epochs = int(self.trainer.num_training_batches), int(self.trainer.max_epochs or 0)
        step, total = self.global_step, per_epoch * epochs
        frozen = {id(last) for last in self._student.last_layer()} if self.current_epoch == 0 else set()
        for parameter, part in zip(parameters, gradient.split([q.numel() for q in parameters]), strict=True):
            # None, not zero: AdamW then leaves out weight decay too
            parameter.grad = None if id(parameter) in frozen else part.view_as(parameter)
        scale = self.trainer.datamodule.batch_size / REFERENCE_BATCH  # type: ignore[attr-defined]
        optimizer = self.optimizers()
        rate = warmup_cosine(
            step, total=total, warmup=p.warmup_epochs * per_epoch, peak=p.lr * scale, final=p.min_lr * scale
        )
        for group in optimizer.param_groups:  # type: ignore[union-attr]
            group["lr"] = rate
        optimizer.step()  # type: ignore[union-attr]
        momentum = cosine(step, total=total, start=p.teacher_momentum, end=p.max_teacher_momentum)
        with torch.no_grad():
            for mean, parameter in zip(self.teacher.parameters(), parameters, strict=True):
                mean.lerp_(parameter, 1 - momentum)

    def on_train_epoch_end(self) -> None:
        """Average the epoch's losses and log how the clusters fare."""
        if not self._epoch_losses:
            return
        self.head_loss = torch.stack(self._epoch_losses).mean(dim=0)
        self._epoch_losses.clear()
        if not torch.isfinite(self.head_loss).all():
            raise SettingsError("the loss is not finite: lower lr, or check the features")
        entropy = torch.special.entr(self.prior).sum(dim=1)
        best = self.best_head
        values = {
            "fit/loss": self.head_loss.mean(),
            "fit/loss_best_head": self.head_loss[best],
            "fit/prior_entropy": entropy.mean(),
            "fit/prior_entropy_best_head": entropy[best],
            "fit/clusters_in_use_best_head": entropy[best].exp(),  # equally large clusters of the same entropy
            "fit/lr": torch.tensor(self.optimizers().param_groups[0]["lr"]),  # type: ignore[union-attr]
        }
        # equal on every rank: all of it was gathered; sync_dist would only average equal numbers
        self.log_dict(values, prog_bar=False, rank_zero_only=True)
        self.log("loss", self.head_loss[best], prog_bar=True, logger=False, rank_zero_only=True)

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
        parts = [
            self.teacher(self._standardised(block.to(self.prior.device).float()), self.best_head)[0].argmax(dim=1).cpu()
            for block in image.split(ASSIGN_BLOCK)
        ]
        return torch.cat(parts)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; the rate is set in every step."""
        p: Any = self.hparams
        heads = self._student
        matrices = [heads.weight1, heads.weight2, heads.last_direction, heads.last_gain]
        groups = [
            {"params": matrices, "weight_decay": p.weight_decay},
            {"params": [heads.bias1, heads.bias2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=p.lr)
