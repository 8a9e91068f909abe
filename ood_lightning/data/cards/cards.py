"""The cards that come with this package: YAML files in `data/cards`, and their groups. Needs no torch."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml

from ood_lightning.data.artifacts.typed import NOT_EMPTY, decode_plain
from ood_lightning.data.cards.card import (
    FOLDER,
    Card,
    CardEntries,
    Group,
    GroupEntries,
    Protocol,
    ProtocolEntry,
)
from ood_lightning.data.cards.fetching import HEX, NAME, ArchiveEntries
from ood_lightning.data.cards.figures import Top1
from ood_lightning.errors import SettingsError, first_line
from ood_lightning.file_names import name_fault

T = TypeVar("T")

GROUP = "group:"  # before the name of a group, in place of its sets


class DamagedCardError(SettingsError):
    """A card or a group whose file cannot be read, lacks a field or has a wrong one."""


@dataclass(frozen=True, kw_only=True)
class _CardFile(CardEntries):
    """A card as its file states it: protocols by name, synsets as one text."""

    protocols: Annotated[dict[str, ProtocolEntry], NOT_EMPTY]
    synsets: str = ""
    top1: Top1 | None = None


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
        DamagedCardError: its file is not a complete card; names the field.
    """
    path = _path(FOLDER, "card", name, card_names())
    file = decode_plain(_content(path), _CardFile, str(path), DamagedCardError)

    for key, protocol in file.protocols.items():
        for step in protocol.steps:
            if not (FOLDER / "steps" / f"{step}.sh").is_file():
                raise DamagedCardError(f"{path}: protocols.{key}.steps names {step!r}, which is no script in steps/")
        if protocol.fetch is not None and not (FOLDER / "archives" / f"{protocol.fetch.archive}.yaml").is_file():
            where = f"{path}: protocols.{key}.fetch.archive names {protocol.fetch.archive!r}"
            raise DamagedCardError(f"{where}, which is no file in archives/")

    protocols = tuple(Protocol(name=key, **vars(protocol)) for key, protocol in file.protocols.items())
    unlike_file = {"name": name, "protocols": protocols, "synsets": tuple(file.synsets.split())}
    return Card(**{**vars(file), **unlike_file})


@lru_cache
def read_group(name: str) -> Group:
    """A group of sets.

    Raises:
        SettingsError: there is none of this name.
        DamagedCardError: its file is not a complete group; names the field.
    """
    path = _path(FOLDER / "groups", "group", name, group_names())
    return Group(name=name, **vars(decode_plain(_content(path), GroupEntries, str(path), DamagedCardError)))


@lru_cache
def read_archive(name: str) -> ArchiveEntries:
    """What is known of an archive: addresses, size, hash.

    Raises:
        SettingsError: there is none of this name.
        DamagedCardError: its file is not complete; names the field.
    """
    known = sorted(path.stem for path in (FOLDER / "archives").glob("*.yaml"))
    path = _path(FOLDER / "archives", "archive", name, known)
    archive = decode_plain(_content(path), ArchiveEntries, str(path), DamagedCardError)

    if fault := name_fault(archive.file):
        raise DamagedCardError(f"{path}: file is {archive.file!r}, but {fault}")
    for kind, n_digits in HEX.items():
        if len(digits := getattr(archive, kind)) not in (0, n_digits):
            raise DamagedCardError(f"{path}: {kind} has {len(digits)} digits: expected {n_digits}")
    if lacking := next((address for address in archive.picture_addresses if NAME not in address), ""):
        raise DamagedCardError(f"{path}: picture_addresses holds {lacking!r}: expected {NAME} in it")
    return archive


def find(reference: str) -> tuple[Card, Protocol]:
    """Card and protocol behind `NAME` or `NAME@PROTOCOL`.

    Raises:
        SettingsError: there is no such card or protocol, or the card is damaged.
    """
    name, _, protocol = reference.partition("@")
    card = read_card(name)
    return card, card.protocol(protocol)


def shards(card: Card, protocol: Protocol) -> str:
    """Folder for the shards of a set: `shards/openimage-o`, `shards/openimage-o-openood`."""
    return "shards/" + card.reference(protocol).replace("@", "-")


def with_groups(sources: Iterable[str]) -> list[str]:
    """Sources of sets, where `group:NAME` stands for the folders that the cards' commands pack a group's sets into.

    Raises:
        SettingsError: there is no such group.
    """
    folders: list[str] = []
    for source in sources:
        is_group = source.startswith(GROUP)
        references = read_group(source.removeprefix(GROUP)).sets if is_group else ()
        folders += [shards(*find(reference)) for reference in references] if is_group else [source]
    return folders


def groups_of(name: str) -> list[str]:
    """Groups that a card is in, by whichever protocol; damaged groups are left out."""
    groups = sound(read_group, group_names())
    return [group.name for group in groups if name in {reference.partition("@")[0] for reference in group.sets}]


def sound(read: Callable[[str], T], names: Sequence[str]) -> list[T]:
    """Those cards or groups that are not damaged; arguments as of :func:`damages`."""
    damaged = damages(read, names)
    return [read(name) for name in names if name not in damaged]


def damages(read: Callable[[str], object], names: Iterable[str]) -> dict[str, str]:
    """What is wrong with those cards or groups that are damaged, by name.

    Args:
        read: :func:`read_card`, :func:`find` or :func:`read_group`.
        names: that it takes.
    """
    messages = {}
    for name in names:
        try:
            read(name)
        except DamagedCardError as error:
            messages[name] = str(error)

    return messages


def _path(folder: Path, kind: str, name: str, known: Sequence[str]) -> Path:
    """The file of a card or group; `name` must be a known one, so that it leads to no other folder."""
    if name not in known:
        folded = name.lower().replace("_", "-")
        similar = [folded] if folded in known else get_close_matches(folded, known, n=3)
        hint = f"; did you mean {' or '.join(map(repr, similar))}?" if similar else "."
        everything = f": {', '.join(known)}" if kind == "group" else ""
        raise SettingsError(
            f"there is no {kind} {name!r}{hint} `python -m ood_lightning data list` shows all{everything}"
        )
    return folder / f"{name}.yaml"


def _content(path: Path) -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C loader reads all cards in a tenth of the time
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:  # ValueError: an impossible date
        raise DamagedCardError(f"{path} is not readable as YAML: {first_line(error)}") from None
