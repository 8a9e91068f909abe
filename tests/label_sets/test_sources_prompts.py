"""Label sets under other prompts and encoders than those that they were made with."""

import pytest
import torch
from tagged_corpus import (
    ADJECTIVES,
    BY_PART,
    NOUNS,
    PLAIN,
    FakeEncoder,
    Tagged,
    feature,
    single,
)

from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.texts import TextBank
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.detectors.evidence import Inputs
from ood_lightning.errors import LabelSetError
from ood_lightning.label_sets.official_negatives import AugmentedNames
from ood_lightning.label_sets.ready import label_features
from ood_lightning.label_sets.sources import (
    CLIPScopeNegatives,
    IDNames,
    MinedNegatives,
    Stored,
)

CPU = torch.device("cpu")


def test_clipscopes_words_may_be_ranked_under_other_prompts(bank: TextBank, names: str):
    mining = Prompts(("the {}",))
    source = CLIPScopeNegatives(names, 3, 2, share=1.0, mining_prompts=mining)
    vocabulary = single(source, bank, prompts=PLAIN)
    labels = source.make(vocabulary, Inputs())
    known = torch.stack([feature(w, "noun", PLAIN) for w in ("grey", "cat", "pansy")])
    candidates = [w for w in (*NOUNS, *ADJECTIVES) if w not in {"grey", "cat"}]
    ranked = sorted(candidates, key=lambda w: float((known @ feature(w, "noun", mining)).min()))
    assert list(labels.negatives or ()) == ranked[:3] + ranked[-2:]
    assert labels.recipe["mining_prompts"]["templates"] == ["the {}"]
    features = label_features(labels, vocabulary, CPU).negatives
    torch.testing.assert_close(features, torch.stack([feature(w, "noun", PLAIN) for w in labels.negatives or ()]))


@pytest.fixture
def mined() -> LabelSet:
    """As `fit` writes one."""
    recipe = {"method": "ClusterMine", "encoder": {"name": "fake", "fingerprint": "f" * 16}}
    labels = LabelSet(
        (Positive("tree", 2, 9, 0.5), Positive("red", 1, 4, 1.0)), None, {**recipe, "supervision": ["id_images"]}
    )
    labels.write("fit.json")
    return labels


def test_mined_positives_may_take_the_names_place(bank: TextBank, mined: LabelSet):
    source = MinedNegatives("fit.json", 5)
    vocabulary = single(source, bank)
    labels = source.make(vocabulary, Inputs())
    assert labels.positives == mined.positives  # with their support
    assert labels.supervision == ("id_images",)
    assert labels.recipe["positives"] == {"method": "ClusterMine", "sha256": mined.sha256}
    positives = torch.stack([feature("tree", "noun"), feature("red", "adj")])
    torch.testing.assert_close(label_features(labels, vocabulary, CPU).positives, positives)
    candidates = [w for w in (*NOUNS, *ADJECTIVES) if w not in mined.words]
    cosines = {w: positives @ feature(w, "adj" if w in ADJECTIVES else "noun") for w in candidates}
    distance = {w: float(c.double().quantile(0.95)) for w, c in cosines.items()}
    assert list(labels.negatives or ()) == sorted(candidates, key=distance.__getitem__)[:5]  # the least similar first


def test_mined_positives_of_another_encoder_are_refused(bank: TextBank, encoder: FakeEncoder, mined: LabelSet):
    vocabulary = single(IDNames("x"), bank)
    encoder.fingerprint = "g" * 16  # type: ignore[misc]
    with pytest.raises(LabelSetError, match="was made with encoder 'fake'"):
        MinedNegatives("fit.json", 5).make(vocabulary, Inputs())


def test_a_set_is_not_read_under_other_templates_or_other_parts_of_speech(bank: TextBank, names: str):
    source = AugmentedNames(names, 2)
    source.make(single(source, bank), Inputs()).write("l.json")

    other = Prompts(BY_PART.templates, BY_PART.order, ("so {}",))
    other_order = Prompts(BY_PART.templates, adjectives=BY_PART.adjectives)
    with pytest.raises(
        LabelSetError, match=r"the prompts' adjectives \['\{\} thing', 'a \{\} one'\], the run uses \['so"
    ):
        Stored("l.json").make(single(Stored("l.json"), bank, prompts=other), Inputs())
    with pytest.raises(
        LabelSetError, match=r"the prompts' order mean-then-normalise, the run uses normalise-then-mean"
    ):
        Stored("l.json").make(single(Stored("l.json"), bank, prompts=other_order), Inputs())

    same_words = Tagged((*NOUNS, "red"), ADJECTIVES[1:])
    with pytest.raises(LabelSetError, match=r"rest of corpus 'tagged' .*give this set its own: .*WithCorpus"):
        Stored("l.json").make(single(Stored("l.json"), bank, same_words), Inputs())

    source.make(single(source, bank, prompts=PLAIN), Inputs()).write("l.json")
    Stored("l.json").make(single(Stored("l.json"), bank, same_words, PLAIN), Inputs())  # parts decide nothing here
