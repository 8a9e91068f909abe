"""A packed set against its card: what differs, and whether that is an error or worth a look. Needs no torch."""

from dataclasses import dataclass

from ood_lightning.data.cards.cards import Card, Protocol, card_names, find, read_card
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
    """Card and protocol that a set was packed by, as its manifest says; None: it names no card."""
    try:
        return find(str(manifest.protocol))
    except SettingsError:
        return None


def differences(manifest: Manifest, reference: str) -> list[Difference]:
    """What a manifest says other than the card that `NAME` or `NAME@PROTOCOL` names.

    Args:
        manifest: of the packed set.
        reference: card and protocol; the manifest's own `protocol` is one if the card's commands made the set.

    Raises:
        SettingsError: there is no such card or protocol.
    """
    card, protocol = find(reference)
    found = []
    if protocol.images is not None and manifest.n_samples != protocol.images:
        others = [
            f"{card.reference(one)} has {one.images:,}" for one in card.protocols if one.images == manifest.n_samples
        ]
        found.append(
            Difference(
                f"{many(manifest.n_samples, 'picture')}, the card {reference} says {protocol.images:,} "
                f"({protocol.evidence})" + "".join(f"; {other}" for other in others),
                protocol.confirmed,
            )
        )
    if manifest.role != card.role:
        found.append(Difference(f"role {manifest.role}, the card {card.name} says {card.role}", False))
    names = len(manifest.class_names)
    if card.role != "ood" and card.classes is not None and names != card.classes:
        told = f"{many(names, 'class name')}, the card {card.name} says {many(card.classes, 'class', 'classes')}"
        found.append(Difference(told, False))
    if manifest.protocol and manifest.protocol != card.reference(protocol):
        found.append(Difference(f"packed as {manifest.protocol!r}, compared with {card.reference(protocol)!r}", True))
    return found


def matching(pictures: int, classes: int) -> list[str]:
    """Cards and protocols with so many pictures, `NAME` or `NAME@PROTOCOL`; counts alone do not prove a set.

    Args:
        pictures: that a set holds.
        classes: numbers that its labels take; 0: it has no labels, and only pictures are compared.
    """
    return [
        card.reference(protocol)
        for card in map(read_card, card_names())
        for protocol in card.protocols
        if protocol.images == pictures and (not classes or card.classes in (None, classes))
    ]
