"""A detector, its texts and all that it was fitted on, written into a folder of their own."""

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ood_lightning import __version__
from ood_lightning.calibration.calibration import Calibration
from ood_lightning.data.artifacts.files import TOKEN, atomic_write, make_folder
from ood_lightning.data.artifacts.label_set import LABELS, LabelSet
from ood_lightning.data.artifacts.store import write_store
from ood_lightning.detector_folder.contents import (
    CALIBRATION,
    CONTENTS,
    EVIDENCE,
    FORMAT,
    README,
    TEXTS,
    TRAINED,
    UNDER,
    VERSION,
    WEIGHTS,
    Contents,
    EncoderEntry,
    files_of,
)
from ood_lightning.detector_folder.plain_objects import as_plain
from ood_lightning.detector_folder.readme import readme
from ood_lightning.detector_folder.texts import write_texts
from ood_lightning.detectors.base import Detector, Scorer, StreamDetector
from ood_lightning.detectors.evidence import Evidence, Inputs, TensorInput
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import DetectorError, UnwritableError, UserError
from ood_lightning.evaluation.prepare import why_not
from ood_lightning.label_sets.ready import MadeLabelSet
from ood_lightning.label_sets.vocabulary import corpus_recipe, prompts_recipe
from ood_lightning.places import expanded


def save_detector(
    folder: str | Path,
    detector: Detector | StreamDetector,
    labels: MadeLabelSet,
    available: Inputs | None = None,
    *,
    calibration: Calibration | None = None,
    provenance: Mapping[str, Any] | None = None,
    copy_weights: bool = False,
    device: torch.device | None = None,
) -> Path:
    """Write a detector folder, whole or not at all; a detector folder of that name is replaced.

    What the detector needs beyond texts travels as tensors: features and labels of ID training images, a trained head
    or probe, texts under another tower.

    Args:
        folder: where to.
        detector: how images are scored.
        labels: the label set that it reads; of a detector that reads none, the one whose words explain images.
        available: what the run has of ID training images.
        calibration: of this very detector; without it, there are neither p-values nor decisions.
        provenance: what it was made from, as plain data, such as seeds and fingerprints of sets.
        copy_weights: copy the encoder's files too, where they lie in a folder of this machine.
        device: where `available` lies.

    Returns:
        The folder.

    Raises:
        DetectorError: the detector cannot be carried, or something else lies at the place.
        UnwritableError: the disk is full, or the place may not be written to.
    """
    target = expanded(folder)
    _check_target(target)
    if not isinstance(detector, Detector):
        raise DetectorError(
            f"{type(detector).__name__} learns from the test stream while it scores: its state belongs to one stream, "
            f"and no folder can carry it. Take a detector without a stream"
        )

    temporary = target.with_name(f".{target.name}.{token_hex(TOKEN)}")
    make_folder(temporary)
    with ExitStack() as at_the_end:
        at_the_end.callback(shutil.rmtree, temporary, ignore_errors=True)
        try:
            _write(temporary, detector, labels, available or Inputs(), calibration, provenance, copy_weights, device)
            _replace(temporary, target)
        except OSError as error:
            if isinstance(error, UserError):
                raise
            raise UnwritableError(target, error.strerror or str(error)) from None
    return target


def set_calibration(folder: str | Path, calibration: Calibration) -> None:
    """Give a detector folder a calibration, in place of one that it may have.

    Args:
        folder: of the detector.
        calibration: of this very detector.

    Raises:
        DetectorError: it is no whole detector folder.
    """
    target = expanded(folder)
    contents = Contents.read(target)
    contents.check_files(target)

    calibration.write(target / CALIBRATION)  # a kill behind it leaves a folder that is refused, never a wrong threshold
    # the words of now, which a person may have edited, are those that it was calibrated with
    changed = replace(contents, labels=LabelSet.read(target / LABELS).sha256, files=files_of(target))
    changed.write(target)
    atomic_write(target / README, readme(changed, calibration).encode())


def _check_target(target: Path) -> None:
    """Refuse to write over what is no detector folder."""
    if target.exists() and not (target / CONTENTS).is_file() and not (target.is_dir() and not any(target.iterdir())):
        raise DetectorError(f"{target} exists and is no detector folder: name another place, or remove it")


def _write(
    folder: Path,
    detector: Detector,
    labels: MadeLabelSet,
    available: Inputs,
    calibration: Calibration | None,
    provenance: Mapping[str, Any] | None,
    copy_weights: bool,
    device: torch.device | None,
) -> None:
    """Write all files into a folder that is there and empty."""
    vocabulary = labels.vocabulary
    encoder = vocabulary.bank.encoder.pinned()
    assert encoder.fingerprint == vocabulary.bank.encoder.fingerprint  # it is the same one under another name

    settings = as_plain(detector, Detector)
    entry = EncoderEntry(encoder.name, encoder.fingerprint, as_plain(encoder, Encoder), copy_weights)
    _write_evidence(folder, detector, labels, available, device or torch.device("cpu"))
    write_texts(folder / TEXTS, labels)
    labels.declared.write(folder / LABELS)
    if copy_weights:
        _copy_weights(encoder, folder / WEIGHTS)
    if calibration is not None:
        calibration.write(folder / CALIBRATION)

    of_labels = labels.label_set.supervision if detector.labels else ()
    versions = {"ood_lightning": __version__, "torch": version("torch"), "open_clip": version("open_clip_torch")}
    contents = Contents(
        f"{FORMAT}{VERSION}",
        entry,
        settings,
        labels.declared.sha256,
        corpus_recipe(vocabulary.words, vocabulary.prompts),
        prompts_recipe(vocabulary.prompts),
        tuple(sorted({*detector.supervision, *of_labels})),
        files_of(folder),
        {"versions": versions, **(provenance or {})},
    )
    contents.write(folder)
    atomic_write(folder / README, readme(contents, calibration).encode())


def _write_evidence(
    folder: Path, detector: Detector, labels: MadeLabelSet, available: Inputs, device: torch.device
) -> None:
    """Write what the detector needs beyond texts; it scores an image first, so that what cannot work is not carried."""
    encoder, name = labels.vocabulary.bank.encoder, type(detector).__name__
    texts_under: list[Tensor] = []
    ready = labels.ready(device)

    def positives_under(make: Any) -> Tensor:
        texts_under.append(ready.positives_under(make))
        return texts_under[-1]

    label_sets = {detector.labels: replace(ready, positives_under=positives_under)}
    evidence = Evidence.of(label_sets, encoder, available)
    if why := why_not(name, detector, evidence, encoder.extra_features):
        raise DetectorError(f"{name} {why.replace('data.', '')}, which is not there")
    _score_one(detector.bind(evidence), detector, encoder)

    tensors = {UNDER: texts_under[0]} if texts_under else {}
    for kind in detector.required_inputs:
        if not issubclass(kind, TensorInput):
            raise DetectorError(
                f"{name} reads {kind.__name__}, which is not made of tensors, so no folder can carry it: take a "
                f"detector that does without"
            )
        fields = available[kind].tensors()
        tensors |= {f"{kind.__name__}.{field}": tensor.cpu() for field, tensor in fields.items()}

    if tensors:
        write_store(folder / EVIDENCE, tensors, {"encoder": encoder.fingerprint})
    if detector.trained:
        shutil.copyfile(expanded(getattr(detector, detector.trained)), folder / TRAINED)


def _score_one(scorer: Scorer, detector: Detector, encoder: Encoder) -> None:
    """Score a grey image, and refuse a detector that cannot."""
    image = encoder.transform(Image.new("RGB", (64, 64), "grey"))[None]
    features = encoder.encode_columns(image, [name for name in detector.columns if name != "image"])
    try:
        scorer(*(features[name] for name in detector.columns))
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise DetectorError(f"{type(detector).__name__} cannot score: {error}") from error


def _copy_weights(encoder: Encoder, target: Path) -> None:
    source = encoder.weights_folder
    if source is None:
        raise DetectorError(
            f"the weights of {encoder.name!r} lie in no folder of their own, so they cannot be copied: leave "
            f"copy_weights out, and the folder names them"
        )
    target.mkdir()
    for path in sorted(source.iterdir()):
        if path.is_file():
            shutil.copyfile(path, target / path.name)


def _replace(temporary: Path, target: Path) -> None:
    """Put a finished folder in the place of another one, or of none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        temporary.replace(target)
        return

    old = target.with_name(f"{temporary.name}.old")
    target.replace(old)
    temporary.replace(target)
    shutil.rmtree(old, ignore_errors=True)
