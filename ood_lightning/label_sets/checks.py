"""Checks of label sets before anything is encoded: their files against encoder, corpus and prompts."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial

from ood_lightning.checks import Check, folder_check
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.corpora.words import Corpus
from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.detectors.base import Detector, StreamDetector
from ood_lightning.detectors.evidence import IDFeatures, IDLabels, Input, Inputs, TowerFeatures
from ood_lightning.errors import SettingsError, UserError
from ood_lightning.label_sets.base import LabelSource
from ood_lightning.label_sets.id_names import IDSetNames, NamesCheck, with_id_names
from ood_lightning.label_sets.ready import lacking, none_made, remarks_on_names
from ood_lightning.label_sets.training_images import Clusters, IDTrainingSet
from ood_lightning.label_sets.vocabulary import Vocabulary, load_vocabularies

Known = Callable[[], LabelSet | None]


def label_set_checks(
    sources: Mapping[str, LabelSource],
    corpus: Corpus,
    prompts: Prompts,
    bank: TextBank,
    available: Inputs,
    detectors: Mapping[str, Detector | StreamDetector] | None = None,
) -> list[Check]:
    """Whether words can be read, every label set can be made, and its detectors can use it; nothing is encoded.

    Args:
        sources: of label sets, by name.
        corpus: of those that bring none.
        prompts: of those that bring none.
        bank: of the run's encoder.
        available: what the run will have; only their kinds count, and the names of the ID sets.
        detectors: by name, each of which reads one of the sets.
    """
    missing = lacking(sources, available)
    possible = {name: source for name, source in sources.items() if name not in missing}
    vocabularies = cache(partial(load_vocabularies, possible, corpus, prompts, bank))
    known = {name: cache(partial(_known, name, source, vocabularies, available)) for name, source in possible.items()}

    def look_at_names() -> str:
        if IDSetNames not in available:
            return "the ID sets have none to compare given ones with"
        remarks = remarks_on_names(possible, corpus, prompts, available)
        return "; ".join(remarks.values()) or "those of the ID sets, wherever there are some"

    def look_at_words() -> str:
        if not possible:
            raise none_made(missing)
        return "; ".join(
            dict.fromkeys(f"{one.words.name}, {len(one.words):,} words" for one in vocabularies().values())
        )

    return [
        Check("corpus", look_at_words),
        Check("names", look_at_names),
        folder_check("text features", bank.cache_dir, "cache_dir"),
        *(
            Check(f"label set {name}", partial(_described, known[name]) if name in known else partial(str, why))
            for name, why in {**dict.fromkeys(sources, ""), **missing}.items()
        ),
        *(
            Check(f"detector {name}", partial(_usable, name, detector, known.get(detector.labels)))
            for name, detector in (detectors or {}).items()
        ),
    ]


def inputs_to_come(
    id_sets: Callable[[], Iterable[Manifest]], names_check: NamesCheck, *, images: bool, clusters: bool = False
) -> Inputs:
    """Inputs of a run that is yet to begin, by which only their kinds can be told; names of its ID sets can be read.

    Args:
        id_sets: reads the manifests of the ID sets.
        names_check: what to do where names are given that are not those of the ID sets.
        images: the run has ID training images. Whether they have labels and tower features is taken for granted.
        clusters: it has clusters of them.
    """
    of_images: list[type[Input]] = [IDTrainingSet, IDFeatures, IDLabels, TowerFeatures] if images else []
    available = Inputs(dict.fromkeys([*of_images, *([Clusters] if clusters else [])], _not_yet))
    try:
        return with_id_names(available, id_sets(), names_check)
    except UserError:  # the checks of sets, which come first, say so
        return available


def _not_yet() -> Input:
    raise AssertionError("a check asks for the kinds of a run's inputs alone")


def _known(
    name: str, source: LabelSource, vocabularies: Callable[[], Mapping[str, Vocabulary]], available: Inputs
) -> LabelSet | None:
    return source.known(vocabularies()[name], available)


def _described(known: Known) -> str:
    label_set = known()
    if label_set is None:
        return "will be made"
    negatives = "the rest of the corpus" if label_set.negatives is None else f"{len(label_set.negatives):,} negatives"
    return f"{len(label_set.positives):,} positives, {negatives}; fits encoder, corpus and prompts"


def _usable(name: str, detector: Detector | StreamDetector, known: Known | None) -> str:
    """Whether a detector will run, as far as files and its label set tell."""
    if detector.labels and known is None:
        return f"will not run: label set {detector.labels!r} cannot be made"
    if detector.needs_negatives and known and (label_set := known()) and label_set.negatives == ():
        raise no_negatives(name, detector.labels)
    missing = detector.missing().replace("<name>", name)
    return f"will not run: needs {missing}" if missing else "will run"


def no_negatives(name: str, labels: str) -> SettingsError:
    """What to say of a detector that needs negatives where its label set has none."""
    return SettingsError(f"detector {name!r} needs negatives, its label set {labels!r} has none")
