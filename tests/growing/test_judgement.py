"""The gain of a grown corpus, without OOD data: which way it goes, and that only the new words are encoded."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from ood_lightning.corpora.grown import with_words
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Words
from ood_lightning.data.artifacts.features import Features, FeatureSet
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.growing.judgement import Judgement, grown_vocabulary, held_out_mass, judged
from ood_lightning.label_sets.vocabulary import Vocabulary

WORDS = Words("list", ("horse", "sofa", "rain"), "a test", ("noun",) * 3)


class Encoder:
    name, fingerprint, logit_scale, extra_features = "axes", "axes0123456789ab", 10.0, ()
    image_shape, encode_image = (3, 8, 8), None


@dataclass
class Bank:
    """Texts are axes: the word at row i of `known` is the i-th one."""

    known: tuple[str, ...] = ("horse", "sofa", "rain", "zebra", "wind")
    encoded: list[str] = field(default_factory=list)
    encoder: Any = field(default_factory=Encoder)
    logit_scale: float = Encoder.logit_scale

    def features(self, texts: Any, prompts: Any, name: str, parts: Any = None) -> Tensor:
        self.encoded += texts
        return torch.eye(len(self.known))[[self.known.index(text) for text in texts]]

    def encode(self, texts: Any, prompts: Any) -> Tensor:
        return self.features(texts, prompts, "")


def images(name: str, rows: list[int]) -> FeatureSet:
    """Pictures near the axes of those rows."""
    features = torch.nn.functional.normalize(torch.eye(5)[rows] + 0.1, dim=1)
    manifest = Manifest(name, "id", (Shard(name, len(rows), 0, members=name),))
    keys = [str(i) for i in range(len(rows))]
    return FeatureSet(manifest, Features(name, features, torch.full((len(rows),), -1), keys, []))


def vocabularies(*added: str) -> tuple[Bank, tuple[Vocabulary, Vocabulary]]:
    bank = Bank()
    parent = Vocabulary(WORDS, bank.features(WORDS.words, None, ""), Prompts(("{}",)), bank)  # type: ignore[arg-type]
    bank.encoded.clear()
    return bank, (parent, grown_vocabulary(parent, with_words(WORDS, list(added), "a test")))


def judgement_of(*added: str) -> Judgement:
    _, both = vocabularies(*added)
    mining, held_out = images("mining", [0, 0, 3, 3, 3]), images("held_out", [0, 3, 3, 0, 3, 3])
    return judged(mining, held_out, torch.tensor([0, 0, 1, 1, 1]), both, list(added), torch.device("cpu"), 0)


def test_only_the_new_words_are_encoded_and_stand_at_the_end():
    bank, (_, grown) = vocabularies("zebra")
    assert bank.encoded == ["zebra"]
    assert grown.words.words == ("horse", "sofa", "rain", "zebra")
    torch.testing.assert_close(grown.features, torch.eye(5)[:4])


def test_a_word_for_pictures_that_had_none_raises_their_mass():
    judgement = judgement_of("zebra")
    assert judgement.elected == ("zebra",)
    assert judgement.held_out == 6
    assert judgement.id_mass_before < judgement.id_mass_after
    assert judgement.low > 0
    assert "describes the pictures better" in str(judgement)


def test_a_word_that_no_picture_elects_lowers_it():
    judgement = judgement_of("wind")
    assert judgement.elected == ()
    assert judgement.high < 0
    assert "describes the pictures worse: keep the parent" in str(judgement)


def test_a_change_that_may_be_chance_is_said_to_be_none():
    judgement = Judgement(9, 0.5, 0.51, 0.01, -0.01, 0.03, 4, 5, ())
    assert str(judgement) == (
        "ID mass of 9 held-out pictures: 0.5000 before, 0.5100 after, +0.0100 [-0.0100, +0.0300]: no clear change: "
        "keep the parent corpus unless you want the words for their own sake"
    )
    assert judgement.gain == pytest.approx(0.01)


def test_an_interval_of_pairs_holds_the_mean_gain_and_is_drawn_by_its_seed():
    before = torch.rand(200, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    after = before + 0.1 + 0.05 * torch.randn(200, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    gain, low, high = held_out_mass(before, after, 0)
    assert low < gain < high
    assert gain == pytest.approx(float((after - before).mean()))
    assert (low, high) == held_out_mass(before, after, 0)[1:]
    assert high - low < 0.03
