"""Mutants of every kind of file that is read: each gives what it says, or an error that names file and field.

The seed is fixed. Some hundred mutants take seconds; `make fuzz` goes on for `FUZZ_SECONDS`.
"""

import copy
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
import yaml
from result_rows import COMPARED, RESULTS

from ood_lightning.cli.parser import parsed
from ood_lightning.data.artifacts.label_set import FORMAT, LabelSet
from ood_lightning.data.artifacts.quality import FORMAT as QUALITY_FORMAT
from ood_lightning.data.artifacts.quality import read_quality
from ood_lightning.data.artifacts.typed import decode_plain
from ood_lightning.data.cards.cards import FOLDER, DamagedCardError, _CardFile, _content
from ood_lightning.data.remote.chat import _read_reply
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.errors import UserError
from ood_lightning.filtering.decisions import Decisions
from ood_lightning.metrics.rows import to_row
from ood_lightning.report.stored import read_about, read_results, write_results
from ood_lightning.spelling import one_text

SEED = 12
MUTANTS = 120  # of each kind
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))  # of all kinds together, beyond those
DEEP: Any = json.loads("[" * 300 + "]" * 300)
ODD: list[Any] = [
    None, True, False, -1, 0, 2**63, 10**40, 0.5, 1e308, float("nan"), float("inf"), "", " ", "5", "../../x", "/x",
    "a\0b", "a\nb", "\u202ex", "\ud800", "x" * 3000, [], [[]], {}, {"": 1}, {"a": {"b": []}}, DEEP,
]  # fmt: skip


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        name: of the file.
        sound: its content, as plain data.
        read: what the project reads from a path, as plain data again.
        dump: plain data to text.
        load: the inverse.
    """

    name: str
    sound: Any
    read: Callable[[Path], Any]
    dump: Callable[[Any], str] = json.dumps
    load: Callable[[str], Any] = json.loads


@dataclass
class Crop:
    """A group of settings.

    Args:
        size: in pixels.
    """

    size: int = 224


def step(
    images: list[str],
    groups: dict[str, list[str]],
    crop: Crop = Crop(),  # noqa: B008
    role: Literal["id", "ood"] = "id",
    share: float = 0.5,
    count: int | None = None,
    verify: bool = True,
) -> None:
    """Settings of every type that commands have."""


def read_settings(path: Path) -> Any:
    settings = parsed(step, ["--config", str(path)], "fuzz")
    return {**settings, "crop": asdict(settings["crop"])}


def read_label_set(path: Path) -> Any:
    labels = LabelSet.read(path)
    positives = [vars(positive) for positive in labels.positives]
    return {"format": FORMAT, "recipe": labels.recipe, "positives": positives, "negatives": labels.negatives}


def read_set(path: Path) -> Any:
    manifest = read_manifest(str(path), whole=False)
    entries = ("name", "role", "licence", "source", "protocol", "class_names")
    return {key: getattr(manifest, key) for key in entries} | {"shards": [asdict(shard) for shard in manifest.shards]}


def read_run(path: Path) -> Any:
    results, comparisons = read_results(path)
    read_about(path)
    return {"results": [to_row(result) for result in results], "comparisons": [asdict(one) for one in comparisons]}


def read_decisions(path: Path) -> Any:
    path.write_bytes(path.read_bytes().replace(b"\n", b" ") + b"\n")  # one line a decision
    ((judge, answers),) = Decisions(path).known.items()
    ((question, answer),) = answers.items()
    return {"judge": judge, **question._asdict(), **asdict(answer)}


def read_reply(path: Path) -> Any:
    answer = _read_reply(path.read_bytes().decode(errors="replace"), lambda text: text)
    return {"choices": [{"message": {"content": answer.text}}], "usage": {"total_tokens": answer.tokens}}


def read_card(path: Path) -> Any:
    return asdict(decode_plain(_content(path), _CardFile, str(path), DamagedCardError))


def kinds(folder: Path) -> Iterator[Kind]:
    """Every kind, with a sound file of it."""
    shards = [{"path": f"x-{i}.tar", "samples": 3, "bytes": 10240, "sha256": f"{i}" * 64} for i in range(2)]
    described = {
        "name": "s",
        "role": "ood",
        "licence": "CC0",
        "source": "here",
        "protocol": "",
        "class_names": ["a", "b"],
    }
    yield Kind("manifest.json", {**described, "shards": shards}, read_set)

    positives = [{"label": "cat", "clusters": 2, "images": 9, "agreement": 0.5}, {"label": "dog"}]
    recipe = {"method": "hand", "encoder": {"name": "tiny", "fingerprint": "0"}, "supervision": ["llm"]}
    sound = {"format": FORMAT, "recipe": recipe, "positives": positives, "negatives": ["car", "tree"]}
    yield Kind("labels.json", sound, read_label_set)

    write_results(folder, RESULTS, {"encoder": "tiny", "remarks": ["one"], "not_run": {"x": "y"}}, COMPARED)
    yield Kind("results.json", json.loads((folder / "results.json").read_text()), read_run)

    hops = {"mean": 0.5, "bins": [1, 2]}
    measures = {"labels": {"method": "ClusterMine", "sha256": "a", "positives": 3, "similarity": hops, "hops": hops}}
    clusters = {"asked": 4, "purity": 0.5}
    yield Kind("quality.json", {"format": QUALITY_FORMAT, "clusters": clusters, "label_sets": measures}, read_quality)

    decision = {"judge": "j", "word": "oslo", "name": "city", "yes": True, "said": "Yes", "margin": 0.5, "tokens": 9}
    yield Kind("decisions.jsonl", decision, read_decisions)

    reply = {"choices": [{"message": {"content": "Yes, it is."}}], "usage": {"total_tokens": 7}}
    yield Kind("reply", reply, read_reply)

    settings = {"images": ["a"], "groups": {"near": ["b"]}, "crop": {"size": 8}, "share": 0.25, "count": 3}
    yield Kind("settings.yaml", settings, read_settings, yaml.safe_dump, yaml.safe_load)
    card = yaml.safe_load((FOLDER / "textures.yaml").read_text(encoding="utf-8"))
    yield Kind("card.yaml", card, read_card, yaml.safe_dump, yaml.safe_load)


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in plain data."""
    yield path
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in entries:
        yield from places(value, (*path, key))


def grown(content: Any, draw: random.Random) -> tuple[Any, list[str]]:
    """A copy in which one value is another, is gone, or has another name; and the keys that may be named for it."""
    *above, last = draw.choice(list(places(content))[1:])
    content = copy.deepcopy(content)
    parent = content
    for part in above:
        parent = parent[part]

    change = draw.choice(["replace", "replace", "remove", "rename", "repeat"])
    value = parent[last] if change == "replace" else parent.pop(last)
    if change == "replace":
        parent[last] = draw.choice(ODD)
    elif change != "remove" and isinstance(parent, dict):
        name = draw.choice(["", "x", f"{last} ", str(last).upper()])
        parent[name] = value
        above.append(name)
    elif change != "remove":
        parent[:0] = [value, value]
    return content, [str(key) for key in (*above, last)]


def damaged(text: str, draw: random.Random) -> bytes:
    """The text with some of its bytes changed, removed, repeated or added."""
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(draw.randint(1, 3)):
        start = draw.randrange(len(data) + 1)
        end = min(start + draw.choice([0, 1, 1, 4, 40]), len(data))
        more = [b"", b"[", b'"', b"{", b"\\u0000", b"\0", b"\xff", b",", b"-", b"9" * 30, bytes(data[start:end]) * 2]
        data[start:end] = draw.choice(more)
    return bytes(data)


def pruned(content: Any) -> Any:
    """Plain data without what may be left out of a file as well."""
    if isinstance(content, dict):
        entries = {str(key): pruned(value) for key, value in content.items()}
        return {key: value for key, value in entries.items() if value not in (None, "", 0, [], {})}
    if isinstance(content, list | tuple):
        return [pruned(value) for value in content]
    return float(content) if type(content) is int else content


def says_the_same(kind: Kind, data: bytes, value: Any) -> bool:
    """Whether what was read is what the mutant says, as another reader reads it."""
    if kind.name.endswith(".yaml"):
        return True  # types are chosen by the signature: `5` may be a text
    said, read = pruned(json.loads(data.decode(errors="replace"))), pruned(json.loads(json.dumps(value)))
    if kind.name == "manifest.json" and "class_names" in said:  # blanks of any kind are one blank
        said["class_names"] = [one_text(name) for name in said["class_names"]]
    if kind.name in ("results.json", "reply"):  # which may hold more
        said = {key: said.get(key) for key in read}
    if kind.name == "reply":  # of which more is read than the first message alone
        message = (said.get("choices") or [{}])[0].get("message", {})
        said = {"choices": [{"message": {"content": message.get("content", "").strip()[:200]}}]}
        read, said = pruned({**read, "usage": {}}), pruned(said)
    ignored = {"sha256", "format"}
    drop = lambda entries: {key: value for key, value in entries.items() if key not in ignored}  # noqa: E731
    return bool(drop(said) == drop(read))


def try_mutant(kind: Kind, path: Path, draw: random.Random) -> None:
    """Read one mutant.

    Raises:
        AssertionError: it is read as something else, or refused without file and field.
    """
    fields: list[str] = [""]
    if draw.random() < 0.6:
        content, fields = grown(kind.sound, draw)
        data = kind.dump(content).encode("utf-8", "surrogatepass")
    else:
        data = damaged(kind.dump(kind.sound), draw)
    if kind.name == "settings.yaml":
        data = data.decode(errors="ignore").encode()
    path.write_bytes(data)

    try:
        value = kind.read(path)
    except UserError as error:
        message = str(error)
        of_file = {"reply": "no chat completion", "settings.yaml": ""}.get(kind.name, str(path))
        assert of_file in message, (message, data)
        unreadable = (
            "JSON",
            "YAML",
            "plain data",
            "parsing",
            "UTF-8",
            "utf-8",
            "no results",
            "no positives",
            "no config",
        )
        assert any(word in message for word in (*fields, *unreadable)), (message, fields, data)
    else:
        assert says_the_same(kind, data, value), (value, data)


@pytest.mark.parametrize("number", range(8))
def test_a_mutant_is_read_as_what_it_says_or_refused_by_file_and_field(number: int, tmp_path: Path):
    kind = list(kinds(tmp_path))[number]
    path = tmp_path / kind.name
    path.write_text(kind.dump(kind.sound), encoding="utf-8")
    assert says_the_same(kind, path.read_bytes(), kind.read(path))

    draw = random.Random(SEED)
    end = time.monotonic() + SECONDS / 8
    n = 0
    while n < MUTANTS or time.monotonic() < end:
        try_mutant(kind, path, draw)
        n += 1
