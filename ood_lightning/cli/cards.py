"""`data list` and `data show`: what is known of published sets of pictures. Needs no torch."""

from __future__ import annotations


def list_cards(group: str | None = None) -> int:
    """Published sets: role, pictures, classes, licence, groups.

    Args:
        group: only the sets of a group, such as clustermine, negrefine, classic, openood-near, openood-far, covariate.
    """
    from ood_lightning.data.cards.cards import card_names, group_names, read_group
    from ood_lightning.report.cards import print_cards

    if group is None:
        print_cards(card_names(), note=f"Groups (--group NAME): {', '.join(group_names())}")
        return 0
    found = read_group(group)
    with_id = f"ID set {found.id_set}. " if found.id_set else ""
    print_cards(found.sets, f"{found.name}: {found.title}", f"{with_id}{found.note} {found.paper}")
    return 0


def show(names: list[str]) -> int:
    """All that the card of a set says, and the commands from nothing to its features.

    Args:
        names: names of cards, as `data list` has them; `NAME@PROTOCOL` for another than the usual way to count it.
    """
    from ood_lightning.data.cards.cards import find
    from ood_lightning.report.cards import print_card

    for i, (card, protocol) in enumerate([find(name) for name in names]):
        if i:
            print()
        print_card(card, protocol)
    return 0
