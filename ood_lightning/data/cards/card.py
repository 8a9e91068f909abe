"""What a card says of a published set of pictures: how to count it, get it and pack it, and what goes wrong.

A card never guesses: a licence that no page states is `not stated`, a count that was only remembered is not confirmed.
"""

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, ClassVar

from ood_lightning.data.artifacts.typed import NOT_EMPTY, STRICT, Count, Percent, Text
from ood_lightning.data.cards.fetching import Fetch
from ood_lightning.data.cards.figures import Figure, Top1
from ood_lightning.data.shards.manifest import Role
from ood_lightning.errors import SettingsError

FOLDER = Path(str(resources.files("ood_lightning"))) / "data" / "cards"
NOT_STATED = "not stated"
TOLERANCE = 2.0  # points; our choice, so that half precision and other libraries' resizing pass


@dataclass(frozen=True, kw_only=True)
class ProtocolEntry:
    """What a card's file says of one way to count its set.

    Args:
        images: pictures; None: no source says.
        rule: which pictures.
        evidence: where the count comes from.
        confirmed: counted in a list or stated in a paper; otherwise another count is worth a warning, no more.
        pack: source and further arguments of `data pack`; empty: no recipe.
        steps: shell scripts in `cards/steps/` that come first; sets share them.
        get: shell commands that fetch and unpack what `pack` names.
        size: of what these fetch, where it is not the card's; `not stated` where no source says.
        fetch: what `data get` fetches and packs; None: it cannot.
        by_hand: what a person has to do where `data get` cannot, such as to register.
    """

    __pydantic_config__: ClassVar = STRICT

    images: Count | None
    rule: Text
    evidence: Text
    confirmed: bool = True
    pack: str = ""
    steps: tuple[str, ...] = ()
    get: str = ""
    size: str = ""
    fetch: Fetch | None = None
    by_hand: str = ""


@dataclass(frozen=True, kw_only=True)
class Protocol(ProtocolEntry):
    """One way to count a set.

    Args:
        name: `full`, or whose way it is.
    """

    name: str

    @property
    def blocks(self) -> list[str]:
        """Shell commands before `data pack`: the shared steps, then the protocol's commands."""
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

    __pydantic_config__: ClassVar = STRICT

    at: Text
    holds: Text
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

    __pydantic_config__: ClassVar = STRICT

    percent: Percent | None
    note: Text


@dataclass(frozen=True, kw_only=True)
class CardEntries:
    """What a card and its file have in common.

    Args:
        title: for people.
        role: `id`, `covariate` or `ood`, seen from ImageNet-1K unless a trap says otherwise.
        classes: classes or folders; None: it has none, or no source says.
        licence: of the pictures, in the source's words; `not stated` where none was found.
        source: the authors' page.
        size: of what is fetched, by its first figure, and who says so in brackets; None: no source says.
        checks: what to look at after packing.
        traps: what goes wrong.
        citation: authors, title, place, year.
        paper: its page; empty: none.
        mirrors: copies.
        contamination: of OOD sets.
        excludes: classes that are left out of the set it is made from.
    """

    __pydantic_config__: ClassVar = STRICT

    title: Text
    role: Role
    classes: Count | None
    licence: Text
    source: Text
    size: str | None
    checks: tuple[str, ...]
    traps: tuple[str, ...]
    citation: Text
    paper: str
    mirrors: tuple[Mirror, ...] = ()
    contamination: Contamination | None = None
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Card(CardEntries):
    """A published set.

    Args:
        name: as files and results call it.
        protocols: ways to count it, the usual one first.
        synsets: WordNet ids where the set is a choice of ImageNet's classes.
        top1: zero-shot top-1 of models; None: nobody published one.
    """

    name: str
    protocols: tuple[Protocol, ...]
    synsets: tuple[str, ...] = ()
    top1: Top1 | None = None

    def size_of(self, protocol: Protocol) -> str:
        """What is fetched for a protocol, in words; `not stated` where no source says."""
        return protocol.size or self.size or NOT_STATED

    def gigabytes(self, protocol: Protocol) -> float | None:
        """The size that a source states; None where there is none, or only a bound."""
        figure = re.match(r"([\d.]+) GB ", self.size_of(protocol))
        return float(figure[1]) if figure else None

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

    def published_top1(self, model: str, protocol: Protocol) -> Figure | None:
        """Top-1 of an encoder on this set, counted in one way; None: nobody published it."""
        if self.top1 is None or (self.top1.protocols and protocol.name not in self.top1.protocols):
            return None

        tables = (table for table in self.top1.tables if model in table.percent)
        return next((Figure(table.percent[model], table.source) for table in tables), None)


@dataclass(frozen=True, kw_only=True)
class GroupEntries:
    """What the file of a group says.

    Args:
        title: for people.
        id_set: reference of the ID set that they go with; empty: they are ID sets themselves.
        sets: references of cards, `NAME` or `NAME@PROTOCOL`.
        note: what to know before comparing numbers.
        paper: its page.
    """

    __pydantic_config__: ClassVar = STRICT

    title: Text
    id_set: str
    sets: Annotated[tuple[str, ...], NOT_EMPTY]
    note: Text
    paper: Text


@dataclass(frozen=True, kw_only=True)
class Group(GroupEntries):
    """Sets that a paper scores together.

    Args:
        name: as `data list --group` takes it.
    """

    name: str
