"""Class names as they are written in lists and manifests, in the spelling that prompts take. Needs no torch."""

import logging
from collections.abc import Callable, Sequence
from functools import cache

from ood_lightning.errors import UserError
from ood_lightning.spelling import first_synonym, is_blank, one_text, synset_of

log = logging.getLogger(__name__)


def plain_names(names: Sequence[str], where: str, error: Callable[[str], UserError]) -> list[str]:
    """Names in one spelling each; lines of ImageNet's lists of synsets by their first synonym, which is said.

    Args:
        names: as they are written.
        where: file and field, for errors and what is said.
        error: makes the error from its text, usually the error's class.

    Raises:
        UserError: what `error` makes; a name is empty.
    """
    plain = [one_text(first_synonym(name)) for name in names]
    if blank := [number for number, name in enumerate(plain, 1) if is_blank(name)]:
        raise error(f"{where}: name {blank[0]} is empty: expected a text, since a prompt takes it")

    if synset_lines := [name for name in names if synset_of(name)]:
        first = synset_lines[0].strip()
        say(
            f"{where}: {len(synset_lines)} of {len(names)} names are lines of ImageNet's list of synsets, read as "
            f"their first synonym: {first!r} as {one_text(first_synonym(first))!r}"
        )
    return plain


@cache
def say(remark: str) -> None:
    """A remark in the log, once a process however often its file is read."""
    log.warning("%s", remark)
