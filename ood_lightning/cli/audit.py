"""`audit`: which pictures of OOD sets may be ID, and the results with and without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ood_lightning.places import expanded

if TYPE_CHECKING:
    from ood_lightning.data.artifacts.features import EvalSet
    from ood_lightning.metrics.results import Result
    from ood_lightning.revision.suspects import Audit, Suspect

N_LINES = 10  # suspects of a set on the terminal; all are in the file
WARNING = (
    "The scores that point at suspects are those that are measured: without them AUROC rises even where all of them "
    "are OOD. Look at the pictures, take those that are OOD out of exclude/, and compare other detectors on what stays."
)


def audit(sets: list[str], run: str, out: str, detector: str | None = None) -> int:
    """Rank the pictures of OOD sets that score above the median ID picture, each with the reason.

    Args:
        sets: names of OOD sets of the run, such as `places`.
        run: folder of a finished `test` run, whose scores and stored features are read.
        out: folder for `suspects.csv`, the lists `exclude/SET.txt` and the results with and without them.
        detector: of class LabelMass, whose scores rank; the run's first one if None.
    """
    from ood_lightning.checks import Check, before_work, folder_check
    from ood_lightning.report.one_run import check_own_folder

    folder, target = expanded(run), expanded(out)

    def look() -> str:
        check_own_folder(target)
        return f"{out} is no run's"

    before_work([Check("out", look), folder_check("audit", out, "out")])

    from ood_lightning.cli.stored_runs import built, read_settings
    from ood_lightning.devices import pick_device
    from ood_lightning.revision.stored_run import StoredRun
    from ood_lightning.revision.suspects import Audit, sets_named

    stored = StoredRun(folder, built(read_settings(folder), folder), pick_device())
    every = stored.sets()
    chosen = sets_named(every, sets)
    audited = Audit(stored, detector)
    suspects = {one.name: audited.suspects(every[0], one) for one in chosen}
    _write(target, audited, every[0], chosen, suspects)
    return 0


def _write(
    out: Path, audited: Audit, id_set: EvalSet, chosen: Sequence[EvalSet], suspects: Mapping[str, list[Suspect]]
) -> None:
    """Files and tables of the suspects, then the results."""
    from ood_lightning.data.artifacts.files import atomic_write
    from ood_lightning.data.artifacts.sheets import csv_bytes
    from ood_lightning.report.stored import write_results
    from ood_lightning.report.tables import Table
    from ood_lightning.report.terminal import print_results, print_tables
    from ood_lightning.revision.suspects import Suspect, source_paths

    everything = [one for of_set in suspects.values() for one in of_set]
    rows = [[*one[:4], "; ".join(one.words), "; ".join(f"{s:.4f}" for s in one.shares), *one[6:]] for one in everything]
    atomic_write(out / "suspects.csv", csv_bytes([Suspect._fields, *rows], "\n"))

    header = ["picture", "score", "ID pictures below", "words (share)", "nearest ID picture", "cosine"]
    tables = []
    for one in chosen:
        of_set = suspects[one.name]
        paths = source_paths(one.manifest, {suspect.key for suspect in of_set})
        lines = "".join(path + "\n" for path in paths if "\n" not in path)  # a line could name no such file
        atomic_write(out / "exclude" / f"{one.name}.txt", lines.encode("utf-8", "surrogateescape"))
        share = 100 * len(of_set) / len(one.features)
        title = f"{one.name}: {len(of_set):,} of {len(one.features):,} pictures ({share:.1f} %) are suspect"
        tables.append(Table(title, [header, *(_line(suspect) for suspect in of_set[:N_LINES])]))
    print_tables(tables)

    results = _results(audited, id_set, chosen, suspects)
    if results:
        metadata = {"remarks": [WARNING], "audited": str(audited.run.folder)}
        write_results(out, results, metadata)
        print_results(results, metadata=metadata)
    print(f"suspects: {out / 'suspects.csv'}, lists for `data pack --exclude`: {out / 'exclude'}")


def _line(suspect: Suspect) -> list[str]:
    reason = ", ".join(f"{word} ({share:.2f})" for word, share in zip(suspect.words, suspect.shares, strict=True))
    below = f"{100 * suspect.id_below:.1f} %"
    return [suspect.key, f"{suspect.score:+.3f}", below, reason, suspect.nearest_id, f"{suspect.cosine:.3f}"]


def _results(
    audited: Audit, id_set: EvalSet, chosen: Sequence[EvalSet], suspects: Mapping[str, list[Suspect]]
) -> list[Result]:
    """Rows with and without the suspects, and their means, with intervals; a set that is all suspects is left out."""
    import torch

    from ood_lightning.metrics.intervals import bootstrap
    from ood_lightning.metrics.results import evaluate

    name, scores = audited.detector, audited.scores
    stays = {}
    for one in chosen:
        gone = {suspect.key for suspect in suspects[one.name]}
        stays[one.name] = torch.tensor([key not in gone for key in one.features.keys])
    measured = [one for one in chosen if stays[one.name].any()]

    results: list[Result] = []
    for label, kept in ((name, False), (f"{name}, without suspects", True)):
        of_sets = {one.name: scores[one.name][stays[one.name]] if kept else scores[one.name] for one in measured}
        rows = [
            evaluate(label, id_set.name, one.name, scores[id_set.name], of_sets[one.name], group=one.group)
            for one in measured
        ]
        rows = [replace(row, supervision=audited.supervision, recipe=audited.recipe) for row in rows]
        columns = {set_name: of[:, None] for set_name, of in {id_set.name: scores[id_set.name], **of_sets}.items()}
        results += bootstrap(rows, columns, [label])[0] if rows else []
    return results
