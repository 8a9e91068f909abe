"""Names that tables can show: of sets, groups, detectors and label sets. Needs no torch."""

from collections.abc import Iterable

from ood_lightning.errors import SettingsError
from ood_lightning.metrics.results import MEAN


def check_set_names(names: Iterable[str], groups: Iterable[str]) -> None:
    """Refuse sets whose rows could not be told from means.

    Args:
        names: of the sets of an evaluation.
        groups: of its OOD sets.

    Raises:
        SettingsError: a set is called `mean`, or as tables call the mean of a group, such as `mean near`.
    """
    names, groups = list(names), list(groups)
    check_shown_names("set", names)
    check_shown_names("group", groups)

    reserved = {MEAN, *(f"{MEAN} {group}" for group in groups)}
    for name in names:
        if name in reserved:
            raise SettingsError(
                f"a set is called {name!r}: tables and results call means so, and its row would be lost among them. "
                f"Give it another name in its manifest"
            )


def check_shown_names(kind: str, names: Iterable[str]) -> None:
    """Refuse names that tables would not show, or not tell from others.

    Args:
        kind: what they name, such as `detector`.
        names: to check.

    Raises:
        SettingsError: one is empty, begins or ends with a blank, or holds two in a row.
    """
    for name in names:
        if not name or name != name.strip() or "  " in name:
            raise SettingsError(
                f"a {kind} is called {name!r}: tables would not show it, or not tell it from {name.strip()!r}. Give a "
                f"name without blanks around it and with single ones in it"
            )
