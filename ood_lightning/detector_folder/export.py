"""A detector folder as one ONNX graph: from prepared pictures to scores, p-values, decisions and nearest words."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ood_lightning.calibration.calibration import Calibration
from ood_lightning.data.artifacts.files import TOKEN, atomic_write, make_folder
from ood_lightning.datamodules.embedding import STORED
from ood_lightning.detector_folder.load import Loaded, Verified, load_folder
from ood_lightning.detector_folder.preprocessing import preprocessing_of, words_of
from ood_lightning.detectors.base import Scorer
from ood_lightning.errors import DetectorError, UnwritableError, UserError

FORMAT = "ood_lightning/onnx/1"
OUTPUTS = ("score", "p_value", "accepted", "concepts", "nearest_negative")
CONCEPTS = 3  # nearest positives that the graph names
LARGEST = 2_000_000_000  # bytes of one ONNX file: protocol buffers end at 2 GiB


class Graph(nn.Module):
    """What is exported.

    Args:
        tower: pictures (B, 3, H, W) to vectors (B, D).
        scorer: unit features (B, D) float32 to scores (B,) float64, in plain torch operations.
        positives: unit features (P, D).
        negatives: unit features (N, D).
        calibration: None where there is none; p-values are NaN then, and nothing is accepted.
        rounded: dtype that features are stored in, which the detector was calibrated on.
    """

    scores: Tensor

    def __init__(
        self,
        tower: nn.Module,
        scorer: Scorer,
        positives: Tensor,
        negatives: Tensor,
        calibration: Calibration | None,
        rounded: torch.dtype,
    ) -> None:
        super().__init__()
        self.tower, self.scorer, self.rounded = tower, scorer, rounded
        self.positives, self.negatives, self.calibrated = positives, negatives, calibration is not None
        scores = calibration.scores if calibration is not None else ()
        self.threshold = calibration.threshold if calibration is not None else float("inf")
        self.register_buffer("scores", torch.tensor(scores, dtype=torch.float64))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """As :data:`OUTPUTS` names them; rows of words are int64."""
        features = _unit(_unit(self.tower(image).float()).to(self.rounded).float())
        score = self.scorer(features)
        concepts = (features @ self.positives.T).topk(min(CONCEPTS, len(self.positives)), dim=1).indices
        if len(self.negatives):
            nearest_negative = (features @ self.negatives.T).argmax(dim=1)
        else:
            nearest_negative = torch.full_like(concepts[:, 0], -1)

        if self.calibrated:
            not_above = (self.scores[None, :] <= score[:, None]).to(torch.int64).sum(dim=1)
            p_value = (1 + not_above).double() / (len(self.scores) + 1)
        else:
            p_value = torch.full_like(score, float("nan"))
        return score, p_value, score >= self.threshold, concepts, nearest_negative


def _unit(x: Tensor) -> Tensor:
    return x / x.square().sum(dim=1, keepdim=True).sqrt()


class Exported(NamedTuple):
    """What was written.

    Attributes:
        files: all of them, the graph first.
        n_bytes: of the graph with its weights.
    """

    files: list[Path]
    n_bytes: int


def graph_of(loaded: Loaded) -> Graph:
    """The graph of a folder that was loaded onto the processor.

    Raises:
        DetectorError: the detector cannot be exported.
        EncoderError: its encoder cannot.
    """
    verified, ready, _, evidence = loaded
    labels, encoder = ready.features, verified.encoder
    return Graph(
        encoder.traceable_tower(),
        verified.detector.traceable(evidence),
        labels.positives,
        labels.negatives,
        verified.calibration,
        STORED[encoder.feature_dtype],
    ).eval()


def export(verified: Verified, file: Path) -> Exported:
    """Write a folder's detector as an ONNX graph, and beside it, as `NAME.json`, what else has to be known.

    Args:
        verified: the folder.
        file: `NAME.onnx`. Where weights and texts have 2 GB or more, they lie in `NAME.onnx.data` beside it.

    Raises:
        DetectorError: the detector cannot be exported, or a package for it is missing.
        UnwritableError: the disk is full, or the folder may not be written to.
    """
    if find_spec("onnxscript") is None:  # torch's exporter builds on it
        raise DetectorError("`export` needs onnx and onnxscript: pip install 'ood-lightning[export]'")
    loaded = load_folder(verified, torch.device("cpu"))
    graph = graph_of(loaded)
    described = preprocessing_of(verified.encoder)

    files = write_graph(graph, verified.encoder.image_shape, file)
    beside = file.with_suffix(".json")
    text = json.dumps(_description(loaded, asdict(described), words_of(described)), indent=1)
    atomic_write(beside, (text + "\n").encode())
    return Exported([*files, beside], sum(path.stat().st_size for path in files))


def write_graph(graph: Graph, image_shape: tuple[int, ...], file: Path) -> list[Path]:
    """Write a graph; each file whole or not at all. Returns the files, the graph first.

    Args:
        graph: on the processor.
        image_shape: (3, H, W).
        file: `NAME.onnx`.

    Raises:
        UnwritableError: the disk is full, or the folder may not be written to.
    """
    program = _traced(graph, torch.zeros(2, *image_shape))
    n_bytes = sum(value.nbytes for value in _constants(program))

    temporary = file.with_name(f".{file.name}.{token_hex(TOKEN)}")
    make_folder(temporary)
    try:
        program.save(temporary / file.name, external_data=n_bytes > LARGEST)
        written = sorted(temporary.iterdir(), key=lambda path: path.name == file.name)  # the graph last: it names data
        for path in written:
            path.replace(file.with_name(path.name))
    except OSError as error:
        if isinstance(error, UserError):
            raise
        raise UnwritableError(file, error.strerror or str(error)) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return [file.with_name(path.name) for path in reversed(written)]


def _traced(graph: Graph, example: Tensor) -> Any:
    """The program of torch's exporter, which is quiet."""
    batch = torch.export.Dim("batch")
    with torch.inference_mode(False), torch.no_grad(), _quietly():
        return torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            input_names=["image"],
            output_names=list(OUTPUTS),
            dynamic_shapes={"image": {0: batch}},
            verbose=False,
        )


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep back what the exporter says of its steps and of packages that it can do without."""
    import logging
    import warnings

    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _constants(program: Any) -> list[Any]:
    return [value.const_value for value in program.model.graph.initializers.values() if value.const_value is not None]


def _description(loaded: Loaded, preprocessing: dict[str, Any], words: list[str]) -> dict[str, Any]:
    """What `NAME.json` says."""
    verified, texts = loaded.verified, loaded.ready.texts
    calibration = verified.calibration

    return {
        "format": FORMAT,
        "detector": verified.contents.sha256,
        "encoder": verified.contents.encoder.name,
        "input": {"image": ["batch", 3, *preprocessing["size"]]},
        "outputs": {
            "score": "float64 (batch,), higher = more in-distribution",
            "p_value": "float64 (batch,); NaN without calibration",
            "accepted": "bool (batch,); false without calibration",
            "concepts": "int64 (batch, k): rows of positives, the nearest first",
            "nearest_negative": "int64 (batch,): row of negatives; -1 where there is none",
        },
        "preprocessing": preprocessing,
        "preprocessing_in_words": words,
        "threshold": None if calibration is None or calibration.threshold == -torch.inf else calibration.threshold,
        "statements": [] if calibration is None else calibration.statements(),
        "positives": list(texts.positives),
        "negatives": list(texts.negatives),
    }
