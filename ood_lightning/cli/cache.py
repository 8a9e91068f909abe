"""`cache ...`: the group's steps; `list` gets its name only here, as in `data`."""

from ood_lightning.cli.cache_steps import clean
from ood_lightning.cli.cache_steps import list_cache as list

__all__ = ["clean", "list"]
