"""Names of ImageNet-21K: their numbers, and what is said of other tables."""

import subprocess
import sys

import pytest

from ood_lightning.corpora import imagenet21k
from ood_lightning.corpora.imagenet21k import EXPECTED, ImageNet21K
from ood_lightning.corpora.wordnet import WordNet
from ood_lightning.errors import CorpusError


@pytest.mark.parametrize(("subset", "lemmas"), EXPECTED)
def test_imagenet21k_has_the_stated_number_of_names(subset: str, lemmas: str, caplog: pytest.LogCaptureFixture):
    words = ImageNet21K(subset, lemmas).load()  # type: ignore[arg-type]
    assert len(words) == EXPECTED[subset, lemmas]  # type: ignore[index]
    assert not caplog.records
    assert not [w for w in words.words if "_" in w or w != w.lower() or w != " ".join(w.split())]
    assert words.parts == ("noun",) * len(words)


def test_imagenet21k_is_named_by_wordnets_nouns_and_its_subsets_lie_inside():
    full, nouns = set(ImageNet21K().load().words), set(WordNet("noun").load().words)
    assert full <= nouns
    for subset in ("fall11-p", "winter21-p"):
        assert set(ImageNet21K(subset).load().words) <= full
    assert ImageNet21K("winter21-p", "all").load().name == "imagenet21k_winter21p_all"
    assert {"tench", "tiger cat", "organism"} <= full


def test_other_tables_of_imagenet21k_are_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setitem(imagenet21k.EXPECTED, ("full", "first"), 7)
    ImageNet21K().load()
    assert "gives 20068 words; timm 1.0 gives 7" in caplog.text

    monkeypatch.setitem(imagenet21k.SYNSETS, "full", "none.txt")
    with pytest.raises(CorpusError, match=r"cannot read timm's table .*none\.txt"):
        ImageNet21K().load()
    monkeypatch.setattr(imagenet21k, "find_spec", lambda name: None)
    with pytest.raises(CorpusError, match="timm, which is not installed"):
        ImageNet21K().load()
    with pytest.raises(CorpusError, match="expected one of full, fall11-p, winter21-p"):
        ImageNet21K("half")  # type: ignore[arg-type]


def test_names_of_imagenet21k_are_read_without_importing_timm_or_torch():
    code = (
        "import sys; from ood_lightning.corpora.imagenet21k import ImageNet21K; "
        "ImageNet21K().load(); sys.exit(bool({'timm', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
