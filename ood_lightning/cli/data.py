"""`data ...`: the group's steps that have no file of their own.

`list` gets its name only here: where the annotation `list[str]` is read, it has to mean the type.
"""

from ood_lightning.cli.cards import list_cards as list
from ood_lightning.cli.cards import show

__all__ = ["list", "show"]
