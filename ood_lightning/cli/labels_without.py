"""`labels without`: a label set without some words and with others, and what that does to a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_lightning.errors import SettingsError
from ood_lightning.places import expanded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from ood_lightning.data.artifacts.features import EvalSet
    from ood_lightning.report.changes import Decided
    from ood_lightning.revision.words import Edition, SetAfter

RESAMPLES = 1000  # of the bootstrap, where the run had none
SHOWN = 10  # pictures on the terminal; all are in the file


def without(
    sets: list[str], out: str, drop: list[str] | None = None, add: list[str] | None = None, run: str | None = None
) -> int:
    """Take words out of a label set of a finished `test`, put others in, and score only what moved.

    Args:
        sets: one label set of a run, `RUN/labels/NAME.json`; or a file with the same content, beside --run.
        out: folder for the new run: its label set, scores and results, as `test` leaves them, and what changed.
        drop: words to take out; a positive is a negative from then on, where these are the rest of the corpus.
        add: words to add to the positives.
        run: folder of the finished run, if the label set does not lie in it.
    """
    from ood_lightning.checks import Check, before_work, folder_check

    if len(sets) != 1:
        raise SettingsError(f"{len(sets)} label sets given: `labels without FILE` changes one")
    file = expanded(sets[0])
    folder = _run_of(file) if run is None else expanded(run)
    target = expanded(out)
    before_work([Check("out", lambda: _check_out(target, folder)), folder_check("new run", out, "out")])

    from ood_lightning.cli.stored_runs import built, read_settings
    from ood_lightning.devices import pick_device
    from ood_lightning.revision.stored_run import StoredRun
    from ood_lightning.revision.words import Edition

    config = read_settings(folder)
    stored = StoredRun(folder, built(config, folder), pick_device())
    edition = Edition.of(stored, _name_in(stored.label_sets, file), drop or [], add or [])
    _moved(edition, config, target)
    return 0


def _run_of(file: Path) -> Path:
    """The run that a label set lies in."""
    if file.parent.name != "labels" or not (file.parent.parent / "scores.parquet").is_file():
        raise SettingsError(
            f"{file} lies in no finished run of `test`: name RUN/labels/NAME.json, or the run's folder with --run"
        )
    return file.parent.parent


def _check_out(out: Path, run: Path) -> str:
    """Refuse to write over a run that this command did not make."""
    from ood_lightning.report.one_run import check_own_folder
    from ood_lightning.report.stored import read_about

    if out.resolve() == run.resolve():
        raise SettingsError(f"out is {str(out)!r}, the folder of the run itself: name another folder")
    if "edited_from" not in read_about(out):
        check_own_folder(out)
    return f"{out} is no other run's"


def _name_in(label_sets: Mapping[str, Any], file: Path) -> str:
    """The name in the run of the label set in a file.

    Raises:
        SettingsError: the run has no such set.
    """
    from ood_lightning.data.artifacts.label_set import LabelSet

    sha256 = LabelSet.read(file).sha256
    names = [name for name, label_set in label_sets.items() if label_set.sha256 == sha256]
    if not names:
        raise SettingsError(f"{file} is no label set of the run, which scored {', '.join(label_sets)}: was it edited?")
    return file.stem if file.stem in names else names[0]


def _moved(edition: Edition, config: dict[str, Any], out: Path) -> None:
    """Score, write the new run, and say what changed."""
    from ood_lightning.data.artifacts.files import atomic_write
    from ood_lightning.data.artifacts.sheets import csv_bytes
    from ood_lightning.report.changes import Decided, change_rows, change_tables, decided_table
    from ood_lightning.report.terminal import print_tables
    from ood_lightning.revision.new_run import write_run

    run = edition.run
    sets = run.sets()
    before = {name: run.scores.column(name) for name in edition.detectors}
    nearest = run.scores.texts("top_negative") if run.explained == edition.name else {}
    after = [edition.set_after(one, [of[one.name] for of in before.values()], nearest.get(one.name)) for one in sets]

    bootstrap = run.parts.metadata.get("bootstrap") or {}
    resamples, seed = int(bootstrap.get("resamples", RESAMPLES)), int(bootstrap.get("seed", 0))
    changed = write_run(out, edition, sets, after, config, resamples, seed)

    decided = []
    for k, name in enumerate(before):
        scores = {one.name: result.scores[k] for one, result in zip(sets, after, strict=True)}
        decided += _decided(name, edition, before[name], scores, sets, after)

    sheets: dict[str, Sequence[Sequence[object]]] = {
        "changes.csv": change_rows(changed),
        "changed_pictures.csv": [Decided._fields, *decided],
    }
    for file, rows in sheets.items():
        atomic_write(out / file, csv_bytes(rows, "\n"))
    print_tables([*change_tables(changed), decided_table(decided, SHOWN)])
    n_whole = sum(result.n_whole for result in after)
    print(f"new run: {out} ({n_whole:,} of {sum(len(one.features) for one in sets):,} pictures were scored whole)")
    print(f"before and after in one table: `report {run.folder} {out}`")


def _decided(
    detector: str,
    edition: Edition,
    before: dict[str, Tensor],
    scores: dict[str, Tensor],
    sets: Sequence[EvalSet],
    after: Sequence[SetAfter],
) -> list[Decided]:
    """Pictures whose decision by one detector changed, by the threshold of the first ID set."""
    from ood_lightning.report.changes import Decided
    from ood_lightning.revision.decisions import changed_decisions

    by_name = {one.name: (one, result) for one, result in zip(sets, after, strict=True)}
    words = edition.after.words
    rows = []
    for change in changed_decisions(sets[0].name, before, scores):
        one, result = by_name[change.dataset]
        word = words[int(result.nearest.positives[change.row])]
        key = one.features.keys[change.row]
        rows.append(Decided(detector, change.dataset, one.role, key, change.before, change.after, word))
    return rows
