"""ImageNet-21K's class names as words, from the tables that timm ships.

Source: Deng et al., CVPR 2009 (21,841 synsets of WordNet 3.0); its preprocessed subsets by Ridnik et al., 2021,
https://arxiv.org/abs/2104.10972. ClusterMine (https://arxiv.org/abs/2511.07068) calls its corpus IN21K, 20K words, and
leaves open which of two lists of that size it is: all synsets by their first lemma (20,068, the default here) or the
fall11 subset by all its lemmas (20,334).
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from ood_lightning.corpora.words import Corpus, Words, compare_size, distinct
from ood_lightning.errors import CorpusError

Subset = Literal["full", "fall11-p", "winter21-p"]
Lemmas = Literal["first", "all"]
LEMMAS = "imagenet_synset_to_lemma.txt"
SYNSETS: dict[Subset, str] = {
    "full": "imagenet22k_synsets.txt",
    "fall11-p": "imagenet21k_miil_synsets.txt",
    "winter21-p": "imagenet21k_miil_w21_synsets.txt",
}
EXPECTED = {
    ("full", "first"): 20_068,
    ("full", "all"): 36_943,
    ("fall11-p", "first"): 10_397,
    ("fall11-p", "all"): 20_334,
    ("winter21-p", "first"): 9_690,
    ("winter21-p", "all"): 19_053,
}


@dataclass(frozen=True)
class ImageNet21K(Corpus):
    """Names of ImageNet-21K's synsets in the order of the synsets, lower case, no duplicates; all of them nouns.

    Args:
        subset: ``full``, 21,841 synsets; or the preprocessed ``fall11-p`` (11,221) and ``winter21-p`` (10,450).
        lemmas: the ``first`` of each synset, or ``all``.
    """

    subset: Subset = "full"
    lemmas: Lemmas = "first"

    def __post_init__(self) -> None:
        if self.subset not in SYNSETS or self.lemmas not in get_args(Lemmas):
            raise CorpusError(
                f"ImageNet-21K subset {self.subset!r}, lemmas {self.lemmas!r}: expected one of {', '.join(SYNSETS)}, "
                f"and one of {', '.join(get_args(Lemmas))}"
            )

    def load(self) -> Words:
        """Read timm's tables, without importing timm.

        Raises:
            CorpusError: if timm or its tables are missing, or are of another form.
        """
        spec = find_spec("timm")
        if spec is None or not spec.submodule_search_locations:
            raise CorpusError("the names of ImageNet-21K come with timm, which is not installed: `pip install timm`")

        folder = Path(spec.submodule_search_locations[0]) / "data" / "_info"
        lemmas = dict(line.split("\t", 1) for line in _lines(folder / LEMMAS) if "\t" in line)
        synsets = _lines(folder / SYNSETS[self.subset])
        if unknown := [synset for synset in synsets if synset not in lemmas]:
            raise CorpusError(f"{folder / LEMMAS} has no lemma of synset {unknown[0]!r}: install another timm")

        stop = 1 if self.lemmas == "first" else None
        words = distinct(lemma for synset in synsets for lemma in lemmas[synset].lower().split(", ")[:stop])
        compare_size(
            source=f"timm's ImageNet-21K ({self.subset}, {self.lemmas} lemmas)",
            n=len(words),
            published="timm 1.0",
            expected=EXPECTED[self.subset, self.lemmas],
        )

        subset = "" if self.subset == "full" else f"_{self.subset.replace('-', '')}"
        every = "_all" if self.lemmas == "all" else ""
        return Words(
            name=f"imagenet21k{subset}{every}",
            words=words,
            source=f"timm, {folder / SYNSETS[self.subset]}",
            parts=tuple("noun" for _ in words),
        )


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"cannot read timm's table {path}: {error}. Install timm 1.0 or newer.") from error
