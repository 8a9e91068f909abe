"""Measures of label sets as plain data, on numbers worked out by hand."""

import math

import pytest
import torch

from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.label_sets import quality


def test_words_are_compared_with_their_nearest_true_name():
    mined = LabelSet((Positive("cat"), Positive("Oak"), Positive("rust")), None, {"method": "ClusterMine"})
    words = torch.tensor([[1.0, 0.0], [0.6, 0.8], [-0.8, 0.6]])
    true = quality.TrueNames("names.txt", ["oak", "cat", "OAK"], torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]))

    measures = quality.label_set(mined, words, true)
    assert measures["names"] == {
        "source": "names.txt",
        "names": 2,
        "hits": 2,
        "overlap": 1.0,
        "precision": 2 / 3,
        "f1": pytest.approx(0.8),
    }

    assert measures["nearest_name"] == {"cat": ["cat", 1.0], "Oak": ["oak", 0.8], "rust": ["oak", 0.6]}
    assert measures["similarity"]["mean"] == pytest.approx(0.8)
    assert {i: n for i, n in enumerate(measures["similarity"]["bins"]) if n} == {80: 1, 90: 1, 99: 1}

    assert measures["hops"] == {
        "names_in_wordnet": 2,
        "mean": 2.0,
        "bins": [2, 0, 0, 0, 0, 0, 1],  # rust is a fungus, an organism; as a person, a male, a man, a guy or cat is
        "unreachable": 0,
    }
    assert measures["sha256"] == mined.sha256


def test_clusters_and_true_labels_of_the_images_that_have_one():
    votes = {
        "cluster": torch.tensor([0, 0, 0, 4, 5, 5]),
        "nearest": torch.tensor([7, 7, 8, 7, 9, 9]),
        "cosine": torch.full((6,), 0.5),
    }

    clusters = quality.clusters(votes, 8)
    expected = {"asked": 8, "in_use": 3, "positives": 2, "size_min": 1.0, "size_median": 2.0, "size_max": 3.0}
    assert {name: clusters[name] for name in expected} == expected
    assert clusters["purity"] == pytest.approx((2 / 3 + 2) / 3)
    assert clusters["entropy"] == pytest.approx(-(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3)) / 3)
    assert (clusters["redundancy"], clusters["label_ratio"]) == (50.0, 0.25)

    labels = torch.tensor([1, 1, 0, -1, 2, 2])
    truth = quality.truth(votes["cluster"], labels)
    assert truth is not None
    assert (truth["images"], truth["classes"], truth["accuracy"]) == (5, 3, 4 / 5)
    assert quality.truth(votes["cluster"], torch.full((6,), -1)) is None

    logged = quality.logged({"clusters": clusters, "truth": truth, "label_sets": {"labels": {"positives": 2}}})
    assert (logged["mined/clusters_in_use"], logged["mined/cluster_size_max"], logged["mined/accuracy"]) == (3, 3, 0.8)
    assert "mined/overlap" not in logged
    assert "mined/asked" not in logged
