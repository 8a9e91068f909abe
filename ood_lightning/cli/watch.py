"""`watch`: whether new pictures are still like the ones that a detector was calibrated on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ood_lightning.errors import SettingsError, UserError, percent_hint
from ood_lightning.places import check_out, expanded

if TYPE_CHECKING:
    from pathlib import Path

    from ood_lightning.watching.watch import CalledOOD

SOME_ALARM = 3  # exit status, where it is asked for


def watch(
    predictions: list[str],
    detector: str,
    state: str,
    false_alarms: float = 0.01,
    fdr: float | None = None,
    out: str | None = None,
    exit_code: bool = False,
) -> int:
    """Say whether the world has changed: evidence after each picture, an alarm line, and what came more often.

    Args:
        predictions: files of rows that `predict` wrote, .csv, .jsonl or .parquet; folders of these, a file or a
            subfolder for each day; - for JSON lines from standard input. Rows with a column `time` are put into days by
            it.
        detector: the folder of the detector that predicted, with its calibration.
        state: .json file that the next call goes on with; files that were watched are not watched again.
        false_alarms: probability, at most, that there is ever an alarm where nothing changed.
        fdr: call pictures OOD, day by day, so that this share of them is not, on average, at most.
        out: .csv, .jsonl or .parquet file for the pictures that are called OOD by `fdr`.
        exit_code: end with status 3 where the alarm line has been crossed, in this call or before.
    """
    from ood_lightning.cli.watch_report import report
    from ood_lightning.data.artifacts.files import sole_writer
    from ood_lightning.detector_folder.load import check_calibration
    from ood_lightning.progress import bar
    from ood_lightning.watching.predictions import sources_of
    from ood_lightning.watching.state import State
    from ood_lightning.watching.watch import Watch

    for name, share in (("false_alarms", false_alarms), ("fdr", fdr)):
        if share is not None and not 0 < share < 1:
            raise SettingsError(f"{name} is {share}: expected a share between 0 and 1{percent_hint(share)}")
    if out is not None and fdr is None:
        raise SettingsError("out is for pictures that are called OOD: name a false discovery rate, such as `--fdr 0.1`")
    check_out(state, ".json", key="state")
    check_out(out, ".csv", ".jsonl", ".parquet")
    file = expanded(state)

    calibration = check_calibration(expanded(detector))
    with sole_writer(file.parent, f".{file.name}.lock"):
        known = State.read(file, calibration.scores, false_alarms)
        sources = sources_of(predictions, f"input {known.n_inputs + 1}")
        if out is not None and any(_is_same(source.path, expanded(out)) for source in sources):
            raise SettingsError(f"out is {out!r}, which is one of the predictions: name another file")

        watched, failure = Watch(known, calibration.scores, calibration.threshold, fdr), None
        try:
            with bar(None, "watch", "img", delay_s=1) as progress_bar:
                for source in sources:
                    for n_rows in watched.take(source):
                        known.write(file)  # after each block, so that a kill loses none that was watched
                        progress_bar.update(n_rows)
            known.write(file)
        except UserError as error:
            if not watched.batches:
                raise
            failure = error  # what was watched before is not watched again, so it is reported now
        watched.finish()

    if not known.images:  # a broken pipe before this command should not look like a quiet day
        raise failure or SettingsError("the predictions hold no picture with a score: nothing was watched")
    report(watched, calibration.n, fdr)
    if out is not None:
        _write_called(expanded(out), watched.called_ood)
        print(f"{len(watched.called_ood):,} rows: {out}")
    if failure is not None:
        raise failure
    return SOME_ALARM if exit_code and known.alarm is not None else 0


def _is_same(source: Path | None, out: Path) -> bool:
    """Whether a file of predictions would be written over; None is standard input."""
    return source is not None and source.resolve() == out.resolve()


def _write_called(path: Path, called: list[CalledOOD]) -> None:
    """Write the pictures that are called OOD, whole or not at all."""
    import io

    from ood_lightning.data.artifacts.files import atomic_write
    from ood_lightning.data.rows.formats import as_bytes, header, unspelt

    kinds: dict[str, type] = {"period": str, "path": str, "p_value": float, "adjusted": float}
    rows = [one._asdict() | {"period": unspelt(one.period), "path": unspelt(one.path)} for one in called]
    ending = path.suffix.lower()
    written = header(ending, list(kinds)) + as_bytes(ending, rows)
    if ending == ".parquet":
        from ood_lightning.data.rows.parquet import write_parquet

        write_parquet(path, io.BytesIO(written), kinds)
    else:
        atomic_write(path, written)
