"""`report`: one table from several runs, or one page. Needs no GPU; torch for a page or another convention alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ood_lightning.errors import SettingsError, UserError
from ood_lightning.hashes import run_hash
from ood_lightning.places import check_out, expanded
from ood_lightning.report.conventions import Pair, convention_fprs, convention_tables
from ood_lightning.report.one_run import check_one_run, check_own_folder, unfinished
from ood_lightning.report.remarks import around, joined
from ood_lightning.report.stored import read_about, read_results, write_results
from ood_lightning.report.tables import paragraphs
from ood_lightning.report.terminal import print_remarks, print_results, print_tables


def report(
    runs: list[str],
    out: str | None = None,
    names: list[str] | None = None,
    convention: str | None = None,
    html: str | None = None,
) -> int:
    """Join the results of several runs into one table, or into one page to look at.

    Args:
        runs: folders of finished `test` runs, or their results.json or results.csv.
        out: folder for results.csv, results.json and results.md; only printed if None.
        names: a name for each run, put before its detectors; the folders' names, or their whole paths, where
            detectors of two runs clash.
        convention: an FPR95 as another paper counts it, from the runs' scores.parquet: stable (MCM, NegLabel, CSP,
            NegRefine), strict (CLIPScope), interpolated (PLP, CLIPN), rank (SynOOD, kNN), openood, ours. Only its table
            is printed.
        html: .html file for a page with tables, scores, words and pictures, which opens offline; of `run` folders too.
            Without `out` or `convention`, tables are not printed then.
    """
    if names and len(names) != len(runs):
        raise SettingsError(f"{len(names)} names for {len(runs)} runs: give one each, or none")

    if out:
        check_own_folder(expanded(out))
    if html:
        from ood_lightning.page.write import write_page  # reads scores by torch

        check_out(html, ".html")
        write_page(runs, expanded(html), names)
        print(f"to look at: {expanded(html)}")
        if not out and not convention:
            return 0

    stored = [read_results(expanded(run)) for run in runs]
    labels = names or _labels(runs, [[result.detector for result in rows] for rows, _ in stored])
    prefixes = [f"{label}: " if label else "" for label in labels]
    by_run = [
        [replace(row, detector=prefix + row.detector) for row in rows]
        for prefix, (rows, _) in zip(prefixes, stored, strict=True)
    ]

    # a run given twice counts once
    results = list(dict.fromkeys(row for rows in by_run for row in rows))
    comparisons = list(
        dict.fromkeys(
            replace(pair, label_free=prefix + pair.label_free, names_based=prefix + pair.names_based)
            for prefix, (_, pairs) in zip(prefixes, stored, strict=True)
            for pair in pairs
        )
    )
    of_each = [_about(expanded(run)) for run in runs]
    of_runs = [(name, rows, stated) for name, stated, (rows, _) in zip(names or runs, of_each, stored, strict=True)]
    metadata = joined(of_runs)
    hashes = [one.get("run", "") for one in of_each]
    if any(hashes):
        metadata["run"] = run_hash({"runs": hashes, "names": names})

    try:
        if convention:
            fprs: dict[Pair, float] = {}
            for run, prefix, rows in zip(runs, prefixes, by_run, strict=True):
                fprs |= convention_fprs(_folder(run), rows, prefix, convention)
            tables = convention_tables(results, fprs, convention)
            print_tables(tables)
            print_remarks(metadata)
        else:
            print_results(results, comparisons, metadata)
    except UserError:
        raise
    except ValueError as error:  # rows of one detector and set that contradict one another
        raise SettingsError(f"these runs do not fit into one table: {error}. Give each a name with --names.") from error

    if out:
        folder = expanded(out)
        write_results(folder, results, {"runs": runs, **metadata}, comparisons)
        if convention:
            text = "\n\n".join(paragraphs(table) for table in tables) + "\n"
            (folder / f"results_{convention}.md").write_text(around(text, metadata), encoding="utf-8")
        print(f"joined results: {folder / 'results.csv'}, {folder / 'results.md'}")
    return 0


def _about(run: Path) -> dict[str, Any]:
    """`about` of a run whose files are all of this one run, with a remark where the run is not done."""
    check_one_run(run)
    stated = read_about(run)
    return {**stated, "remarks": [*stated.get("remarks", ()), *unfinished(run)]}


def _labels(runs: list[str], detectors: list[list[str]]) -> list[str]:
    """A label for each run that tells its detectors from those of the others; empty where no name comes twice."""
    distinct_names = [name for of_run in detectors for name in dict.fromkeys(of_run)]
    if len(set(distinct_names)) == len(distinct_names):
        return [""] * len(runs)

    folders = [_folder(run) for run in runs]
    distinct = len({folder.name for folder in folders}) == len(set(folders))
    return [folder.name for folder in folders] if distinct else runs


def _folder(run: str) -> Path:
    """A run's folder; `run` may also be one of its files."""
    path = expanded(run).resolve()
    return path if path.is_dir() else path.parent
