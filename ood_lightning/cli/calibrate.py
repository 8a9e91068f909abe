"""`calibrate`: a threshold for a detector folder, from ID pictures that it has never seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ood_lightning.errors import SOME_UNREAD, SettingsError, check_least, percent_hint
from ood_lightning.places import FEATURES, expanded

if TYPE_CHECKING:
    from torch import Tensor

    from ood_lightning.calibration.calibration import Calibration
    from ood_lightning.data.shards.manifest import Manifest
    from ood_lightning.detector_folder.load import Verified


def calibrate(
    images: list[str],
    detector: str,
    tpr: float = 0.95,
    cache_dir: str = FEATURES,
    num_workers: int = 2,
) -> int:
    """Set the threshold of a detector folder anew, and say what it promises.

    Args:
        images: folders of pictures, sets with manifests, or tars; all in-distribution, none of them used to make the
            detector.
        detector: its folder.
        tpr: share of new in-distribution pictures to accept.
        cache_dir: folder of all features.
        num_workers: processes that decode pictures.
    """
    from ood_lightning.calibration.checks import known_again
    from ood_lightning.data.shards.read_manifest import read_manifest
    from ood_lightning.detector_folder.load import check_folder, load_folder
    from ood_lightning.detector_folder.save import set_calibration
    from ood_lightning.devices import pick_device
    from ood_lightning.making.pictures import embedded, pictures
    from ood_lightning.making.scoring import scores_of

    check_least(0, num_workers=num_workers)
    if not 0 < tpr <= 1:
        raise SettingsError(f"tpr is {tpr}: expected a share above 0 and up to 1{percent_hint(tpr)}")
    folder, device = expanded(detector), pick_device()
    verified = check_folder(folder)
    manifests = [read_manifest(source, "id") for source in images]
    _refuse_mined_ones(manifests, verified)

    loaded = load_folder(verified, device)
    encoder = verified.encoder
    sets = [embedded(manifest, encoder, cache_dir, device, num_workers) for manifest in manifests]
    everything = pictures(sets, device)
    scores = scores_of(loaded.scorer, verified.detector, everything.images, device)

    mined = verified.contents.provenance.get("mined")
    remarks = known_again(everything.images.features.image, mined) if isinstance(mined, list) else []
    calibration = _calibration(everything.groups, scores, tpr, ", ".join(images), verified, remarks)
    set_calibration(folder, calibration)
    for line in calibration.statements():
        print(line)
    for line in everything.unreadable:
        print(f"cannot be read: {line}")
    return SOME_UNREAD if everything.unreadable else 0


def _refuse_mined_ones(manifests: list[Manifest], verified: Verified) -> None:
    """Refuse sets that the detector was made from: what was learned from scores higher than new pictures do."""
    known = verified.contents.provenance.get("images")
    fingerprints = set(known.values()) if isinstance(known, dict) else set()
    if same := [manifest.name for manifest in manifests if manifest.fingerprint in fingerprints]:
        raise SettingsError(
            f"{', '.join(same)} is what the detector was made from: its pictures score higher than new ones, and the "
            f"threshold would reject too many. Give others"
        )


def _calibration(
    groups: Tensor, scores: Tensor, tpr: float, source: str, verified: Verified, remarks: list[str]
) -> Calibration:
    """The calibration; its scores are compared with those of the pictures that `run` held out from mining."""
    import torch

    from ood_lightning.calibration.calibrate import calibrate_scores

    stored = verified.contents.provenance.get("held_out_scores")
    held_out = torch.tensor(stored, dtype=torch.float64) if isinstance(stored, list) and stored else None
    return calibrate_scores(scores, groups, tpr, source, held_out=held_out, remarks=remarks)
