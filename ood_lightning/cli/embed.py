"""`embed`: features of sets, by any number of processes that need no connection to one another."""

from __future__ import annotations

import os

from ood_lightning.encoders.base import Encoder


def share() -> tuple[int, int]:
    """Rank and number of processes, from Slurm (tasks of a step) or torchrun; one process otherwise."""
    for rank, world in (("SLURM_PROCID", "SLURM_NTASKS"), ("RANK", "WORLD_SIZE")):
        if rank in os.environ and world in os.environ:
            return int(os.environ[rank]), int(os.environ[world])
    return 0, 1


def embed(
    encoder: Encoder,
    shards: list[str],
    cache_dir: str = ".cache/features",
    embed_batch_size: int = 256,
    num_workers: int = 2,
    max_bad_samples: int = 0,
) -> int:
    """Store the features of sets. Finished shards are never repeated.

    Args:
        encoder: frozen image-text towers; their `also` names further columns to store.
        shards: folders with manifests, or tars by brace lists.
        cache_dir: folder of all features.
        embed_batch_size: pictures in a batch of the encoder.
        num_workers: processes that decode pictures.
        max_bad_samples: undecodable pictures that a set may have; they are listed.
    """
    from ood_lightning.cli.device import pick
    from ood_lightning.data.manifest import read_manifest
    from ood_lightning.data.precision import FromFP32
    from ood_lightning.datamodules.embedding import embed as embed_set

    rank, world = share()
    device = pick(int(os.environ.get("SLURM_LOCALID", os.environ.get("LOCAL_RANK", rank))))
    for source in shards:
        manifest = read_manifest(source)
        folder = embed_set(
            encoder,
            manifest,
            cache_dir,
            device=device,
            rank=rank,
            world_size=world,
            batch_size=embed_batch_size,
            num_workers=num_workers,
            max_bad_samples=max_bad_samples,
            also=encoder.also,
        )
        missing = len(folder.missing())
        left = f"{missing} of {len(manifest.shards)} shards are with other processes" if missing else "complete"
        bad = folder.bad(max_bad_samples)  # the limit is the set's; while it is read, each shard is held to it alone
        lost = f" ({len(bad)} cannot be decoded)" if bad else ""
        print(f"{manifest.name}: {manifest.n_samples:,} pictures{lost}, {left}: {folder.path}")
        if stated := FromFP32.read(folder.path):
            print(f"{manifest.name}: {stated}")
    return 0
