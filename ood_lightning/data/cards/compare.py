"""A packed set against its card: what differs, and whether that is an error or worth a look. Needs no torch."""

from dataclasses import dataclass

from ood_lightning.data.cards.card import Card, Protocol
from ood_lightning.data.cards.cards import DamagedCardError, card_names, find, read_card, sound
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.errors import SettingsError
from ood_lightning.plurals import many


@dataclass(frozen=True)
class Difference:
    """One thing in which a set is not what its card says.

    Args:
        text: what was found and what was expected.
        certain: the card's side is confirmed; otherwise it is a warning.
    """

    text: str
    certain: bool


def known(manifest: Manifest) -> tuple[Card, Protocol] | None:
    """Card and protocol that a set was packed by, as its manifest says; None: it names no card.

    Raises:
        DamagedCardError: it names a card that cannot be read.
    """
    try:
        return find(str(manifest.protocol))
    except DamagedCardError:
        raise
    except SettingsError:
        return None


def differences(manifest: Manifest, reference: str) -> list[Difference]:
    """In what a manifest differs from the card that `NAME` or `NAME@PROTOCOL` names.

    Args:
        manifest: of the packed set.
        reference: card and protocol; the manifest's `protocol` is one if the card's commands made the set.

    Raises:
        SettingsError: there is no such card or protocol.
    """
    card, protocol = find(reference)
    differing = []

    if protocol.images is not None and manifest.n_samples != protocol.images:
        text = f"{many(manifest.n_samples, 'picture')}, the card {reference} says {protocol.images:,}"
        hint = "".join(
            f"; {card.reference(other)} has {other.images:,}"
            for other in card.protocols
            if other.images == manifest.n_samples
        )
        differing.append(Difference(f"{text} ({protocol.evidence}){hint}", protocol.confirmed))

    if manifest.role != card.role:
        differing.append(Difference(f"role {manifest.role}, the card {card.name} says {card.role}", False))

    n_names = len(manifest.class_names)
    if card.role != "ood" and card.classes is not None and n_names != card.classes:
        text = f"{many(n_names, 'class name')}, the card {card.name} says {many(card.classes, 'class', 'classes')}"
        differing.append(Difference(text, False))

    if manifest.protocol and manifest.protocol != card.reference(protocol):
        differing.append(
            Difference(f"packed as {manifest.protocol!r}, compared with {card.reference(protocol)!r}", certain=True)
        )
    return differing


def matching(pictures: int, classes: int) -> list[str]:
    """Cards and protocols with so many pictures, `NAME` or `NAME@PROTOCOL`; counts alone do not prove a set.

    Damaged cards are left out; `data list` names them.

    Args:
        pictures: that a set holds.
        classes: numbers that its labels take; 0: it has no labels, and only pictures are compared.
    """
    cards = [card for card in sound(read_card, card_names()) if not classes or card.classes in (None, classes)]
    return [card.reference(protocol) for card in cards for protocol in card.protocols if protocol.images == pictures]
