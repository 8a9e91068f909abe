"""Whose names a run scores with: those of its ID set, from its manifest, or given ones, which have to be that set's.

A config that names a list of names and is then run on another ID set would score photographs with the names of drawn
animals, and print numbers all the same. So a given list is compared with the names that the ID set itself has.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from ood_lightning.data.class_names import own_names, read_names
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.detectors.evidence import Input, Inputs
from ood_lightning.errors import SettingsError
from ood_lightning.spelling import synonyms

NamesCheck = Literal["refuse", "warn"]
FEW = 3  # names of a list that a message shows


@dataclass(frozen=True)
class IDSetNames(Input):
    """Class names of a run's ID sets, and what is to be done where others are given.

    Args:
        names: in class order, by the name of the set; sets whose manifest has none are left out.
        check: `refuse` names of another world, or `warn` of them.
    """

    how_to_provide: ClassVar[str] = "names of the ID classes (class_names in the ID set's manifest, or `names`)"

    names: Mapping[str, tuple[str, ...]]
    check: NamesCheck = "refuse"

    @property
    def first(self) -> tuple[str, ...]:
        """Names of the first set, which are scored with where none are given."""
        return next(iter(self.names.values()))


def with_id_names(available: Inputs, id_sets: Iterable[Manifest], check: NamesCheck) -> Inputs:
    """The inputs and the names of the ID sets, where their manifests have some."""
    names = {manifest.name: own_names(manifest) for manifest in id_sets}
    known = {name: of_set for name, of_set in names.items() if of_set}
    return available.offering(IDSetNames, lambda: IDSetNames(known, check)) if known else available


def true_names(source: str | None, available: Inputs) -> list[str]:
    """Names of a list or of a set with a manifest; those of the ID set where no source is given."""
    return read_names(source) if source is not None else list(available[IDSetNames].first)


def foreign_names(lists: Mapping[str, Sequence[str]], what: str, available: Inputs) -> dict[str, str]:
    """What is to be said of names that are not those of the ID sets, by who has them.

    Names are those of a set if at least half of the set's own are among them, in any spelling: case and underscores do
    not count, and of a name with commas any part does.

    Args:
        lists: names by who has them.
        what: kind of those who have them, such as `label set`.
        available: the run's inputs; nothing is compared where no ID set has names.

    Raises:
        SettingsError: names are another world's, and the check says `refuse`.
    """
    if IDSetNames not in available:
        return {}
    known = available[IDSetNames]
    remarks: dict[str, str] = {}

    for user, names in lists.items():
        spellings = frozenset().union(*map(synonyms, names))
        for id_set, class_names in known.names.items():
            distinct = dict.fromkeys(map(synonyms, class_names))
            hits = sum(not spellings.isdisjoint(name) for name in distinct)
            if 2 * hits < len(distinct):
                remarks[user] = (
                    f"{what} {user!r} has {hits:,} of the {len(distinct):,} class names of ID set {id_set!r}, fewer "
                    f"than half: it begins with {_first(names)}, the set's own with {_first(class_names)}"
                )

    if remarks and known.check == "refuse":
        raise SettingsError(
            f"{next(iter(remarks.values()))}. Scores would be those of another world: leave `names` out to take the "
            f"set's own, or give names of its classes; --names_check warn goes on all the same"
        )
    return remarks


def _first(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > FEW else ""
    return ", ".join(map(repr, names[:FEW])) + more
