"""Approximate neighbours against exact ones."""

import pytest
import torch
from random_features import random_unit

from ood_lightning.clustering import approximate
from ood_lightning.clustering.approximate import ApproximateNeighbours
from ood_lightning.functional.rows import JoinedRows
from ood_lightning.functional.similarity import neighbours, unit

pytest.importorskip("faiss", reason="faiss-cpu is not installed: .[faiss]")


def clustered(n: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    centres = random_unit(60, 16, seed=1)
    return unit(centres[torch.randint(60, (n,), generator=draw)] + 0.1 * torch.randn(n, 16, generator=draw)).half()


def test_the_recall_that_is_said_is_that_of_all_images(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(approximate, "QUERIES", 1000)
    image = clustered(6000)
    search = ApproximateNeighbours(JoinedRows(list(image.split(1900))), 10, seed=0)
    assert search.recall >= 0.95
    assert search.lists.endswith(" of 93 lists")
    assert int(search.lists.split()[0]) < 93

    got, true = search(range(6000)), neighbours(image, 10)
    recall = (got[:, :, None] == true[:, None]).any(dim=2).float().mean()
    assert abs(float(recall) - search.recall) < 0.02
    assert not (got == torch.arange(6000)[:, None]).any()
    assert all(len(set(row)) == 10 for row in got.tolist())

    right = (got.sort(dim=1).values == true.sort(dim=1).values).all(dim=1)
    assert right.any()
    assert torch.equal(got[right], true[right])  # in the same order where the same were found
    assert torch.equal(search(range(4000, 5000)), got[4000:5000])


def test_an_image_for_which_the_lists_hold_too_few_is_compared_with_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(approximate, "RECALL", 0.0)  # one list is enough
    image = clustered(700)
    search = ApproximateNeighbours(image, 200, seed=0)
    got = search(range(700))
    assert (got >= 0).all()
    assert all(len(set(row)) == 200 for row in got.tolist())
    assert torch.equal(got, neighbours(image, 200))


def test_copies_of_an_image_are_its_neighbours_in_the_order_of_their_rows():
    image = clustered(300)
    image[200:] = image[5]
    nearest = ApproximateNeighbours(image, 4, seed=0)(range(300))
    assert nearest[5].tolist() == sorted(nearest[5].tolist())
    assert set(nearest[5].tolist()) <= set(range(200, 300))
