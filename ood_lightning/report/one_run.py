"""Whether the files of a run's folder are of one run: each holds the run's hash. Needs no torch."""

from pathlib import Path
from typing import Any

from ood_lightning.data.artifacts.scores import run_of_scores
from ood_lightning.data.artifacts.typed import decode_json
from ood_lightning.errors import SourceError
from ood_lightning.report.stored import RUN, read_sheet

DONE = "DONE"  # stands in a run's folder when all its other files do
FILES = ("results.json", "results.csv", "scores.parquet", DONE)


def check_one_run(path: Path) -> None:
    """Refuse results beside files of another run, such as scores of a later `test` that was stopped.

    Args:
        path: a run's folder, or its `results.json` or `results.csv`.

    Raises:
        SourceError: two files hold different hashes, or one is damaged.
    """
    folder = path if path.is_dir() else path.parent
    beside = [*(folder / name for name in FILES), *sorted((folder / "labels").glob("*.json"))]
    first, *others = [file for file in dict.fromkeys([path, *beside]) if file.is_file()]
    run = _run_of(first)

    for file in others:
        other = _run_of(file)
        if other != run:
            raise SourceError(
                f"{first} is of {_named(run)}, {file} of {_named(other)}: a later `test` wrote there and did not end, "
                f"or one was copied. Run `test` again, or keep the files of one run in a folder"
            )


def unfinished(path: Path) -> list[str]:
    """A remark on a folder with scores in which a run is not, or no longer, done; nothing otherwise."""
    folder = path if path.is_dir() else path.parent
    if (folder / DONE).exists() or not (folder / "scores.parquet").exists():
        return []
    return ["has no file DONE: a later `test` in its folder goes on, or did not end"]


def _named(run: str) -> str:
    return f"run {run}" if run else "a run without a hash"


def _run_of(file: Path) -> str:
    """The hash in a file; "" in files from before there was one.

    Raises:
        SourceError: the file is damaged, or holds rows of several runs.
    """
    if file.name == DONE:
        return file.read_bytes().decode("utf-8", "backslashreplace").strip()
    if file.suffix == ".parquet":
        return run_of_scores(file)

    if file.suffix == ".csv":
        runs = {row.get(RUN) or "" for row in read_sheet(file)}
        if len(runs) > 1:
            raise SourceError(f"{file} holds rows of {len(runs)} runs: copy it again")
        return next(iter(runs), "")

    content = decode_json(file.read_bytes(), dict[str, Any], str(file), SourceError)
    stated = content.get("about", content)  # a label set has its hash at the top
    return str(stated.get(RUN) or "") if isinstance(stated, dict) else ""
