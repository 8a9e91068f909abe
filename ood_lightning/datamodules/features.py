"""Which features a stage sees: pairs of neighbours for `fit`, every sample once for `test`."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from torch.utils.data import DataLoader

from ood_lightning.checks import Check
from ood_lightning.clustering.approximate import check_faiss
from ood_lightning.clustering.pairs import EpochPairs, PairFeatures, resident
from ood_lightning.data.artifacts.features import EvalSet, FeatureSet
from ood_lightning.data.cards.cards import with_groups
from ood_lightning.data.shards.manifest import Role
from ood_lightning.data.shards.read_manifest import is_counted_by_fetching
from ood_lightning.datamodules.base import FeatureData, not_patches
from ood_lightning.datamodules.blocks import Blocks
from ood_lightning.datamodules.checks import SetToEmbed, check_no_shared_shards
from ood_lightning.datamodules.neighbourhood import Search, moments_of_set, neighbours_of_set, with_itself_first
from ood_lightning.datamodules.unlabelled import UnlabelledFeatures
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import ManifestError, SettingsError
from ood_lightning.functional.moments import Moments
from ood_lightning.functional.rows import FeatureRows
from ood_lightning.metrics.shown_names import check_set_names
from ood_lightning.places import FEATURES
from ood_lightning.ranges import Count, CountOrZero, Range, Seed, in_range


class TrainFeatures(UnlabelledFeatures):
    """Pairs of neighbouring images of one unlabelled ID set, for TEMI.

    Args:
        encoder: frozen image-text towers.
        id_shards: folder with a manifest or of pictures, or tars by a brace list.
        cache_dir: folder of all features.
        n_neighbours: k, of which one is drawn per image and epoch.
        batch_size: pairs in a batch, over all ranks together.
        seed: of order and draws; the run's own seed if None.
        embed_batch_size: pictures in a batch of the encoder.
        num_workers: processes that decode pictures, on each rank.
        max_bad_samples: undecodable pictures allowed.
        self_neighbour: each image is the first of its own k neighbours, as in TEMI's code for more than 80,000 images.
            Only to compare with its numbers.
        neighbour_search: `exact`, or `approximate` for sets of more than 10 million images: an inverted file of faiss,
            of which as many lists are searched as a measured recall of 0.95 takes. Needs the extra `faiss`.

    Attributes:
        features: of the set; there after `setup`, as the others.
        moments: mean and deviation of the features.
        neighbours: rows of each image's k nearest images, (n, k) int32, mapped from their files.
    """

    moments: Moments
    neighbours: FeatureRows

    @in_range
    def __init__(
        self,
        encoder: Encoder,
        id_shards: str,
        cache_dir: str = FEATURES,
        n_neighbours: Count = 50,
        batch_size: Count = 1024,
        seed: Seed = 0,
        embed_batch_size: Annotated[int, Range(1, 65_536)] = 256,
        num_workers: Annotated[int, Range(0, 1024)] = 2,
        max_bad_samples: CountOrZero = 0,
        self_neighbour: bool = False,
        neighbour_search: Search = "exact",
    ) -> None:
        super().__init__(encoder, id_shards, cache_dir, embed_batch_size, num_workers, max_bad_samples)
        self.batch_size, self.n_neighbours, self.seed = batch_size, n_neighbours, seed
        self.self_neighbour, self.neighbour_search = self_neighbour, neighbour_search

    def checks(self) -> list[Check]:
        """As of every data module, and whether there are enough pictures."""
        checks = [*super().checks(), Check("pictures of a batch", self._check_counts)]
        return [*checks, Check("faiss", check_faiss)] if self.neighbour_search == "approximate" else checks

    def _check_counts(self) -> str:
        if is_counted_by_fetching(self.id_shards):
            return "not known yet"
        self._refuse_too_few(self.manifest.n_samples)
        return f"{self.batch_size}, with {self.n_neighbours} neighbours each"

    def _refuse_too_few(self, n: int) -> None:
        if n <= self.n_neighbours or n < self.batch_size:
            raise SettingsError(
                f"set {self.manifest.name!r} has {n} pictures: too few for n_neighbours {self.n_neighbours} and "
                f"batch_size {self.batch_size}. Make both smaller, or give more pictures."
            )

    @property
    def settings(self) -> dict[str, Any]:
        """What a fit depends on; a run goes on only from a checkpoint with the same."""
        return {
            **super().settings,
            "n_neighbours": self.n_neighbours,
            "self_neighbour": self.self_neighbour or None,  # None as in checkpoints from before it could be chosen
            "neighbour_search": self.neighbour_search if self.neighbour_search != "exact" else None,
            "batch_size": self.batch_size,
            "data.seed": self.seed,
        }

    def setup(self, stage: str) -> None:
        """Embed, find neighbours."""
        folder = self._set_up()
        self._refuse_too_few(len(self.features))
        world_size = self.trainer.world_size
        if self.batch_size % world_size:
            raise SettingsError(f"batch_size {self.batch_size} does not divide over {world_size} processes")

        image, search = self.features.image, self.neighbour_search
        self.moments = moments_of_set(self.trainer, folder, image)
        stored = neighbours_of_set(self.trainer, folder, image, self.n_neighbours, search, self.seed)
        self.neighbours = with_itself_first(stored) if self.self_neighbour else stored

    def train_dataloader(self) -> DataLoader[Any]:
        """This rank's share of every batch."""
        trainer = self.trainer
        pairs = EpochPairs(
            len(self.features), self.n_neighbours, self.batch_size, self.seed, trainer.global_rank, trainer.world_size
        )
        held = resident(self.features.image, self.neighbours, trainer.strategy.root_device)
        return DataLoader(PairFeatures(*held), sampler=pairs, batch_size=None)


class EvalFeatures(FeatureData):
    """Every sample of named ID, covariate-shifted and OOD sets, once.

    Attributes:
        sets: the sets, in the order of the loaders; there after `setup`.
        id_train: ID training images, if the config names some; there after `setup`.

    Args:
        encoder: frozen image-text towers.
        id_shards: sources of ID test sets.
        ood_shards: sources of OOD sets by group (`near`, `far`, ...); means are reported per group. Here and beside it,
            `group:NAME` stands for the sets of a group of cards, in the folders that the cards' commands pack them to.
        covariate_shards: sources of ID sets under another style; each takes the ID set's place in turn.
        id_train_shards: source of ID training images, for detectors that learn from them.
        cache_dir: folder of all features.
        batch_size: features in a batch.
        embed_batch_size: pictures in a batch of the encoder.
        num_workers: processes that decode pictures, on each rank.
        max_bad_samples: undecodable pictures a set may have; they are listed in the results.
    """

    @in_range
    def __init__(
        self,
        encoder: Encoder,
        id_shards: list[str],
        ood_shards: dict[str, list[str]],
        covariate_shards: list[str] | None = None,
        id_train_shards: str | None = None,
        cache_dir: str = FEATURES,
        batch_size: Count = 1024,
        embed_batch_size: Annotated[int, Range(1, 65_536)] = 256,
        num_workers: Annotated[int, Range(0, 1024)] = 2,
        max_bad_samples: CountOrZero = 0,
    ) -> None:
        super().__init__(encoder, cache_dir, batch_size, embed_batch_size, num_workers, max_bad_samples)
        if not id_shards or not any(ood_shards.values()):
            raise SettingsError("an evaluation needs at least one set in id_shards and one in ood_shards")

        self.sources: list[tuple[Role, str, str]] = [
            *(("id", "", source) for source in with_groups(id_shards)),
            *(("covariate", "", source) for source in with_groups(covariate_shards or [])),
            *(("ood", group, source) for group, sources in ood_shards.items() for source in with_groups(sources)),
        ]
        self.id_train_shards = id_train_shards

        self.sets: list[EvalSet] = []
        self.id_train: FeatureSet | None = None
        self._columns: tuple[str, ...] = ()

    def _sets(self) -> list[SetToEmbed]:
        columns = self.encoder.extra_features
        sets = [SetToEmbed(source, partial(self._manifest, source, role), columns) for role, _, source in self.sources]
        if self.id_train_shards:
            read = partial(self._manifest, self.id_train_shards, "id")
            sets.append(SetToEmbed(self.id_train_shards, read, not_patches(columns)))
        return sets

    def checks(self) -> list[Check]:
        """As of every data module, and whether the sets can be told apart."""
        return [*super().checks(), Check("names of sets", self._check_names)]

    def _check_names(self) -> str:
        return self._told_apart([s for s in self.sources if not is_counted_by_fetching(s[2])])

    def _told_apart(self, sources: Sequence[tuple[Role, str, str]]) -> str:
        manifests = [self._manifest(source, role) for role, _, source in sources]
        names = [manifest.name for manifest in manifests]
        check_set_names(names, [group for role, group, _ in sources if role == "ood"])
        if twice := {name for name in names if names.count(name) > 1}:
            raise ManifestError(
                f"two sets are called {', '.join(sorted(twice))}: rename one in its manifest, or the folder of pictures"
            )
        check_no_shared_shards(manifests)
        return f"all {len(names)} differ"

    def setup(self, stage: str) -> None:
        """Embed what is missing, read all sets."""
        *manifests, last = [one.read() for one in self._sets()]
        id_train = last if self.id_train_shards else None
        if id_train is None:
            manifests.append(last)
        self._told_apart(self.sources)

        folders = self._embedded(manifests, self.encoder.extra_features)
        if id_train is not None:
            (folder,) = self._embedded([id_train], not_patches(self.encoder.extra_features))
            self.id_train = FeatureSet(id_train, self._read(folder))
        self.sets = [
            EvalSet(manifest, self._read(folder), role, group)
            for manifest, (role, group, _), folder in zip(manifests, self.sources, folders, strict=True)
        ]

    def read_columns(self, columns: Sequence[str]) -> None:
        """Let the loaders hand over these columns beside `image`.

        Args:
            columns: of the encoder's `extra_features`; those that some detector of the run reads.
        """
        self._columns = tuple(columns)

    def test_dataloader(self) -> list[DataLoader[Any]]:
        """One loader a set, in the order of `sets`."""
        share = self.trainer.global_rank, self.trainer.world_size
        blocks = [Blocks(one.features, self.batch_size, *share, self._columns) for one in self.sets]
        return [DataLoader(block, batch_size=None) for block in blocks]
