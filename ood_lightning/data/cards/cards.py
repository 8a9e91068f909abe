"""Cards: what is known of published sets of pictures, one YAML file each in `cards/`. Needs no torch.

A card never guesses: a licence that no page states is `not stated`, a count that was only remembered is not confirmed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from ood_lightning.data.shards.manifest import Role
from ood_lightning.errors import SettingsError

FOLDER = Path(str(resources.files("ood_lightning"))) / "data" / "cards"
NOT_STATED = "not stated"
TOLERANCE = 2.0  # points; our choice, so that half precision and other libraries' resizing pass


@dataclass(frozen=True)
class Protocol:
    """One way to count a set.

    Args:
        name: `full`, or whose way it is.
        images: pictures; None: no source says.
        rule: which pictures.
        evidence: where the count comes from.
        confirmed: counted in a list or stated in a paper; otherwise another count is worth a warning, no more.
        pack: source and further arguments of `data pack`; empty: no recipe.
        steps: shell scripts in `cards/steps/` that come first; sets share them.
        get: shell commands that fetch and unpack what `pack` names.
        size: of what these fetch, where it is not the card's; `not stated` where no source says.
    """

    name: str
    images: int | None
    rule: str
    evidence: str
    confirmed: bool = True
    pack: str = ""
    steps: tuple[str, ...] = ()
    get: str = ""
    size: str = ""

    @property
    def blocks(self) -> list[str]:
        """Shell commands before `data pack`: the shared steps, then its own."""
        shared = [(FOLDER / "steps" / f"{step}.sh").read_text(encoding="utf-8") for step in self.steps]
        return [block.rstrip() for block in (*shared, self.get) if block]


@dataclass(frozen=True)
class Mirror:
    """A copy of a set on the Hugging Face hub.

    Args:
        at: `owner/name`.
        holds: what lies there.
        shards: brace list of WebDataset tars within it; empty: none, or not looked up.
        pack: source and split of `data pack` that has the pictures of the usual protocol; empty: none, or not known.
    """

    at: str
    holds: str
    shards: str = ""
    pack: str = ""

    @property
    def url(self) -> str:
        """Its page."""
        return f"https://huggingface.co/datasets/{self.at}"


@dataclass(frozen=True)
class Contamination:
    """How much of an OOD set shows objects of ImageNet-1K's classes.

    Args:
        percent: of the pictures; None: nobody counted.
        note: who says so, or what is said instead.
    """

    percent: float | None
    note: str


@dataclass(frozen=True)
class Top1:
    """Zero-shot top-1 of models on a set, as somebody published it.

    Args:
        source: who says so.
        percent: by the encoder's name, `model/tag` for open_clip's.
        templates: prompts of the measurement; empty: OpenAI's 80 for ImageNet.
        protocols: ways to count the set for which it holds; empty: all of them.
    """

    source: str
    percent: tuple[tuple[str, float], ...]
    templates: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """A published set.

    Args:
        name: as files and results call it.
        title: for people.
        role: `id`, `covariate` or `ood`, seen from ImageNet-1K unless a trap says otherwise.
        classes: classes or folders; None: it has none, or no source says.
        licence: of the pictures, in the source's words; `not stated` where none was found.
        source: the authors' page.
        size: of what is fetched, by its first figure, and who says so in brackets; None: no source says.
        protocols: ways to count it, the usual one first.
        checks: what to look at after packing.
        traps: what goes wrong.
        citation: authors, title, place, year.
        paper: its page; empty: none.
        mirrors: copies.
        contamination: of OOD sets.
        excludes: classes that are left out of the set it is made from.
        synsets: WordNet ids where the set is a choice of ImageNet's classes.
        top1: zero-shot top-1 of models; None: nobody published one.
    """

    name: str
    title: str
    role: Role
    classes: int | None
    licence: str
    source: str
    size: str | None
    protocols: tuple[Protocol, ...]
    checks: tuple[str, ...]
    traps: tuple[str, ...]
    citation: str
    paper: str
    mirrors: tuple[Mirror, ...] = ()
    contamination: Contamination | None = None
    excludes: tuple[str, ...] = ()
    synsets: tuple[str, ...] = ()
    top1: Top1 | None = None

    def size_of(self, protocol: Protocol) -> str:
        """What is fetched for a protocol, in words; `not stated` where no source says."""
        return protocol.size or self.size or NOT_STATED

    def gigabytes(self, protocol: Protocol) -> float | None:
        """The size that a source states; None where there is none, or only a bound."""
        found = re.match(r"([\d.]+) GB ", self.size_of(protocol))
        return float(found[1]) if found else None

    def protocol(self, name: str = "") -> Protocol:
        """A protocol by name; the usual one if empty.

        Raises:
            SettingsError: the card has no such protocol.
        """
        known = {protocol.name: protocol for protocol in self.protocols}
        if name and name not in known:
            raise SettingsError(f"card {self.name!r} has no protocol {name!r}, only {', '.join(known)}")
        return known[name] if name else self.protocols[0]

    def reference(self, protocol: Protocol) -> str:
        """How to name this card and a protocol: `openimage-o`, `openimage-o@openood`."""
        return self.name if protocol is self.protocols[0] else f"{self.name}@{protocol.name}"

    def published_top1(self, model: str, protocol: Protocol) -> float | None:
        """Top-1 in percent of an encoder on this set, counted in one way; None: nobody published it."""
        if self.top1 is None or (self.top1.protocols and protocol.name not in self.top1.protocols):
            return None
        return dict(self.top1.percent).get(model)


@dataclass(frozen=True)
class Group:
    """Sets that a paper scores together.

    Args:
        name: as `data list --group` takes it.
        title: for people.
        id_set: reference of the ID set that they go with; empty: they are ID sets themselves.
        sets: references of cards, `NAME` or `NAME@PROTOCOL`.
        note: what to know before comparing numbers.
        paper: its page.
    """

    name: str
    title: str
    id_set: str
    sets: tuple[str, ...]
    note: str
    paper: str


def card_names() -> list[str]:
    """Names of all cards, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def group_names() -> list[str]:
    """Names of all groups, sorted."""
    return sorted(path.stem for path in (FOLDER / "groups").glob("*.yaml"))


@lru_cache
def read_card(name: str) -> Card:
    """The card of a set.

    Raises:
        SettingsError: there is none of this name.
    """
    entries = _read(FOLDER, "card", name, card_names())
    protocols = tuple(
        Protocol(name=key, **{**values, "steps": tuple(values.get("steps", ()))})
        for key, values in entries.pop("protocols").items()
    )
    mirrors = tuple(Mirror(**mirror) for mirror in entries.pop("mirrors", ()))
    judged = entries.pop("contamination", None)
    synsets = tuple(entries.pop("synsets", "").split())
    figures = entries.pop("top1", None)
    rest: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entries.items()}
    return Card(
        name=name,
        protocols=protocols,
        mirrors=mirrors,
        contamination=Contamination(**judged) if judged else None,
        synsets=synsets,
        top1=None if figures is None else _top1(**figures),
        **rest,
    )


@lru_cache
def read_group(name: str) -> Group:
    """A group of sets.

    Raises:
        SettingsError: there is none of this name.
    """
    entries = _read(FOLDER / "groups", "group", name, group_names())
    return Group(name=name, sets=tuple(entries.pop("sets")), **entries)


def find(reference: str) -> tuple[Card, Protocol]:
    """Card and protocol behind `NAME` or `NAME@PROTOCOL`.

    Raises:
        SettingsError: there is no such card or protocol.
    """
    name, _, protocol = reference.partition("@")
    card = read_card(name)
    return card, card.protocol(protocol)


def groups_of(name: str) -> list[str]:
    """Groups that a card is in, under whichever protocol."""
    return [group for group in group_names() if name in {one.partition("@")[0] for one in read_group(group).sets}]


def _top1(source: str, percent: dict[str, float], templates: Sequence[str] = (), protocols: Sequence[str] = ()) -> Top1:
    return Top1(source, tuple(percent.items()), tuple(templates), tuple(protocols))


def _read(folder: Path, kind: str, name: str, known: Sequence[str]) -> dict[str, Any]:
    if name not in known:
        folded = name.lower().replace("_", "-")
        near = [folded] if folded in known else get_close_matches(folded, known, n=3)
        hint = f"; did you mean {' or '.join(repr(one) for one in near)}?" if near else "."
        everything = f": {', '.join(known)}" if kind == "group" else ""
        raise SettingsError(
            f"there is no {kind} {name!r}{hint} `python -m ood_lightning data list` shows all{everything}"
        )
    # the C loader reads all cards in a tenth of the time
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return dict(yaml.load((folder / f"{name}.yaml").read_text(encoding="utf-8"), Loader=loader))
