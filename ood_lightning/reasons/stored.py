"""`reasons.json`: what a run keeps so that a person can see why pictures were accepted or rejected.

Small pictures stand in it, so that the page can be made where neither pictures nor features are.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Literal

from ood_lightning.data.artifacts.files import write_json
from ood_lightning.data.artifacts.typed import STRICT, Count, Share, decode_json
from ood_lightning.errors import SourceError

Format = Literal["ood_lightning/reasons/1"]
FORMAT: Format = "ood_lightning/reasons/1"
FILE = "reasons.json"

Kind = Literal["false alarm", "miss", "uncertain"]


@dataclass(frozen=True)
class Pull:
    """What a word has in a picture's score.

    Args:
        word: a positive or a negative.
        share: of both masses together.
        without: the picture's score without this word; None where its side has no other word.
    """

    __pydantic_config__: ClassVar = STRICT

    word: str
    share: Share
    without: float | None


@dataclass(frozen=True)
class Picture:
    """A picture and the reasons for its score.

    Args:
        set: its set.
        key: its key in the set.
        is_id: whether its set is one of in-distribution pictures.
        kind: why it was chosen.
        score: by which it was chosen, as the run stored it.
        log_odds: of equation 1, from products in float64; None where the label set has no negatives.
        id_mass: log-mass of the positives, nats.
        ood_mass: log-mass of the negatives, nats; None where there are none.
        positives: those of largest share, the largest first.
        negatives: the same of the other side.
        thumbnail: name of its small picture; "" where it could not be read.
    """

    __pydantic_config__: ClassVar = STRICT

    set: str
    key: str
    is_id: bool
    kind: Kind
    score: float
    log_odds: float | None
    id_mass: float
    ood_mass: float | None
    positives: tuple[Pull, ...]
    negatives: tuple[Pull, ...]
    thumbnail: str = ""


@dataclass(frozen=True)
class Neighbour:
    """Another word and the cosine of the two texts."""

    __pydantic_config__: ClassVar = STRICT

    word: str
    cosine: float


@dataclass(frozen=True)
class Word:
    """A positive, what voted for it, and how it lies among the others.

    Args:
        label: the word.
        clusters: that elected it; None where nothing voted.
        images: pictures in those clusters.
        agreement: share of those pictures whose nearest word it is.
        n_nearest: ID pictures, of those that were looked at, whose nearest positive it is.
        cosine: mean cosine to those pictures; None where there are none.
        position: on the map of words by their text.
        positives: its nearest other positives.
        negatives: its nearest negatives.
        doubts: why a person should look at it.
        thumbnails: names of small pictures, the nearest first.
        of_pictures: on the map of words by the mean feature of the pictures nearest to them; None where it has none.
    """

    __pydantic_config__: ClassVar = STRICT

    label: str
    clusters: Count | None
    images: Count | None
    agreement: Share | None
    n_nearest: Count
    cosine: float | None
    position: tuple[float, float]
    positives: tuple[Neighbour, ...]
    negatives: tuple[Neighbour, ...]
    doubts: tuple[str, ...] = ()
    thumbnails: tuple[str, ...] = ()
    of_pictures: tuple[float, float] | None = None


@dataclass(frozen=True)
class Reasons:
    """All that `reasons.json` holds.

    Args:
        detector: whose scores are explained.
        is_equation: its score is equation 1 itself, not another function of the same words.
        label_set: name of the label set.
        scale: multiplier of the cosines in equation 1.
        id_set: ID set whose pictures the threshold is of.
        threshold: pictures at or above it are accepted.
        source: of the threshold, in words.
        n_negatives: N.
        looked_at: ID pictures whose nearest positives were looked for, and of which set.
        explained: share of the words' variance that the map by text holds.
        words: the positives, those in doubt first.
        pictures: the chosen ones.
        thumbnails: WebP in base64, by name.
        remarks: what could not be read, and what was left out.
        statements: what the run says of itself.
        format: of the file.
        run: hash of the run; "" where it has none.
        explained_pictures: share of the variance that the map by pictures holds.
    """

    __pydantic_config__: ClassVar = STRICT

    detector: str
    is_equation: bool
    label_set: str
    scale: float
    id_set: str
    threshold: float
    source: str
    n_negatives: Count
    looked_at: str
    explained: Share
    words: tuple[Word, ...]
    pictures: tuple[Picture, ...]
    thumbnails: dict[str, str]
    remarks: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    format: Format = FORMAT
    run: str = ""
    explained_pictures: Share = 0.0


def write_reasons(folder: Path, reasons: Reasons) -> None:
    """Write the file into a run's folder.

    Raises:
        UnwritableError: the disk is full, or the folder may not be written to.
    """
    write_json(folder / FILE, asdict(reasons), indent=0)


def read_reasons(folder: Path) -> Reasons | None:
    """What a run kept; None where it kept nothing.

    Raises:
        SourceError: the file is damaged; names the file and the field.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    return decode_json(file.read_bytes(), Reasons, str(file), SourceError)
