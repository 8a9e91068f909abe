"""What a run refuses or warns of before a picture is looked at."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from ood_lightning.data.class_names import read_names
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.detectors.base import Detector
from ood_lightning.detectors.evidence import IDLabels, Inputs
from ood_lightning.errors import SettingsError
from ood_lightning.label_sets.id_names import foreign_names, with_id_names
from ood_lightning.plurals import many


def check_sets(manifests: Sequence[Manifest], ood_manifests: Sequence[Manifest]) -> None:
    """Refuse OOD sets that tables could not tell apart, and the same pictures on both sides.

    Raises:
        SettingsError: naming the sets.
    """
    names = [manifest.name for manifest in ood_manifests]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingsError(f"two sets of --ood are called {', '.join(twice)}: rename a folder")
    ids = {manifest.fingerprint for manifest in manifests}
    if same := [manifest.name for manifest in ood_manifests if manifest.fingerprint in ids]:
        raise SettingsError(f"--ood {', '.join(same)} holds the very pictures that are to be in-distribution")


def check_can_work(score: Detector, clusters: int | None, manifests: Sequence[Manifest]) -> None:
    """Refuse what the pictures cannot give.

    Raises:
        SettingsError: says what to ask for instead.
    """
    n_pictures = sum(manifest.n_samples for manifest in manifests)
    if clusters is not None and clusters > n_pictures:
        raise SettingsError(
            f"clusters is {clusters:,}, and there are {many(n_pictures, 'picture')}: ask for fewer, or for none"
        )
    if IDLabels in score.required_inputs and all(manifest.of_files for manifest in manifests):
        raise SettingsError(
            f"{type(score).__name__} needs a class for each picture, which folders of pictures do not have: name "
            f"another detector, or a set with labels (`data pack`)"
        )


def out_among_pictures(folder: Path, manifests: Iterable[Manifest]) -> list[str]:
    """A line where a run writes into a folder of pictures; nothing otherwise.

    No refusal: no file of a run has the ending of a picture, so the set stays the same one. But every run lists and
    counts them, and whoever copies the pictures takes the detector along.

    Args:
        folder: of the run; it need not exist.
        manifests: of all sets.
    """
    real = folder.resolve()
    roots = [manifest.root for manifest in manifests if manifest.of_files]
    return [
        f"{folder} lies in {root}, among the pictures: the files of this run count there as no pictures by name. "
        f"--out names a folder outside of it"
        for root in dict.fromkeys(roots)
        if root is not None and real.is_relative_to(root.resolve())
    ][:1]


def foreign(names: str, manifests: Iterable[Manifest]) -> list[str]:
    """A line where given names are not those that the sets' manifests have; folders of pictures have none to compare.

    Args:
        names: file with a name a line.
        manifests: of ID sets.
    """
    available = with_id_names(Inputs(), manifests, "warn")
    return list(foreign_names({names: read_names(names)}, "list of names", available).values())
