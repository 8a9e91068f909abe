"""`labels show`, `diff`, `elbow` and `plot`: what lies in label sets and measures of finished fits. Needs no torch."""

from __future__ import annotations

from pathlib import Path


def show(sets: list[str], top: int = 50, names: str | None = None) -> int:
    """Label sets as tables: recipe, whether edited, positives by falling support.

    Args:
        sets: `labels.json` files, or folders of fits.
        top: positives to show.
        names: a set with a manifest or a .txt with the true names: shows overlap, precision and F1, marks hits with *.
    """
    from ood_lightning.data.labels import LabelSet
    from ood_lightning.data.names import read_names
    from ood_lightning.report.labels import print_set

    _check_top(top)
    true = read_names(names) if names is not None else None
    for source in sets:
        print_set(source, LabelSet.read(_file(source)), top, true)
    return 0


def diff(sets: list[str], top: int = 20) -> int:
    """What differs between two label sets: recipe, words of one alone, support of common words.

    Args:
        sets: two `labels.json` files, or folders of fits.
        top: words of each kind to show.
    """
    from ood_lightning.data.labels import LabelSet
    from ood_lightning.errors import SettingsError
    from ood_lightning.report.labels import print_difference

    _check_top(top)
    if len(sets) != 2:
        raise SettingsError(f"{len(sets)} label sets given: `labels diff A B` compares two")
    a, b = (LabelSet.read(_file(source)) for source in sets)
    print_difference((sets[0], sets[1]), (a, b), top)
    return 0


def _check_top(top: int) -> None:
    from ood_lightning.errors import SettingsError

    if top < 1:
        raise SettingsError(f"top is {top}: expected 1 or more")


def _file(source: str) -> Path:
    from ood_lightning.places import locate

    path = locate(source)
    return path / "labels.json" if path.is_dir() else path
