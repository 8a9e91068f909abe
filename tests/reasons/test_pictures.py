"""The right pictures are chosen; shares add up to the masses, these to the score, and 'without' is a re-scoring."""

import math
from dataclasses import replace

import pytest
import torch
from bare_evidence import ready
from random_features import random_unit
from small_label_set import LABELS

from ood_lightning.data.artifacts.features import Features, FeatureSet
from ood_lightning.data.shards.manifest import Manifest, Shard
from ood_lightning.detectors.evidence import LabelFeatures, ReadyLabelSet
from ood_lightning.detectors.label_mass import LabelMass
from ood_lightning.reasons.pictures import FALSE_ALARMS, MISSES, PULLS, Chosen, ScoredSet, chosen, explained
from ood_lightning.reasons.stored import Picture
from ood_lightning.reasons.thumbnails import ShownSet

TEXTS = [f"positive {i}" for i in range(5)], [f"negative {i}" for i in range(23)]
DETECTOR = LabelMass(sharpness=2.0)
SCALE = 2.0 * LABELS.logit_scale


def scored(name: str, is_id: bool, scores: torch.Tensor, seed: int = 0) -> ScoredSet:
    n = len(scores)
    image = random_unit(n, 8, seed=seed).half()
    features = Features(name, image, torch.full((n,), -1), [f"{name} {i}" for i in range(n)], [])
    manifest = Manifest(name, "id", (Shard("s.tar", n, 1),))
    return ScoredSet(ShownSet(FeatureSet(manifest, features)), is_id, scores)


def rows(n: int, low: float, high: float) -> torch.Tensor:
    return torch.linspace(low, high, n, dtype=torch.float64)


def reasons_of(label_set: ReadyLabelSet) -> list[Picture]:
    sets = {"birds": scored("birds", True, rows(11, 0, 1)), "cars": scored("cars", False, rows(11, 0, 1), seed=4)}
    picked = [Chosen(name, row, "miss", 0.5) for name in sets for row in range(11)]
    return list(explained(picked, sets, label_set, SCALE))


def log_odds(positives: torch.Tensor, negatives: torch.Tensor, picture: Picture) -> float:
    """The detector's own score, of features in float64."""
    image = random_unit(11, 8, seed=0 if picture.set == "birds" else 4).half()[int(picture.key.split()[1])]
    features = torch.nn.functional.normalize(image.float()[None], dim=1).double()
    labels = LabelFeatures(positives.double(), negatives.double(), LABELS.logit_scale)
    return float(DETECTOR(features, labels))


def test_shares_add_up_to_the_masses_and_these_to_the_score():
    for picture in reasons_of(ready(LABELS, TEXTS)):
        assert picture.log_odds == pytest.approx(log_odds(*LABELS[:2], picture), abs=1e-6)
        assert picture.id_mass - picture.ood_mass == pytest.approx(picture.log_odds, abs=1e-9)
        share = 1 / (1 + math.exp(-picture.log_odds))
        assert sum(one.share for one in picture.positives) == pytest.approx(share, abs=1e-9)  # all five are named
        assert len(picture.negatives) == PULLS
        assert sum(one.share for one in picture.negatives) < 1 - share


def test_without_a_word_is_a_scoring_without_that_word():
    for picture in reasons_of(ready(LABELS, TEXTS)):
        for one in picture.positives:
            keep = [i for i, word in enumerate(TEXTS[0]) if word != one.word]
            assert one.without == pytest.approx(log_odds(LABELS.positives[keep], LABELS.negatives, picture), abs=1e-6)
            assert one.without <= picture.log_odds
        for one in picture.negatives:
            keep = [i for i, word in enumerate(TEXTS[1]) if word != one.word]
            assert one.without == pytest.approx(log_odds(LABELS.positives, LABELS.negatives[keep], picture), abs=1e-6)
            assert one.without >= picture.log_odds


def test_without_the_only_positive_there_is_no_score_and_without_negatives_no_odds():
    one_word = LabelFeatures(LABELS.positives[:1], LABELS.negatives, LABELS.logit_scale)
    assert {one.without for picture in reasons_of(ready(one_word, TEXTS)) for one in picture.positives} == {None}

    no_negatives = LabelFeatures(LABELS.positives, LABELS.negatives[:0], LABELS.logit_scale)
    picture = reasons_of(ready(no_negatives, TEXTS))[0]
    assert (picture.log_odds, picture.ood_mass, picture.negatives) == (None, None, ())
    assert sum(one.share for one in picture.positives) == pytest.approx(1.0)


def test_names_of_words_and_keys_do_nothing_to_a_terminal():
    hostile = ["\x1b[2J", *TEXTS[0][1:]], TEXTS[1]
    words = {one.word for picture in reasons_of(ready(LABELS, hostile)) for one in picture.positives}
    assert r"\x1b[2J" in words


def test_the_worst_come_first_and_no_hard_set_hides_the_others():
    sets = [
        scored("birds", True, rows(200, -1, 1)),
        scored("hard", False, rows(200, 0.5, 1)),
        scored("easy", False, rows(50, -1, 0.02)),
    ]
    picked = chosen(sets, 0.0)
    alarms = [one for one in picked if one.kind == "false alarm"]
    misses = [one for one in picked if one.kind == "miss"]
    assert (len(alarms), len(misses)) == (FALSE_ALARMS, MISSES)
    assert [one.row for one in alarms[:3]] == [0, 1, 2]
    assert [(one.set, one.row) for one in misses[:2]] == [("hard", 199), ("hard", 198)]
    assert {one.set for one in misses} == {"hard", "easy"}
    assert all(one.score >= 0 for one in misses)

    uncertain = [one for one in picked if one.kind == "uncertain"]
    assert max(abs(one.score) for one in uncertain) < 0.4
    assert len({(one.set, one.row) for one in picked}) == len(picked)


def test_a_score_at_the_threshold_is_accepted():
    sets = [scored("birds", True, rows(1, 0, 0)), scored("cars", False, rows(1, 0, 0))]
    assert [(one.set, one.kind) for one in chosen(sets, 0.0)] == [("cars", "miss"), ("birds", "uncertain")]
    assert replace(sets[0], is_id=False).name == "birds"
