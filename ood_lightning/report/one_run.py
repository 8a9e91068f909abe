"""Whether the files of a run's folder are of one run: each holds the run's hash. Needs no torch."""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.typed import decode_json
from ood_lightning.errors import SettingsError, SourceError, UserError
from ood_lightning.report.stored import RUN, read_results, read_sheet

DONE = "DONE"  # stands in a run's folder when all its other files do
FILES = ("results.json", "results.csv", "scores.parquet", DONE)


def check_one_run(path: Path) -> None:
    """Refuse results beside files of another run, such as scores of a later `test` that was stopped.

    Args:
        path: a run's folder, or its `results.json` or `results.csv`.

    Raises:
        SourceError: two files hold different hashes or rows, or one is damaged.
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

    sheets = [file for file in (folder / "results.json", folder / "results.csv") if file.is_file()]
    if len({tuple(read_results(sheet)[0]) for sheet in sheets}) > 1:
        raise SourceError(
            f"{sheets[0]} and {sheets[1]} hold other rows, though of one run: one was changed. Copy both again, or run "
            f"`test` again"
        )


def check_own_folder(out: Path) -> None:
    """Refuse to write joined results over those of a run: its scores and `DONE` would be of another one then.

    Args:
        out: folder for joined results; it need not exist.

    Raises:
        SettingsError: a `test` wrote there.
    """
    if of_run := [name for name in ("scores.parquet", DONE) if (out / name).exists()]:
        raise SettingsError(
            f"out is {str(out)!r}, the folder of a run, by its {of_run[0]}: its own results would be written over. "
            f"Name another folder"
        )


def sets_of_earlier_runs(folder: Path, names: Collection[str]) -> list[Path]:
    """Label sets below a run's folder that an earlier run wrote and nobody edited, of other names than this run's.

    Args:
        folder: of the run.
        names: of its label sets.
    """
    earlier = []
    for file in sorted((folder / "labels").glob("*.json")):
        with suppress(UserError):  # what is no label set is a person's own
            if file.stem not in names and _run_of(file) and not LabelSet.read(file).edited:
                earlier.append(file)
    return earlier


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
        from ood_lightning.data.artifacts.scores import run_of_scores  # pyarrow takes its time

        return run_of_scores(file)

    if file.suffix == ".csv":
        runs = {row.get(RUN) or "" for row in read_sheet(file)}
        if len(runs) > 1:
            raise SourceError(f"{file} holds rows of {len(runs)} runs: copy it again")
        return next(iter(runs), "")

    content = decode_json(file.read_bytes(), dict[str, Any], str(file), SourceError)
    stated = content.get("about", content)  # a label set has its hash at the top
    return str(stated.get(RUN) or "") if isinstance(stated, dict) else ""
