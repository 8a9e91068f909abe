"""A detector from a folder: images in, scores, p-values, decisions and nearest words out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ood_lightning.devices import pick_device
from ood_lightning.errors import NotFiniteScoresError, check_least
from ood_lightning.places import expanded

if TYPE_CHECKING:  # at run time they are imported by those who use them: settings are read where torch is not wanted
    import torch
    from torch import Tensor

    from ood_lightning.calibration.calibration import Calibration
    from ood_lightning.data.artifacts.label_set import LabelSet
    from ood_lightning.detector_folder.images import Images, Item, Pixels
    from ood_lightning.detector_folder.load import Loaded


@dataclass(frozen=True)
class Result:
    """What a detector says of an image.

    Args:
        path: of its file; `SET: KEY` of an image of a set; None for one in memory.
        score: higher = more in-distribution; None where the image could not be read.
        p_value: share of held-out ID images, this one among them, with no larger score; None without calibration.
        accepted: it counts as in-distribution; None without calibration.
        concepts: its nearest positives, the nearest first.
        nearest_negative: "" where there is none.
        error: why it could not be read; "" where it could.
    """

    path: str | None
    score: float | None = None
    p_value: float | None = None
    accepted: bool | None = None
    concepts: tuple[str, ...] = ()
    nearest_negative: str = ""
    error: str = ""


class Detector:
    """Scores images; :meth:`load` reads one from its folder.

    Example:
        >>> detector = Detector.load("runs/my_photos/detector")  # doctest: +SKIP
        >>> for result in detector("new_photos"):  # doctest: +SKIP
        ...     print(result.path, result.score, result.p_value, result.accepted, result.concepts)

    Args:
        loaded: a folder's content, on a device.
        device: where images are encoded and scored.
    """

    def __init__(self, loaded: Loaded, device: torch.device) -> None:
        from ood_lightning.detector_folder.images import PixelReader

        self._loaded, self._device = loaded, device
        verified = loaded.verified
        self.label_set: LabelSet = verified.label_set
        self.calibration: Calibration | None = verified.calibration
        self.remarks: tuple[str, ...] = verified.remarks
        self.supervision: tuple[str, ...] = verified.contents.supervision
        self._reader = PixelReader(verified.encoder.transform)
        self._positives = loaded.ready.positives.features  # (P, D)
        self._nearest_negative = loaded.ready.negatives.nearest()

    @classmethod
    def load(cls, folder: str | os.PathLike[str], device: str | torch.device | None = None) -> Detector:
        """A detector from its folder, all of whose files are compared with their hashes.

        Args:
            folder: that `run` or `save_detector` wrote.
            device: such as `cuda:1`; None: a GPU where there is one, else the processor.

        Raises:
            DetectorError: a file is missing, damaged, of another folder or of a newer version, or the encoder of this
                machine is another one.
        """
        import torch

        from ood_lightning.detector_folder.load import check_folder, load_folder

        verified = check_folder(expanded(os.fspath(folder)))
        chosen = pick_device() if device is None else torch.device(device)
        return cls(load_folder(verified, chosen), chosen)

    @property
    def threshold(self) -> float | None:
        """Images with a score above it are accepted; None without calibration."""
        return None if self.calibration is None else self.calibration.threshold

    def __call__(
        self, images: Images, *, batch_size: int = 128, concepts: int = 3, num_workers: int = 0
    ) -> Iterator[Result]:
        """A result for each image, in order, as they are computed; one that cannot be read has an `error` and no score.

        Args:
            images: path of a picture or of a folder with all its subfolders; a PIL image; an array (H, W, 3) uint8; a
                tensor (3, H, W), uint8 or float in [0, 1]; or an iterable of these. Arrays and tensors are RGB.
                Pictures are turned as their EXIF says, and prepared as the encoder wants it. A single text may also
                name a set: a tar, a folder with a manifest, a brace list of tars, or a remote source; of a list, each
                text is the path of a picture or folder.
            batch_size: images that are encoded at once.
            concepts: nearest positives to name.
            num_workers: processes that decode; 0: this one.

        Raises:
            SourceError: a single path leads nowhere, or a folder holds no pictures.
            UserError: a set is damaged.
            SettingsError: an image is of another kind.
        """
        from ood_lightning.detector_folder.images import batches_of, items
        from ood_lightning.detector_folder.sources import named, pictures_of

        check_least(1, batch_size=batch_size, concepts=concepts)
        check_least(0, num_workers=num_workers)
        every = pictures_of(named(images)) if isinstance(images, str | os.PathLike) else items(images)
        batches = self.results(batches_of(every, batch_size), concepts, num_workers)
        return (result for batch in batches for result in batch)

    def results(self, batches: Iterable[list[Item]], concepts: int, num_workers: int) -> Iterator[list[Result]]:
        """The results of each batch, in order.

        Args:
            batches: paths and pictures; taken a few ahead where processes decode.
            concepts: nearest positives to name.
            num_workers: processes that decode; 0: this one.
        """
        from ood_lightning.data.shards.reader import killed_workers
        from ood_lightning.detector_folder.images import decoded

        with killed_workers():
            for pixels in decoded(batches, self._reader, num_workers):
                yield self._scored(pixels, concepts)

    def _scored(self, pixels: Pixels, concepts: int) -> list[Result]:
        """The results of a decoded batch."""
        scored = iter(() if pixels.image is None else self._results(pixels, pixels.image, concepts))
        return [
            Result(path, error=error) if error else next(scored)
            for path, error in zip(pixels.paths, pixels.errors, strict=True)
        ]

    def _results(self, pixels: Pixels, image: Tensor, concepts: int) -> Iterator[Result]:
        """Results of the images that could be decoded."""
        import torch

        from ood_lightning.data.artifacts.unit_vectors import check_directions
        from ood_lightning.datamodules.embedding import as_stored
        from ood_lightning.functional.similarity import top_k

        readable = [path for path, error in zip(pixels.paths, pixels.errors, strict=True) if not error]
        verified, ready, scorer, _ = self._loaded
        columns = verified.detector.columns

        image = image.to(self._device)
        image = image if pixels.is_finished else self._reader.rest(image)
        # convolutions take less time in this layout, on a processor too: see Encoder.lay_out_for_speed
        image = image.contiguous(memory_format=torch.channels_last)
        features = verified.encoder.encode_columns(image, [name for name in columns if name != "image"])
        check_directions(features, f"{len(readable)} pictures up to {readable[-1] or 'one in memory'}")
        features = as_stored(features, verified.encoder)  # as those that it was calibrated on

        scores = scorer(*(features[name] for name in columns)).cpu()  # (n,) float64
        negatives = self._nearest_negative(features["image"]).tolist()
        k = min(concepts, len(self._positives))
        positives = top_k(features["image"], self._positives, k).indices.tolist()
        if self.calibration is None:
            p_values = accepted = [None] * len(readable)
        else:
            p_values = self.calibration.p_values(scores).tolist()
            accepted = self.calibration.accepted(scores).tolist()

        if not scores.isfinite().all():
            raise NotFiniteScoresError(f"{len(readable)} pictures up to {readable[-1]}: a score is not finite")

        texts = ready.texts
        for row, path in enumerate(readable):
            nearest = texts.negatives[negatives[row]] if negatives[row] >= 0 else ""
            words = tuple(texts.positives[i] for i in positives[row])
            yield Result(path, float(scores[row]), p_values[row], accepted[row], words, nearest)
