"""A detector folder, checked and brought into memory."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ood_lightning.calibration.calibration import Calibration
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.data.artifacts.label_set import LABELS, LabelSet
from ood_lightning.data.artifacts.store import opened
from ood_lightning.data.artifacts.typed import decode_plain
from ood_lightning.detector_folder.contents import (
    CALIBRATION,
    CONTENTS,
    COPY_AGAIN,
    EVIDENCE,
    TEXTS,
    TRAINED,
    UNDER,
    WEIGHTS,
    Contents,
)
from ood_lightning.detector_folder.plain_objects import build
from ood_lightning.detector_folder.texts import read_texts
from ood_lightning.detectors.base import Detector, Scorer
from ood_lightning.detectors.evidence import Evidence, Input, Inputs, ReadyLabelSet, TensorInput
from ood_lightning.encoders.base import Encoder
from ood_lightning.errors import DetectorError
from ood_lightning.label_sets.ready import MadeLabelSet

VOID = "its calibration is void, so there is no p-value and no decision: calibrate again"


class Verified(NamedTuple):
    """What can be known of a folder before weights and features are read.

    Attributes:
        folder: its path.
        contents: what `detector.json` says.
        label_set: as it is now.
        calibration: None where there is none, or where it is void.
        remarks: what a person has to know.
        encoder: not loaded yet.
        detector: how images are scored.
    """

    folder: Path
    contents: Contents
    label_set: LabelSet
    calibration: Calibration | None
    remarks: tuple[str, ...]
    encoder: Encoder
    detector: Detector


class Loaded(NamedTuple):
    """A detector that can score.

    Attributes:
        verified: what the folder is.
        ready: its label set with text features on the device.
        scorer: of the detector's columns.
        evidence: that the scorer was bound to.
    """

    verified: Verified
    ready: ReadyLabelSet
    scorer: Scorer
    evidence: Evidence


class _Files(NamedTuple):
    """What the files alone say of a folder; fields as of :class:`Verified`."""

    contents: Contents
    label_set: LabelSet
    calibration: Calibration | None
    remarks: tuple[str, ...]


def check_folder(folder: Path) -> Verified:
    """Compare all files with their hashes, and the encoder of this machine with the folder's.

    Raises:
        DetectorError: a file is missing, damaged, of another folder or of a newer version, or the encoder is another.
        EncoderError: the encoder cannot be found.
        LabelSetError: `labels.json` was edited into something else.
    """
    contents, label_set, calibration, remarks = _check_files(folder)
    encoder = _encoder(folder, contents)
    label_set.check_encoder(encoder.fingerprint, encoder.name)
    detector = build(contents.detector, Detector, str(folder / CONTENTS))  # type: ignore[type-abstract]
    if detector.trained:
        detector = replace(detector, **{detector.trained: str(folder / TRAINED)})  # type: ignore[type-var]
    return Verified(folder, contents, label_set, calibration, remarks, encoder, detector)


def check_calibration(folder: Path) -> Calibration:
    """The calibration of a folder, whose files are compared with their hashes; its encoder need not be there.

    Raises:
        DetectorError: as of :func:`check_folder`; or there is no calibration, or it is void.
    """
    calibration, remarks = _check_files(folder)[2:]
    if calibration is None:
        why = "".join(f" ({remark})" for remark in remarks)
        raise DetectorError(f"{folder} has no calibration{why}: `calibrate PICTURES --detector {folder}` makes one")
    return calibration


def _check_files(folder: Path) -> _Files:
    """What the files say, if all of them are what was written."""
    contents = Contents.read(folder)
    contents.check_files(folder)

    label_set = LabelSet.read(folder / LABELS)
    edited = label_set.sha256 != contents.labels
    if edited and not label_set.edited:
        raise DetectorError(
            f"{folder / LABELS} is another label set than this detector's: {COPY_AGAIN}. To change its words, edit "
            f"them and leave the rest as it is"
        )

    calibration = Calibration.read(folder / CALIBRATION) if CALIBRATION in contents.files else None
    remarks = calibration.remarks if calibration is not None else ()
    if edited:
        void = "" if calibration is None else f"; {VOID}"
        calibration, remarks = None, (f"{folder / LABELS} was edited by hand after the detector was made{void}",)
    return _Files(contents, label_set, calibration, remarks)


def load_folder(verified: Verified, device: torch.device) -> Loaded:
    """Bring weights, texts and evidence onto a device, and bind the detector.

    Raises:
        DetectorError: a file is damaged, or the edited label set cannot be used by the detector.
    """
    folder, detector, encoder = verified.folder, verified.detector, verified.encoder
    where = str(folder / CONTENTS)
    prompts = decode_plain(verified.contents.prompts, Prompts, f"{where}, prompts", DetectorError)

    encoder.load(device)
    encoder.lay_out_for_speed()
    vocabulary = read_texts(folder / TEXTS, encoder, prompts)
    if verified.label_set.negatives is None and not len(vocabulary.features):
        raise DetectorError(
            f"{folder / LABELS}: its negatives are the rest of a corpus, which this folder does not hold: list them"
        )
    ready = MadeLabelSet(verified.label_set, vocabulary, None).ready(device)
    if detector.needs_negatives and not len(ready.negatives):
        raise DetectorError(f"{folder / LABELS} has no negatives, which {type(detector).__name__} needs: list some")

    tensors = _tensors(folder, verified.contents)
    label_sets = {detector.labels: replace(ready, positives_under=_positives_under(verified, tensors))}
    evidence = Evidence.of(label_sets, encoder, _inputs(verified, tensors, device))
    return Loaded(verified, ready, detector.bind(evidence), evidence)


def _encoder(folder: Path, contents: Contents) -> Encoder:
    """The encoder that the folder names, if it is the same one on this machine."""
    entry = contents.encoder
    encoder = build(entry.settings, Encoder, str(folder / CONTENTS))  # type: ignore[type-abstract]
    if entry.copied:
        encoder = encoder.reading((folder / WEIGHTS).absolute())
    if encoder.fingerprint != entry.fingerprint:
        raise DetectorError(
            f"{folder} was made with encoder {entry.name!r} ({entry.fingerprint}); what this machine has under that "
            f"name is another one ({encoder.fingerprint}), by its weights, settings or files. Bring the same files "
            f"here, or make the folder with its weights in it (copy_weights)"
        )
    return encoder


def _tensors(folder: Path, contents: Contents) -> Mapping[str, Tensor]:
    """What travels beside texts; nothing where there is no such file."""
    if EVIDENCE not in contents.files:
        return {}
    made_with = {"encoder": contents.encoder.fingerprint}
    with opened(folder / EVIDENCE, made_with, COPY_AGAIN, DetectorError) as store:
        return {name: store.tensor(name) for name in store.hashes}


def _positives_under(verified: Verified, tensors: Mapping[str, Tensor]) -> Callable[[Any], Tensor]:
    """The positives' features under the tower that the detector asks for, which is not here."""

    def stored(make: Any) -> Tensor:
        if (
            UNDER not in tensors
            or len(tensors[UNDER]) != len(verified.label_set.positives)
            or verified.label_set.edited
        ):
            raise DetectorError(
                f"{verified.folder / LABELS} was edited, and {type(verified.detector).__name__} needs its words under "
                f"a text tower that the folder does not hold: make the folder anew"
            )
        return tensors[UNDER]

    return stored


def _inputs(verified: Verified, tensors: Mapping[str, Tensor], device: torch.device) -> Inputs:
    """The further inputs that the detector reads."""
    carried: list[Input] = []
    for kind in verified.detector.required_inputs:
        assert issubclass(kind, TensorInput)  # others are not saved
        start = f"{kind.__name__}."
        fields = {name.removeprefix(start): one.to(device) for name, one in tensors.items() if name.startswith(start)}
        try:
            carried.append(kind.of_tensors(fields))
        except TypeError:
            raise DetectorError(f"{verified.folder / EVIDENCE} lacks {kind.__name__}: {COPY_AGAIN}") from None
    return Inputs.of(*carried)
