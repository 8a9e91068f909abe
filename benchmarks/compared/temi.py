"""TEMI's training step: ours, as a loop over heads that autograd runs through (the way of the published code), bare."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from benchmarks.rows import Row, Ways
from ood_lightning.modules.temi import TEMIModule

HIDDEN, BOTTLENECK = 512, 256
AIM = (
    "ours at most {} times bare and below the loop; at most {} GB above parameters, teacher, gradient and AdamW's state"
)


def rows(small: bool) -> list[Row]:
    """The paper's ImageNet shape at two batch sizes, and a narrow one."""
    shapes = [
        ("temi-imagenet", 1024, 4000, 50, 256, 1.7, 1.0),
        ("temi-narrow", 512, 1000, 10, 256, 1.7, 1.0),
        ("temi-batch", 1024, 4000, 10, 1024, 1.5, 1.2),
    ]
    made = []
    for name, dim, n_clusters, n_heads, batch, ratio, memory in shapes:
        if small:
            dim, n_clusters, n_heads, batch = dim // 16, n_clusters // 100, 2, 8
        kept = 5 * 4 * n_heads * (dim * HIDDEN + HIDDEN * BOTTLENECK + BOTTLENECK * n_clusters)
        made.append(
            Row(
                name,
                "TEMI step",
                f"D {dim:,}, C {n_clusters:,}, H {n_heads}, B {batch:,}; {kept / 1e9:.2f} GB of parameters and so on",
                "11 products of each head: 3 forward of student and of teacher, 5 backward",
                AIM.format(ratio, memory),
                partial(ways, dim, n_clusters, n_heads, batch),
                repeats=3,
            )
        )
    return made


def ways(dim: int, n_clusters: int, n_heads: int, batch: int) -> Ways:
    """One training step of each kind on the same pairs."""
    draw = torch.Generator().manual_seed(0)
    image, neighbour = (F.normalize(torch.randn(batch, dim, generator=draw), dim=1) * dim**0.5 for _ in range(2))
    return {
        "bare": bare(dim, n_clusters, n_heads, batch),
        "ours": ours(n_clusters, n_heads, image, neighbour, slices=2),
        "ours, slices: 1": ours(n_clusters, n_heads, image, neighbour, slices=1),
        "ours, slices: 8": ours(n_clusters, n_heads, image, neighbour, slices=8),
        "published loop": published(n_clusters, n_heads, image, neighbour),
    }


def bare(dim: int, n_clusters: int, n_heads: int, batch: int) -> Callable[[], object]:
    """The products of a step alone."""
    rows, hidden, code = torch.randn(2 * batch, dim), torch.randn(2 * batch, HIDDEN), torch.randn(2 * batch, BOTTLENECK)
    weight1, weight2 = torch.randn(dim, HIDDEN), torch.randn(HIDDEN, BOTTLENECK)
    last, logits = torch.randn(BOTTLENECK, n_clusters), torch.randn(2 * batch, n_clusters)

    def products() -> None:
        for _ in range(n_heads):
            for _ in ("student", "teacher"):
                rows @ weight1, hidden @ weight2, code @ last
            code.T @ logits, logits @ last.T, hidden.T @ code, code @ weight2.T, rows.T @ hidden

    return products


class OneProcess(TEMIModule):
    """The module in the middle of a run, without a trainer's loop."""

    global_step = property(lambda self: 1000)
    current_epoch = property(lambda self: 1)
    trainer = property(lambda self: SimpleNamespace(world_size=1, num_training_batches=100, max_epochs=100))

    def start(self, dim: int, batch: int) -> None:
        self._batch_size = batch
        self._share_slices(batch)
        self._build(dim)
        self._optimizer = self.configure_optimizers()

    def optimizers(self, use_pl_optimizer: bool = True) -> Any:
        return self._optimizer

    def once(self, pairs: dict[str, Tensor]) -> None:
        self.training_step(pairs, 0)
        self._epoch_losses.clear()


def ours(n_clusters: int, n_heads: int, image: Tensor, neighbour: Tensor, slices: int) -> Callable[[], object]:
    """The whole training step of our module."""
    module = OneProcess(n_clusters, n_heads, slices=slices)
    module.start(image.shape[1], len(image))
    return partial(module.once, {"image": image, "neighbour": neighbour})


class Head(nn.Module):
    """One head as TEMI's code has it."""

    def __init__(self, dim: int, n_clusters: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(dim, HIDDEN), nn.Linear(HIDDEN, BOTTLENECK)
        self.last = weight_norm(nn.Linear(BOTTLENECK, n_clusters, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.normalize(self.second(F.gelu(self.first(x))), dim=-1))


def published(n_clusters: int, n_heads: int, image: Tensor, neighbour: Tensor) -> Callable[[], object]:
    """A list of heads, each with its own loss, and one backward pass through all of them."""
    student, teacher = (nn.ModuleList(Head(image.shape[1], n_clusters) for _ in range(n_heads)) for _ in range(2))
    teacher.load_state_dict(student.state_dict())
    teacher.requires_grad_(False)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-4, weight_decay=1e-4)
    priors = [torch.full((1, n_clusters), 1 / n_clusters) for _ in range(n_heads)]

    def step() -> None:
        of_student = [[head(view) / 0.1 for view in (image, neighbour)] for head in student]
        with torch.no_grad():
            of_teacher = [[(head(view) / 0.1).softmax(dim=-1) for view in (image, neighbour)] for head in teacher]
        weight = torch.stack([(a * b).sum(dim=-1) for a, b in of_teacher]).mean(dim=0)

        losses = []
        for i, (said, told) in enumerate(zip(of_student, of_teacher, strict=True)):
            priors[i] = 0.9 * priors[i] + 0.1 * torch.cat(told).mean(dim=0, keepdim=True)
            both = [
                -((student_view.softmax(dim=-1) * teacher_view) ** 0.6 / priors[i]).sum(dim=-1).log()
                for student_view, teacher_view in ((said[0], told[1]), (said[1], told[0]))
            ]
            losses.append((weight * sum(both) / 2).mean())

        optimizer.zero_grad()
        torch.stack(losses).mean().backward()
        optimizer.step()
        with torch.no_grad():
            for average, parameter in zip(teacher.parameters(), student.parameters(), strict=True):
                average.mul_(0.996).add_(parameter, alpha=0.004)

    return step
