"""`data list` and `data show`: what is known of published sets of images. Needs no torch."""

import sys

from ood_lightning.data.cards.cards import card_names, damages, find, group_names, read_group
from ood_lightning.errors import SettingsError
from ood_lightning.report.cards import print_card, print_cards


def list_cards(group: str | None = None) -> int:
    """Published sets: role, pictures, classes, licence, groups. Exit status 1: some cards are damaged and named.

    Args:
        group: only the sets of a group, such as clustermine, negrefine, classic, openood-near, openood-far, covariate.
    """
    if group is None:
        references, title = card_names(), ""
        note = f"Groups (--group NAME): {', '.join(group_names())}"
        damaged_groups = damages(read_group, group_names())
    else:
        chosen = read_group(group)
        references, title = list(chosen.sets), f"{chosen.name}: {chosen.title}"
        with_id = f"ID set {chosen.id_set}. " if chosen.id_set else ""
        note = f"{with_id}{chosen.note} {chosen.paper}"
        damaged_groups = {}

    damaged = damages(find, references)
    sound = [reference for reference in references if reference not in damaged]
    if not sound:
        raise SettingsError("\n".join(damaged.values()))

    print_cards(sound, title, note)
    for message in (*damaged.values(), *damaged_groups.values()):
        print(f"damaged: {message}", file=sys.stderr)
    return 1 if damaged or damaged_groups else 0


def show(names: list[str]) -> int:
    """The whole card of a set, and the commands from nothing to its features.

    Args:
        names: cards, as `data list` names them; `NAME@PROTOCOL` for another than the usual choice of its pictures.
    """
    for i, (card, protocol) in enumerate([find(name) for name in names]):
        if i:
            print()
        print_card(card, protocol)
    return 0
