"""`data list` and `data show`: what is known of published sets of images. Needs no torch."""

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

    chosen = read_group(group)
    with_id = f"ID set {chosen.id_set}. " if chosen.id_set else ""
    print_cards(chosen.sets, f"{chosen.name}: {chosen.title}", f"{with_id}{chosen.note} {chosen.paper}")
    return 0


def show(names: list[str]) -> int:
    """The whole card of a set, and the commands from nothing to its features.

    Args:
        names: cards, as `data list` names them; `NAME@PROTOCOL` for another than the usual choice of its pictures.
    """
    from ood_lightning.data.cards.cards import find
    from ood_lightning.report.cards import print_card

    for i, (card, protocol) in enumerate([find(name) for name in names]):
        if i:
            print()
        print_card(card, protocol)
    return 0
