"""What modules and callbacks ask of a run's data module. A data module of one's own may stand in for ours.

A module says by a protocol what it reads, and gets the data module typed:

    data = data_of(self.trainer, EvalData)
    data.read_columns(("tower",))

Nothing is assigned to a data module: what its loaders need to know comes as the argument of one method.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, cast

from ood_lightning.errors import SettingsError

if TYPE_CHECKING:
    import lightning.pytorch as L
    from torch import Tensor

    from ood_lightning.data.artifacts.features import EvalSet, Features, FeatureSet
    from ood_lightning.data.shards.manifest import Manifest
    from ood_lightning.encoders.base import Encoder
    from ood_lightning.functional.moments import Moments
    from ood_lightning.functional.rows import FeatureRows


class UnlabelledData(Protocol):
    """One unlabelled ID set, with what a label set's recipe says of it.

    Attributes:
        features: of the set.
        manifest: of the set.
        encoder: of its features; encodes words.
        cache_dir: folder of all features.
    """

    features: Features
    manifest: Manifest
    encoder: Encoder
    cache_dir: str


class PairData(Protocol):
    """Pairs of neighbouring images of one ID set, for clustering.

    Attributes:
        features: of the set.
        moments: mean and deviation of its features, equal in every process.
        batch_size: pairs in a batch, over all ranks together.
    """

    features: Features
    moments: Moments
    batch_size: int


class NeighbourData(PairData, UnlabelledData, Protocol):
    """Both, with what a label set's recipe says of the pairs.

    Attributes:
        n_neighbours: of which one is drawn for each image and epoch.
        neighbour_search: how they were found, `exact` or `approximate`.
        self_neighbour: whether each image is the first of its own neighbours.
        seed: of the draws.
    """

    n_neighbours: int
    neighbour_search: str
    self_neighbour: bool
    seed: int


def pair_recipe(data: NeighbourData) -> dict[str, Any]:
    """What the pairs are drawn from, as plain data; what is not as usual only where it is not."""
    recipe: dict[str, Any] = {"batch_size": data.batch_size, "n_neighbours": data.n_neighbours}
    if data.neighbour_search != "exact":
        recipe["neighbour_search"] = data.neighbour_search
    if data.self_neighbour:
        recipe["self_neighbour"] = True
    return recipe


class EvalData(Protocol):
    """Named sets of an evaluation, every image once.

    Attributes:
        sets: ID, covariate-shifted and OOD sets, in the order of the loaders.
        id_train: ID training images, where the run has some.
    """

    sets: list[EvalSet]
    id_train: FeatureSet | None

    def read_columns(self, columns: Sequence[str]) -> None:
        """Let the loaders hand over these columns beside `image`."""


class TargetData(Protocol):
    """One ID set whose images a module gives classes.

    Attributes:
        manifests: of the set, for checkpoints, which remember what they were made from.
        features: of the set.
    """

    manifests: list[Manifest]
    features: Features

    def train_on(self, image: FeatureRows, targets: Tensor) -> None:
        """Let the loader show rows of these features (n, D) with their classes (n,)."""


class Side(NamedTuple):
    """One side of SynOOD's training.

    Attributes:
        epochs: that it lasts.
        image: features that it shows, shape (n, D).
        target: class of each, int64, shape (n,).
        unit_norm: whether features are shown at length one.
    """

    epochs: int
    image: Tensor
    target: Tensor
    unit_norm: bool = True


class SyntheticData(Protocol):
    """ID images, and synthetic images that stand for OOD.

    Attributes:
        manifests: of both, ID first.
        id: features of the ID images.
        synthetic: features of the synthetic images.
    """

    manifests: list[Manifest]
    id: Features
    synthetic: Features

    def train_on(self, sides: Sequence[Side]) -> None:
        """Let the loader show one side after the other."""


Data = TypeVar("Data")


def data_of(trainer: L.Trainer, kind: Callable[..., Data], user: object) -> Data:
    """The run's data module, as the kind that its user asks for.

    Args:
        trainer: of the run.
        kind: a protocol of this file.
        user: who asks; the error names its class.

    Raises:
        SettingsError: the config has a data module of another kind.
    """
    data = getattr(trainer, "datamodule", None)
    declared = {name for base in type(data).__mro__ for name in (*vars(base), *getattr(base, "__annotations__", {}))}
    declared |= getattr(data, "__dict__", {}).keys()
    if missing := [name for name in _members(kind) if name not in declared]:
        raise SettingsError(
            f"{type(user).__name__} reads data of the kind {getattr(kind, '__name__', kind)}, and the config names "
            f"{type(data).__name__}, which has no {', no '.join(missing)}: name another class in data.class_path"
        )
    return cast(Data, data)


def _members(protocol: Any) -> list[str]:
    """Attributes and methods of a protocol and of those that it extends."""
    extended = [base for base in protocol.__mro__ if getattr(base, "_is_protocol", False)]
    names = [name for base in extended for name in (*vars(base).get("__annotations__", {}), *vars(base))]
    return [name for name in dict.fromkeys(names) if not name.startswith("_")]
