"""What commands without a Trainer and a data module begin with: a device, a loaded encoder, ID training images."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from ood_lightning.devices import pick_device

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from ood_lightning.checks import Check
    from ood_lightning.corpora.prompts import Prompts
    from ood_lightning.corpora.texts import TextBank
    from ood_lightning.corpora.words import Corpus
    from ood_lightning.detectors.base import Detector
    from ood_lightning.detectors.evidence import Inputs
    from ood_lightning.encoders.base import Encoder
    from ood_lightning.label_sets.base import LabelSource
    from ood_lightning.label_sets.id_names import NamesCheck
    from ood_lightning.label_sets.ready import MadeLabelSet


def checks_before(
    encoder: Encoder,
    cache_dir: str,
    id_shards: str | None,
    names_check: NamesCheck,
    sources: Mapping[str, LabelSource],
    corpus: Corpus,
    prompts: Prompts,
    *,
    detectors: Mapping[str, Detector] | None = None,
    clusters: bool = False,
) -> list[Check]:
    """What files tell of the arguments of :func:`begin` and of the label sets that are then made.

    Args:
        encoder: not loaded.
        cache_dir: folder of all features.
        id_shards: of ID training images, if there are some.
        names_check: what to do where a label set is given names that are not those of the set's manifest.
        sources: of label sets, by name.
        corpus: of those that bring none.
        prompts: of those that bring none.
        detectors: by name, each of which reads one of the sets.
        clusters: the command has clusters of the images.
    """
    from ood_lightning.corpora.texts import TextBank
    from ood_lightning.data.shards.read_manifest import read_manifest
    from ood_lightning.datamodules.base import not_patches
    from ood_lightning.datamodules.checks import SetToEmbed, readable, set_checks
    from ood_lightning.label_sets.checks import inputs_to_come, label_set_checks

    columns = not_patches(encoder.extra_features)
    sets = [] if id_shards is None else [SetToEmbed(id_shards, cache(partial(read_manifest, id_shards)), columns)]
    id_sets = partial(readable, sets)
    available = inputs_to_come(id_sets, names_check, images=bool(sets), clusters=clusters)
    bank = TextBank(encoder, cache_dir)
    return [
        *set_checks(encoder, cache_dir, sets),
        *label_set_checks(sources, corpus, prompts, bank, available, detectors),
    ]


def begin(
    encoder: Encoder,
    cache_dir: str,
    id_shards: str | None,
    names_check: NamesCheck,
    *,
    max_bad_samples: int = 0,
    extra_features: Sequence[str] = (),
) -> tuple[torch.device, TextBank, Inputs]:
    """The device, the encoder's text features, and what ID training images offer; nothing where none are named.

    Args:
        encoder: loaded afterwards.
        cache_dir: folder of all features.
        id_shards: folder with a manifest or of pictures, or tars by a brace list; missing features are made.
        names_check: what to do where a label set is given names that are not those of the set's manifest.
        max_bad_samples: undecodable pictures that the set may have.
        extra_features: columns to store beside the image features; those of patches are left out.
    """
    from ood_lightning.corpora.texts import TextBank
    from ood_lightning.data.artifacts.features import FeatureSet
    from ood_lightning.data.shards.read_manifest import read_manifest
    from ood_lightning.datamodules.base import not_patches
    from ood_lightning.datamodules.embedding import embed
    from ood_lightning.detectors.evidence import Inputs
    from ood_lightning.label_sets.id_names import with_id_names
    from ood_lightning.label_sets.training_images import inputs_of

    device, available = pick_device(), Inputs()
    if id_shards is not None:
        manifest, columns = read_manifest(id_shards), not_patches(extra_features)
        stored = embed(
            encoder, manifest, cache_dir, device=device, max_bad_samples=max_bad_samples, extra_features=columns
        )
        available = inputs_of(FeatureSet(manifest, stored.read(max_bad_samples)), device)
        available = with_id_names(available, [manifest], names_check)

    encoder.load(device)
    return device, TextBank(encoder, cache_dir), available


def mined(
    encoder: Encoder,
    id_shards: str,
    source: LabelSource,
    corpus: Corpus,
    prompts: Prompts,
    votes: str | None,
    cache_dir: str,
    names_check: NamesCheck = "refuse",
    max_bad_samples: int = 0,
) -> MadeLabelSet:
    """A label set of ID images: what the command `mine` and the function of that name do.

    Args:
        encoder: loaded afterwards.
        id_shards: folder with a manifest, or tars by a brace list; missing features are made.
        source: how to mine.
        corpus: words to mine from.
        prompts: templates around each word.
        votes: `votes.safetensors` of a fit on the same set, for methods that need clusters.
        cache_dir: folder of all features.
        names_check: what to do where the source is given names that are not those of the set's manifest.
        max_bad_samples: undecodable pictures that the set may have.
    """
    from ood_lightning.label_sets.ready import make_label_set
    from ood_lightning.label_sets.training_images import Clusters, IDTrainingSet

    _, bank, available = begin(encoder, cache_dir, id_shards, names_check, max_bad_samples=max_bad_samples)
    if votes is not None:
        clusters = Clusters.read(votes, available[IDTrainingSet])
        available = available.offering(Clusters, lambda: clusters)
    return make_label_set(source, corpus, prompts, bank, available)
