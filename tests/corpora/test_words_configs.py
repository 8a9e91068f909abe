"""The committed configs of corpora: each names a class that loads, with the stated number of words."""

import re
from dataclasses import dataclass
from pathlib import Path

import jsonargparse
import pytest

from ood_lightning.corpora.words import Corpus
from ood_lightning.errors import UserError

CONFIGS = Path(__file__).parents[2] / "configs"


@dataclass
class Mine:
    """Something that takes a corpus."""

    corpus: Corpus


@pytest.mark.slow
def test_corpus_configs_name_a_class_that_loads():
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Mine, sub_configs=True)  # as LightningCLI adds a model
    counts = {}

    for path in sorted((CONFIGS / "corpora").glob("*.yaml")):
        corpus = parser.instantiate_classes(parser.parse_args([f"--corpus={path}"])).corpus
        try:
            words = corpus.load()
        except UserError as error:  # a file that a person brings
            assert re.search(r"data/\S+ (does not exist|cannot be read)", str(error))  # noqa: PT017
        else:
            counts[path.stem] = (words.name, sum(words.times))

    assert counts == {
        "csp": ("lexicographer_conjugated", 57_490),
        "debiased": ("lexicographer", 57_493),
        "imagenet21k": ("imagenet21k", 20_068),
        "imagenet21k_p": ("imagenet21k_fall11p_all", 20_334),
        "neglabel": ("lexicographer", 70_794),
        "wordnet_n": ("wordnet_n", 67_186),
        "wordnet_na": ("wordnet_na", 79_403),
        "wordnet_na_all": ("wordnet_na_all", 136_139),
        "wordnet_na_all_duplicates": ("wordnet_na_all_duplicates", 176_351),
        "wordnet_na_duplicates": ("wordnet_na_duplicates", 100_271),
    }
