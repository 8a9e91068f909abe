"""A set of images as a run holds it: its manifest and its features, and what it stands for in an evaluation."""

from dataclasses import dataclass

from ood_lightning.data.artifacts.features import Features
from ood_lightning.data.shards.manifest import Manifest, Role


@dataclass(frozen=True)
class FeatureSet:
    """A set of images and their stored features.

    Args:
        manifest: of the set.
        features: of those of its images that can be decoded, in the order of the shards.
    """

    manifest: Manifest
    features: Features


@dataclass(frozen=True)
class EvalSet(FeatureSet):
    """One set of an evaluation.

    Args:
        role: what its images stand for.
        group: of an OOD set (`near`, `far`, ...); means are reported for each. "" for other sets.
    """

    role: Role
    group: str = ""
