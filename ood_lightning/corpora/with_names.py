"""A corpus with the true names added, to see what mining finds once every name can be found.

Source: ClusterMine, https://arxiv.org/abs/2511.07068, Table 3 (rows "with GT" of the part-of-speech corpora).
"""

from dataclasses import dataclass

from ood_lightning.corpora.union import appended
from ood_lightning.corpora.words import Corpus, Words, distinct
from ood_lightning.data.class_names import read_names


@dataclass(frozen=True)
class WithNames(Corpus):
    """The corpus, and at its end those names that it lacks, compared in lower case; names count as nouns.

    What is mined from it has seen the ID names: say so where results are reported.

    Args:
        corpus: kept as it is.
        names: a set with a manifest, or a text file with one name a line.
        lower: lower-case the names, as the corpora are.
    """

    corpus: Corpus
    names: str
    lower: bool = True

    def true_names(self) -> list[str] | None:
        """The names, which are compared with those of the ID set."""
        return read_names(self.names)

    def load(self) -> Words:
        """Read corpus and names.

        Raises:
            CorpusError: if the corpus cannot be read.
            LabelSetError: if the names cannot be read.
        """
        names = distinct(name.lower() if self.lower else name for name in read_names(self.names))
        words = self.corpus.load()
        added = Words("names", names, self.names, tuple("noun" for _ in names))
        return appended(words, added, f"{words.name}_with_names")
