"""TEMI's step beside the published loop over heads, and two processes that share one device."""

import os
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, distributed
from torch.multiprocessing import spawn
from torch.nn import functional as F

from benchmarks.compared.temi import OneProcess, published
from benchmarks.gpu.clock import agreement, timed

SHAPES = [
    ("ImageNet", 1024, 4000, 50, 1024),
    ("ImageNet, batch 256", 1024, 4000, 50, 256),
    ("narrow", 512, 1000, 10, 256),
]
PRECISIONS = [("float32", "highest", False), ("TF32", "high", False), ("bf16", "high", True)]
STEPS = 3


def section(small: bool, device: torch.device) -> dict[str, Any]:
    """Seconds of a step, and the peak memory beside what was there before it."""
    found: dict[str, Any] = {}
    for name, *shape in [("tiny", 16, 10, 2, 8)] if small else SHAPES:
        dim, n_clusters, n_heads, batch = shape
        pairs = _pairs(dim, batch, device)
        for what, precision, bf16 in PRECISIONS:
            torch.set_float32_matmul_precision(precision)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):  # as the trainer's bf16-mixed
                for slices in (1, 2):
                    module = _module(n_clusters, n_heads, slices, dim, batch, device)
                    found[f"{name}, ours, slices {slices}, {what}"] = timed(partial(module.once, pairs), device)
                    del module

                with torch.device(device):  # its heads are made there
                    step = published(n_clusters, n_heads, pairs["image"], pairs["neighbour"])
                found[f"{name}, published loop, {what}"] = timed(step, device)
                del step

    return found


def _pairs(dim: int, batch: int, device: torch.device) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(0)
    made = (F.normalize(torch.randn(batch, dim, generator=draw), dim=1) * dim**0.5 for _ in range(2))
    return dict(zip(("image", "neighbour"), (one.to(device) for one in made), strict=True))


def _module(n_clusters: int, n_heads: int, slices: int, dim: int, batch: int, device: torch.device) -> OneProcess:
    module = OneProcess(n_clusters, n_heads, slices=slices)
    module.start(dim, batch)
    return module.to(device)


class OfTwo(OneProcess):
    """One of two processes; sums go over gloo, which takes tensors of one device from both, as NCCL does not."""

    trainer = property(  # type: ignore[assignment]
        lambda self: SimpleNamespace(
            world_size=2, num_training_batches=100, max_epochs=100, strategy=SimpleNamespace(reduce=_reduce)
        )
    )


def _reduce(tensor: Tensor, reduce_op: str) -> Tensor:
    distributed.all_reduce(tensor)
    return tensor


def section_two(small: bool, device: torch.device) -> dict[str, Any]:
    """Weights after three steps of one process and of two that share the device, and seconds of a step of the two."""
    torch.set_float32_matmul_precision("highest")
    dim, n_clusters, n_heads, batch = shape = (16, 10, 2, 8) if small else (512, 1000, 10, 256)
    alone = _module(n_clusters, n_heads, 2, dim, batch, device)
    pairs = _pairs(dim, batch, device)
    for _ in range(STEPS):
        alone.once(pairs)

    with TemporaryDirectory() as folder:
        spawn(_one_of_two, (folder, shape, str(device)), nprocs=2)
        ranks = [torch.load(Path(folder, f"{rank}.pt"), weights_only=True) for rank in range(2)]
    weights, of_ranks = all_weights(alone), [rank["weights"] for rank in ranks]
    return {
        "one against two": agreement(weights, of_ranks[0], absolute=0.0),
        "rank 0 against rank 1": agreement(of_ranks[0], of_ranks[1], absolute=0.0),
        "step of two, s": max(rank["s"] for rank in ranks),
    }


def _one_of_two(rank: int, folder: str, shape: tuple[int, int, int, int], device: str) -> None:
    dim, n_clusters, n_heads, batch = shape
    if device == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    torch.set_float32_matmul_precision("highest")
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )

    module = OfTwo(n_clusters, n_heads, slices=2)
    module.start(dim, batch)
    module.to(device)
    half = {name: part.chunk(2)[rank] for name, part in _pairs(dim, batch, torch.device(device)).items()}
    for _ in range(STEPS):
        module.once(half)
    weights = all_weights(module)

    spent = timed(partial(module.once, half), torch.device(device), seconds=0.0)  # as many turns in both processes
    torch.save({"weights": weights, "s": spent.s}, Path(folder, f"{rank}.pt"))
    distributed.destroy_process_group()


def all_weights(module: OneProcess) -> Tensor:
    """Of the student, in a row, on the CPU."""
    return torch.cat([weight.detach().cpu().flatten() for weight in module.student.parameters()])
