"""Many selections of one matrix, from one product: each mass and each nearest text as if it were alone."""

import math

import pytest
import torch
from random_features import random_unit
from torch import Tensor

from ood_lightning.functional import one_product
from ood_lightning.functional.exact_top import exact_top
from ood_lightning.functional.one_product import Mass, Selection, compare
from ood_lightning.functional.similarity import log_mass, top_k, unit

N_TEXTS, DIM = 403, 24
IMAGES, TEXTS = random_unit(37, DIM, seed=1), random_unit(N_TEXTS, DIM, seed=2)
DRAW = torch.Generator().manual_seed(3)
FEW = torch.randperm(N_TEXTS, generator=DRAW)[:11]  # in no order
REST = torch.tensor([row for row in range(N_TEXTS) if row not in set(FEW.tolist())])
LISTS = {"few": FEW, "rest": REST, "all": torch.arange(N_TEXTS), "one": FEW[:1], "twice": FEW.repeat_interleave(2)}


def mass_by_loop(image: Tensor, texts: Tensor, scale: float) -> float:
    """In exact arithmetic but for the exponential, whose largest argument is 0."""
    cosines = [math.fsum(float(a) * float(b) for a, b in zip(image, text, strict=True)) for text in texts]
    largest = max(cosines)
    return scale * largest + math.log(math.fsum(math.exp(scale * (c - largest)) for c in cosines))


@pytest.mark.slow
@pytest.mark.parametrize("block", [1, 2, 64, 127, 403, 1000])
@pytest.mark.parametrize("scale", [1.0, 100.0, 1000.0])
def test_each_mass_and_each_nearest_text_is_that_of_the_selection_alone(block: int, scale: float):
    selections = [Selection.of(rows, N_TEXTS) for rows in LISTS.values()]
    answers = compare(IMAGES, TEXTS, [Mass(one, scale) for one in selections], selections, block=block)

    for rows, mass, nearest in zip(LISTS.values(), answers.masses, answers.nearest, strict=True):
        torch.testing.assert_close(mass, log_mass(IMAGES, TEXTS[rows], scale), atol=3e-6 * scale, rtol=0)
        assert torch.equal(nearest, top_k(IMAGES, TEXTS[rows], 1).indices[:, 0])


@pytest.mark.parametrize("scale", [1.0, 100.0, 1000.0])
def test_masses_of_float64_features_equal_a_loop(scale: float):
    masses = [Mass(Selection.of(rows, N_TEXTS), scale) for rows in (FEW, REST)]
    got = compare(IMAGES[:5].double(), TEXTS.double(), masses, [], block=100).masses
    for rows, mass in zip((FEW, REST), got, strict=True):
        expected = [mass_by_loop(image, TEXTS[rows], scale) for image in IMAGES[:5]]
        torch.testing.assert_close(mass, torch.tensor(expected, dtype=torch.float64), atol=1e-11, rtol=0)


@pytest.mark.parametrize("block", [3, 8, 403])
@pytest.mark.parametrize("scale", [100.0, 1000.0, 5000.0])
def test_a_mass_beside_one_that_outweighs_it_by_any_factor_is_exact(scale: float, block: int):
    """An image that is a positive itself, and everything else is its opposite: up to e^10000 between the sides."""
    texts = torch.cat([IMAGES[:1], -IMAGES[:1] + 0.01 * random_unit(50, DIM, seed=5)])
    texts = unit(texts)
    selections = [Selection.of(rows, 51) for rows in (torch.tensor([0]), torch.arange(1, 51))]
    got = compare(IMAGES[:1].double(), texts.double(), [Mass(one, scale) for one in selections], [], block=block).masses
    for rows, mass in zip((slice(0, 1), slice(1, 51)), got, strict=True):
        assert float(mass) == pytest.approx(mass_by_loop(IMAGES[0], texts[rows], scale), abs=1e-6)


def test_answers_do_not_depend_on_what_else_is_asked():
    selections = {name: Selection.of(rows, N_TEXTS) for name, rows in LISTS.items()}
    questions = [Mass(one, scale) for scale in (100.0, 1000.0) for one in selections.values()]
    together = compare(IMAGES, TEXTS, questions, list(selections.values()), block=90)

    for question, mass in zip(questions, together.masses, strict=True):
        assert torch.equal(compare(IMAGES, TEXTS, [question], [], block=90).masses[0], mass)
    for one, nearest in zip(selections.values(), together.nearest, strict=True):
        assert torch.equal(compare(IMAGES, TEXTS, [], [one], block=90).nearest[0], nearest)


def test_equal_texts_tie_to_the_first_of_the_selection():
    texts = TEXTS.clone()
    texts[[7, 300, 12]] = texts[50].clone()
    images = torch.cat([texts[50:51], IMAGES])
    for rows in (torch.tensor([300, 50, 1, 7, 12]), torch.tensor([3, 12, 300, 7]), torch.arange(403).flip(0)):
        for block in (1, 64, 403):
            got = compare(images, texts, [], [Selection.of(rows, 403)], block=block).nearest[0]
            assert torch.equal(
                got, exact_top(images, texts[rows], 1, 403, [torch.arange(38)], exclude_self=False)[1][:, 0]
            )
    assert int(compare(images, texts, [], [Selection.of(torch.tensor([300, 50]), 403)]).nearest[0][0]) == 0


def test_an_empty_selection_has_no_mass_and_no_images_no_answers():
    nothing = Selection.of(torch.empty(0, dtype=torch.int64), N_TEXTS)
    assert compare(IMAGES, TEXTS, [Mass(nothing, 100.0), Mass(nothing, 1000.0)], []).masses[1].isneginf().all()
    rest = Selection.of(REST, N_TEXTS)
    answers = compare(IMAGES[:0], TEXTS, [Mass(rest, 100.0)], [rest])
    assert [len(part) for part in (*answers.masses, *answers.nearest)] == [0, 0]


def test_a_block_is_multiplied_once(monkeypatch: pytest.MonkeyPatch):
    sizes: list[int] = []

    def counting(features: Tensor, texts: Tensor) -> Tensor:
        sizes.append(len(texts))
        return features @ texts.T

    monkeypatch.setattr(one_product, "product", counting)
    selections = [Selection.of(rows, N_TEXTS) for rows in LISTS.values()]
    compare(IMAGES, TEXTS, [Mass(one, scale) for one in selections for scale in (1.0, 2.0)], selections, block=100)
    assert sizes == [100, 100, 100, 100, 3]


def test_out_of_memory_halves_the_block_and_nothing_is_counted_twice(monkeypatch: pytest.MonkeyPatch):
    sizes: list[int] = []

    def short(features: Tensor, texts: Tensor) -> Tensor:
        sizes.append(len(texts))
        if len(texts) > 60:
            raise torch.cuda.OutOfMemoryError
        return features @ texts.T

    selections = [Selection.of(rows, N_TEXTS) for rows in LISTS.values()]
    expected = compare(IMAGES, TEXTS, [Mass(one, 100.0) for one in selections], selections, block=50)
    monkeypatch.setattr(one_product, "product", short)
    got = compare(IMAGES, TEXTS, [Mass(one, 100.0) for one in selections], selections, block=200)
    assert sizes[:4] == [200, 100, 50, 50]
    for one, other in zip((*got.masses, *got.nearest), (*expected.masses, *expected.nearest), strict=True):
        assert torch.equal(one, other)


def test_wrong_arguments_are_refused_in_words():
    rest = Selection.of(REST, N_TEXTS)
    with pytest.raises(ValueError, match="CLIP's multiplier itself"):
        compare(IMAGES, TEXTS, [Mass(rest, -1.0)], [])
    with pytest.raises(ValueError, match="made by the same encoder"):
        compare(IMAGES[:, :8], TEXTS, [], [rest])
    with pytest.raises(ValueError, match="no nearest one"):
        compare(IMAGES, torch.full_like(TEXTS, math.nan), [], [rest])
