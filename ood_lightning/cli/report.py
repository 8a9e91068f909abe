"""`report`: one table from several runs. Needs no torch and no GPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path


def report(runs: list[str], out: str | None = None, names: list[str] | None = None) -> int:
    """Join the results of several runs into one table.

    Args:
        runs: folders of finished `test` runs, or their results.json or results.csv.
        out: folder for results.csv, results.json and results.md; only printed if None.
        names: a name for each run, put before its detectors; the folders' names, or their whole paths, where
            detectors of two runs clash.
    """
    from ood_lightning.errors import SettingsError
    from ood_lightning.report.tables import markdown, print_results, read_results, write_results

    if names and len(names) != len(runs):
        raise SettingsError(f"{len(names)} names for {len(runs)} runs: give one each, or none")
    found = [read_results(Path(run)) for run in runs]
    every = [detector for results in found for detector in dict.fromkeys(r.detector for r in results)]
    clash = len(set(every)) < len(every)
    folders = [_folder(run) for run in runs]
    distinct = len({folder.name for folder in folders}) == len(set(folders))
    told_by = [folder.name for folder in folders] if distinct else runs
    labels = names or (told_by if clash else [""] * len(runs))
    joined = [
        replace(result, detector=f"{label}: {result.detector}" if label else result.detector)
        for label, results in zip(labels, found, strict=True)
        for result in results
    ]
    joined = list(dict.fromkeys(joined))  # a run given twice counts once
    try:
        print_results(joined)
    except ValueError as error:  # rows of one detector and set that contradict one another
        raise SettingsError(f"these runs do not fit into one table: {error}. Give each a name with --names.") from error
    if out:
        folder = Path(out)
        write_results(folder, joined, {"runs": runs})
        (folder / "results.md").write_text(markdown(joined), encoding="utf-8")
        print(f"joined results: {folder / 'results.csv'}, {folder / 'results.md'}")
    return 0


def _folder(run: str) -> Path:
    """A run's folder, also where one of its files is given."""
    path = Path(run).resolve()
    return path if path.is_dir() else path.parent
