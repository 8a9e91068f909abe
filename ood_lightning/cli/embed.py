"""`embed`: features of sets, by any number of processes that need no connection to one another."""

import os
from functools import cache, partial
from pathlib import Path
from typing import Any

from ood_lightning.checks import before_work
from ood_lightning.cli.launch import is_slurm_task
from ood_lightning.cli.loggers import viewer
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import SOME_UNREAD, SettingsError, ShardContentError, check_least
from ood_lightning.places import FEATURES
from ood_lightning.plurals import listed


def share() -> tuple[int, int]:
    """Rank and number of all processes that share the work: those of torchrun or `srun`, in each task of an array.

    Raises:
        SettingsError: the numbers of an array do not say how many of its tasks come before this one.
    """
    # of a step: a job without `srun` has SLURM_PROCID and SLURM_NTASKS too, though nobody starts the other tasks
    variables = [("RANK", "WORLD_SIZE")]
    if is_slurm_task(os.environ, os.getpid()):
        variables.append(("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"))
    known = [(int(os.environ[r]), int(os.environ[w])) for r, w in variables if {r, w} <= os.environ.keys()]
    rank, world = [*known, (0, 1)][0]

    task, tasks = _of_array()
    return task * world + rank, tasks * world


def _of_array() -> tuple[int, int]:
    names = [f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "MAX", "COUNT")]
    if not os.environ.keys() >= {*names}:
        return 0, 1

    number, lowest, highest, tasks = (int(os.environ[name]) for name in names)
    step, rest = divmod(highest - lowest, tasks - 1) if tasks > 1 else (1, 0)
    if rest or (number - lowest) % step:
        raise SettingsError(
            f"task {number} of an array of {tasks} numbers from {lowest} to {highest}: they are not evenly spaced, so "
            f"its share is unknown. Submit --array=0-{tasks - 1}: finished shards are not repeated, whatever the "
            f"numbers."
        )
    return (number - lowest) // step, tasks


def embed(
    encoder: Encoder,
    shards: list[str],
    cache_dir: str = FEATURES,
    embed_batch_size: int = 256,
    num_workers: int = 2,
    max_bad_samples: int = 0,
) -> int:
    """Store the features of sets. Finished shards are never repeated.

    Args:
        encoder: frozen image-text towers; their `extra_features` names further columns to store.
        shards: folders with manifests or of pictures, or tars by brace lists.
        cache_dir: folder of all features.
        embed_batch_size: pictures in a batch of the encoder.
        num_workers: processes that decode pictures.
        max_bad_samples: undecodable pictures that a set may have; they are listed.
    """
    from ood_lightning.data.artifacts.precision import FromFP32
    from ood_lightning.data.shards.read_manifest import read_manifest
    from ood_lightning.datamodules.checks import SetToEmbed, check_not_empty, set_checks
    from ood_lightning.datamodules.embedding import embed as embed_set
    from ood_lightning.devices import pick_device

    if not shards:
        raise SettingsError(
            "shards names no set: expected a folder with a manifest or pictures, or tars by a brace list; or several"
        )

    check_least(1, embed_batch_size=embed_batch_size)
    check_least(0, num_workers=num_workers, max_bad_samples=max_bad_samples)
    rank, world = share()
    sets = [SetToEmbed(one, cache(partial(read_manifest, one)), encoder.extra_features) for one in shards]
    before_work(set_checks(encoder, cache_dir, sets))
    device = pick_device(int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", rank))))

    n_unread, nothing_done, for_dashboard = 0, [], []
    for one in sets:
        manifest = one.read()
        check_not_empty(manifest)
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
            extra_features=encoder.extra_features,
        )

        missing = len(folder.missing())
        state = f"{missing} of {len(manifest.shards)} shards are with other processes" if missing else "complete"
        bad = folder.bad(max_bad_samples)  # of the whole set; `embed_set` holds only each shard to this number
        undecodable = f" ({len(bad)} cannot be read)" if bad else ""
        print(f"{manifest.name}: {manifest.n_samples:,} pictures{undecodable}, {state}: {folder.path}")
        if manifest.passed_over:
            print(f"{manifest.name}: no pictures by name: {listed(manifest.passed_over)}")

        for_dashboard.append([manifest.name, manifest.n_samples, len(bad), not missing])
        _log_features(encoder.fingerprint, manifest.name, manifest.fingerprint)
        n_unread += len(bad)
        if not missing and len(bad) == manifest.n_samples:
            nothing_done.append(manifest.name)
        if precision := FromFP32.read(folder.path):
            print(f"{manifest.name}: {precision}")

    _log_sets(for_dashboard)
    if nothing_done:
        raise ShardContentError(f"no picture of {', '.join(nothing_done)} can be read: are they pictures at all?")
    return SOME_UNREAD if n_unread else 0


def _log_features(encoder: str, name: str, fingerprint: str) -> None:
    """Show which features there are, as a fit does: the same content is the same version of an artifact."""
    if (view := viewer(Path(), command="embed")) is not None:
        from ood_lightning.callbacks.wandb import log_lineage

        log_lineage(view, f"features-{name}", "features", {"encoder": encoder, name: fingerprint})


def _log_sets(rows: list[list[Any]]) -> None:
    if (view := viewer(Path(), command="embed")) is not None:
        from ood_lightning.callbacks.wandb import log_memory, log_table

        log_table(view, "embed/sets", ("set", "pictures", "unreadable", "complete"), rows)
        log_memory(view)
