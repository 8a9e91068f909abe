"""`predict`: a score, a decision and the nearest concepts of any number of images, by a detector folder."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ood_lightning.cli.loggers import viewer
from ood_lightning.errors import SOME_UNREAD, ShardContentError, check_least
from ood_lightning.places import check_out, expanded

if TYPE_CHECKING:
    from ood_lightning.cli.predict_summary import Summary

STANDARD = "-"  # standard input or output
SOME_REJECTED = 3  # exit status, where it is asked for


def predict(
    images: list[str],
    detector: str,
    out: str | None = None,
    concepts: int = 3,
    batch_size: int = 128,
    num_workers: int = 2,
    exit_code: bool = False,
) -> int:
    """Score images: higher is more in-distribution. What an interrupted process has done is not done again.

    Args:
        images: pictures, folders with all their subfolders, sets with manifests, or tars; `hf:` and `https:` too. - for
            paths from standard input, one a line or each ended by a null byte.
        detector: a detector folder, such as `save-detector` makes.
        out: .csv, .jsonl or .parquet file for the rows; - for JSON lines on standard output; a summary alone if None.
        concepts: nearest positives to name for each image.
        batch_size: images in a batch.
        num_workers: processes that decode.
        exit_code: end with status 3 where images were rejected.
    """
    from ood_lightning.checks import Check, before_work, file_check
    from ood_lightning.cli.embed import share
    from ood_lightning.cli.predict_images import ImagesOfTask, of_task
    from ood_lightning.cli.predict_rows import rows_to
    from ood_lightning.data.remote.addresses import redacted
    from ood_lightning.detector_folder.detector import Detector
    from ood_lightning.detector_folder.images import batches_of
    from ood_lightning.detector_folder.load import check_folder, load_folder
    from ood_lightning.devices import pick_device
    from ood_lightning.progress import bar

    if out != STANDARD:
        check_out(out, ".csv", ".jsonl", ".parquet")
    check_least(1, concepts=concepts, batch_size=batch_size)
    check_least(0, num_workers=num_workers)
    rank, world = share()
    target = None if out in (None, STANDARD) else of_task(expanded(str(out)), rank, world)

    passed_over = Counter[str]()
    verified = check_folder(expanded(detector))  # before anything is fetched
    todo = ImagesOfTask(images, rank, world)
    n_images = todo.count(passed_over)
    places = ", ".join(map(redacted, images))
    how_many = "paths from standard input" if n_images is None else f"{n_images:,} in {places}"
    checks = [Check("pictures", lambda: how_many), Check("detector", lambda: f"{detector} is whole")]
    before_work([*checks, *([file_check("rows", target, "out")] if target is not None else [])])

    device = pick_device(int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", rank))))
    loaded = Detector(load_folder(verified, device), device)
    for remark in loaded.remarks:
        print(f"warning: {remark}", file=sys.stderr)

    run = [verified.contents.sha256, verified.label_set.sha256, concepts, batch_size, rank, world]
    with rows_to(target, out == STANDARD, hashlib.sha256(json.dumps(run).encode()).hexdigest()) as rows:
        summary = rows.begin(items := iter(todo), todo.fingerprints)
        is_short = n_images is not None and n_images - summary.images <= batch_size
        with bar(n_images, "score", "img") as progress_bar:
            progress_bar.update(summary.images)
            for results in loaded.results(batches_of(items, batch_size), concepts, 0 if is_short else num_workers):
                summary.add(results)
                rows.append(results, summary)
                progress_bar.update(len(results))
        rows.finish()

    _log(summary, verified.contents.sha256)
    summary.say(loaded, target, passed_over, to_output=out != STANDARD)
    if world > 1 and target is not None:
        print(f"this was share {rank + 1} of {world}: JSON lines are joined by `cat`, of CSVs each has a header")
    if summary.images and summary.unread == summary.images:
        raise ShardContentError(f"none of the {summary.images} pictures could be scored: {summary.first_error}")
    if summary.unread:
        return SOME_UNREAD
    return SOME_REJECTED if exit_code and summary.rejected else 0


def _log(summary: Summary, detector: str) -> None:
    """Show counts, and the images with the lowest scores."""
    view = viewer(Path(), command="predict", detector=detector)
    if view is None:
        return
    from ood_lightning.callbacks.wandb import log_memory, log_table

    counts = {"images": summary.images, "unread": summary.unread, "rejected": summary.rejected}
    for logger in view.loggers:
        logger.log_metrics({f"predict/{name}": n for name, n in counts.items()})
    columns = ("picture", "score", "p-value", "accepted", "nearest concepts", "nearest negative")
    rows = [
        [one.path, one.score, one.p_value, one.accepted, ", ".join(one.concepts), one.nearest_negative]
        for one in summary.foreign
    ]
    log_table(view, "predict/most_foreign", columns, rows)
    log_memory(view)
