"""`record.json` beside an item's result: what was run, on what. Needs no torch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.data.artifacts.typed import STRICT, decode_json
from ood_lightning.errors import SourceError
from ood_lightning.experiments.records import read_record
from ood_lightning.reproduction.entry import Entry
from ood_lightning.reproduction.item import Kind
from ood_lightning.reproduction.plan import Run

FILE, TIMES = "record.json", "times.json"
Format = Literal["ood_lightning/reproduction/1"]
FORMAT: Format = "ood_lightning/reproduction/1"


@dataclass(frozen=True, kw_only=True)
class Record:
    """What an item's result was made of; the same work gives the same bytes.

    Args:
        item: `PAPER:ITEM`.
        kind: full, or a twin.
        item_hash: of the item's file.
        conventions: rules of its FPR95.
        supervision: what each row's detector was given.
        encoders: fingerprints by name.
        sets: fingerprints by name.
        versions: of the packages that scored.
        devices: on which was scored.
        steps: folders of steps, by their names in the item and the values of settings.
        not_run: rows without a number, and why.
    """

    __pydantic_config__: ClassVar = STRICT

    item: str
    kind: Kind
    item_hash: str
    conventions: list[str]
    supervision: dict[str, list[str]]
    encoders: dict[str, str]
    sets: dict[str, str]
    versions: dict[str, str]
    devices: list[str]
    steps: dict[str, str]
    not_run: dict[str, str]
    format: Format = FORMAT


def record_of(
    name: str, kind: Kind, item_hash: str, entries: Sequence[Entry], runs: Sequence[Run], out: Path
) -> Record:
    """The record of an item.

    Args:
        name: of the item.
        kind: full, or a twin.
        item_hash: of its file.
        entries: its numbers.
        runs: its steps.
        out: the folder of steps.
    """
    abouts = [metadata for run in runs if (metadata := _metadata(out / run.line.name))]

    ran = [entry for entry in entries if entry.ours is not None]
    return Record(
        item=name,
        kind=kind,
        item_hash=item_hash,
        conventions=sorted({entry.convention for entry in ran if entry.convention}),
        supervision={entry.row: list(entry.supervision) for entry in ran if entry.supervision},
        encoders={one["encoder"]: one.get("encoder_fingerprint", "") for one in abouts},
        sets={name: fingerprint for one in abouts for name, fingerprint in one.get("sets", {}).items()},
        versions={key: version for one in abouts for key, version in one.get("versions", {}).items()},
        devices=sorted({one["device"] for one in abouts if "device" in one}),
        steps={_label(run): run.line.name for run in runs},
        not_run={f"{entry.row}, {entry.column}": entry.missing for entry in entries if entry.missing},
    )


def _label(run: Run) -> str:
    return ", ".join([run.step, *(f"{key} {value}" for key, value in run.where.items())])


def _metadata(folder: Path) -> dict[str, Any]:
    """`about` of a step's results; empty where it has none."""
    path = folder / "results.json"
    return (
        decode_json(path.read_bytes(), dict[str, Any], str(path), SourceError).get("about", {})
        if path.is_file()
        else {}
    )


def write(folder: Path, record: Record, runs: Sequence[Run], out: Path) -> None:
    """Write the record, and apart from it the seconds of the steps, which differ each time.

    A step that was stopped and went on has the seconds of its last part.
    """
    write_json(folder / FILE, asdict(record))
    seconds = {_label(run): step.seconds for run in runs if (step := read_record(out / run.line.name))}
    of_folders = {run.line.name: seconds.get(_label(run)) or 0.0 for run in runs}  # two steps may be one command
    write_json(folder / TIMES, {"seconds": seconds, "sum": round(sum(of_folders.values()), 1)})


def read(folder: Path) -> Record:
    """The record of an item's result.

    Raises:
        SourceError: there is none, or it is something else; names the field.
    """
    path = folder / FILE
    if not path.is_file():
        raise SourceError(
            f"there is no {path}: name the folder of an item's result, such as runs/reproduce/clustermine-table1"
        )
    return decode_json(path.read_bytes(), Record, str(path), SourceError)
