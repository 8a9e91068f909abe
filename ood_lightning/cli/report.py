"""`report`: one table from several runs. Needs no GPU, and torch only for another convention."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path


def report(
    runs: list[str], out: str | None = None, names: list[str] | None = None, convention: str | None = None
) -> int:
    """Join the results of several runs into one table.

    Args:
        runs: folders of finished `test` runs, or their results.json or results.csv.
        out: folder for results.csv, results.json and results.md; only printed if None.
        names: a name for each run, put before its detectors; the folders' names, or their whole paths, where
            detectors of two runs clash.
        convention: an FPR95 as another paper counts it, from the runs' scores.parquet: stable (MCM, NegLabel, CSP,
            NegRefine), strict (CLIPScope), interpolated (PLP, CLIPN), rank (SynOOD, kNN), openood, ours. Only its table
            is printed.
    """
    from ood_lightning.errors import SettingsError, UserError
    from ood_lightning.report.conventions import convention_tables, stored_scores
    from ood_lightning.report.remarks import around, joined
    from ood_lightning.report.stored import read_about, read_results, write_results
    from ood_lightning.report.tables import paragraphs
    from ood_lightning.report.terminal import print_remarks, print_results, print_tables

    if names and len(names) != len(runs):
        raise SettingsError(f"{len(names)} names for {len(runs)} runs: give one each, or none")
    found = [read_results(Path(run)) for run in runs]
    labels = names or _labels(runs, [[result.detector for result in results] for results, _ in found])
    told = [f"{label}: " if label else "" for label in labels]
    by_run = [[replace(r, detector=t + r.detector) for r in rows] for t, (rows, _) in zip(told, found, strict=True)]
    results = list(dict.fromkeys(r for rows in by_run for r in rows))  # a run given twice counts once
    compared = [
        replace(c, label_free=t + c.label_free, names_based=t + c.names_based)
        for t, (_, rows) in zip(told, found, strict=True)
        for c in rows
    ]
    comparisons = list(dict.fromkeys(compared))
    about = joined(
        [(name, rows, read_about(Path(run))) for name, run, (rows, _) in zip(names or runs, runs, found, strict=True)]
    )
    try:
        if convention:
            scores = {
                key: pair
                for run, t, rows in zip(runs, told, by_run, strict=True)
                for key, pair in stored_scores(_folder(run), rows, t).items()
            }
            tables = convention_tables(results, scores, convention)
            print_tables(tables)
            print_remarks(about)
        else:
            print_results(results, comparisons, about)
    except UserError:
        raise
    except ValueError as error:  # rows of one detector and set that contradict one another
        raise SettingsError(f"these runs do not fit into one table: {error}. Give each a name with --names.") from error
    if out:
        folder = Path(out)
        write_results(folder, results, {"runs": runs, **about}, comparisons)
        if convention:
            text = "\n\n".join(paragraphs(table) for table in tables) + "\n"
            (folder / f"results_{convention}.md").write_text(around(text, about), encoding="utf-8")
        print(f"joined results: {folder / 'results.csv'}, {folder / 'results.md'}")
    return 0


def _labels(runs: list[str], detectors: list[list[str]]) -> list[str]:
    """What tells the runs' detectors apart; empty where nothing needs to."""
    every = [name for some in detectors for name in dict.fromkeys(some)]
    if len(set(every)) == len(every):
        return [""] * len(runs)
    folders = [_folder(run) for run in runs]
    distinct = len({folder.name for folder in folders}) == len(set(folders))
    return [folder.name for folder in folders] if distinct else runs


def _folder(run: str) -> Path:
    """A run's folder, also where one of its files is given."""
    path = Path(run).resolve()
    return path if path.is_dir() else path.parent
