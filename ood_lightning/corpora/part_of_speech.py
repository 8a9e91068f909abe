"""Nouns and adjectives from a table of single words with their Penn tags.

Source: the CC0 table "part-of-speech tagging" (Ruchi Bhatia, Kaggle; columns index, word, pos_tag; 370,100 words with
one tag each), which ClusterMine (https://arxiv.org/abs/2511.07068) takes its 231K nouns and 270K nouns and adjectives
from. Tag NN alone gives the one number, NN and JJ the other; CSP's code takes NNS, NNP, NNPS, JJR and JJS as well.
"""

from dataclasses import dataclass
from typing import Literal

from ood_lightning.corpora.table import read_columns
from ood_lightning.corpora.words import Corpus, Part, Words, compare_size, kept
from ood_lightning.errors import CorpusError
from ood_lightning.places import expanded

EXPECTED = {"noun": 230_960, "noun+adj": 270_166}
NAMES = {"noun": "pos_n", "noun+adj": "pos_na"}
TAGS: dict[str, Part] = {"NN": "noun", "JJ": "adj"}


@dataclass(frozen=True)
class PartOfSpeech(Corpus):
    """Words tagged NN, and JJ if wanted, lower case, no duplicates; nouns first, each in the table's order.

    230,960 nouns and 39,206 adjectives in the table that ClusterMine used; another count is a warning in the log. Only
    single words: about half of ImageNet's names have more than one, see
    :class:`ood_lightning.corpora.with_names.WithNames`.

    Args:
        path: of the CSV, with the columns `word` and `pos_tag`; ``~`` is the home folder.
        parts: of speech.
    """

    path: str
    parts: Literal["noun", "noun+adj"] = "noun+adj"

    def __post_init__(self) -> None:
        if self.parts not in EXPECTED:
            raise CorpusError(f"parts {self.parts!r}: expected one of {', '.join(EXPECTED)}")

    def load(self) -> Words:
        """Read the table.

        Raises:
            CorpusError: as :meth:`ood_lightning.corpora.table.TableColumn.load`.
        """
        rows = read_columns(self.path, ["word", "pos_tag"])

        words: dict[str, Part] = {}
        for tag, part in TAGS.items():
            if part in self.parts.split("+"):
                tagged = [word for word, its_tag in rows if its_tag == tag]
                for word in kept(tagged, f"table {self.path}, tag {tag}", "cell", lower=True):
                    words.setdefault(word, part)

        compare_size(
            source=f"{self.path} ({self.parts})",
            n=len(words),
            published="the table of ClusterMine's paper",
            expected=EXPECTED[self.parts],
        )
        return Words(NAMES[self.parts], tuple(words), str(expanded(self.path)), tuple(words.values()))
