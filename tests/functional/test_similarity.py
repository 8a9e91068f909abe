"""Log-mass, exact top-k and neighbours against loops, for blocks that do not divide, ties and threads."""

import math

import pytest
import torch
from torch import Tensor

from ood_lightning.functional.rows import JoinedRows
from ood_lightning.functional.similarity import (
    directions,
    log_mass,
    log_masses,
    neighbours,
    top_k,
    unit,
)


def random_unit(n: int, dim: int = 24, seed: int = 0) -> Tensor:
    return unit(torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)))


def ranked(query: Tensor, bank: Tensor) -> list[int]:
    """Rows by (-cosine, row), the cosines from exactly rounded sums."""
    cosines = [math.fsum(float(a) * float(b) for a, b in zip(query, row, strict=True)) for row in bank]
    return sorted(range(len(bank)), key=lambda row: (-cosines[row], row))


def test_unit_vectors_have_length_one_and_half_precision_does_not_overflow():
    long = torch.tensor([[3e4, 4e4], [0.0, 2.0]], dtype=torch.float16)  # the norm, 50,000, squares past float16
    torch.testing.assert_close(unit(long), torch.tensor([[0.6, 0.8], [0.0, 1.0]]), atol=1e-3, rtol=0)
    assert unit(long.double()).dtype == torch.float64
    torch.testing.assert_close(random_unit(5).norm(dim=-1), torch.ones(5))


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "row 2 is zero"), (math.nan, "row 2 holds NaN"), (math.inf, "row 2 holds NaN or inf")]
)
def test_a_row_without_direction_is_named(value: float, words: str):
    rows = torch.ones(4, 3)
    rows[2:] = value
    with pytest.raises(ValueError, match=words):
        unit(rows)


@pytest.mark.parametrize("block", [1, 7, 50, 1000])
def test_log_mass_equals_a_loop_for_every_block_size(block: int):
    images, texts = random_unit(4), random_unit(50, seed=1)
    expected = [math.log(sum(math.exp(100 * float(i.double() @ t.double())) for t in texts)) for i in images]
    got = log_mass(images, texts, 100.0, block=block)
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64), atol=5e-5, rtol=0)


def test_log_mass_neither_overflows_nor_saturates_at_a_tenth_of_the_temperature():
    images = random_unit(3)
    mass = log_mass(images, images, 1000.0)
    assert mass.dtype == torch.float64
    torch.testing.assert_close(mass, torch.full((3,), 1000.0, dtype=torch.float64), atol=1e-3, rtol=0)


def test_the_sum_is_taken_in_float64():
    texts = torch.eye(2)[[0] + [1] * 4999]  # cosines 1 and 0, exact in float32
    got = log_mass(torch.eye(2)[:1], texts, 10.0)
    assert float(got) == pytest.approx(math.log(math.exp(10) + 4999), abs=1e-13)


def test_log_odds_keep_the_invariants_of_the_framework():
    images, positives, negatives = random_unit(6), random_unit(5, seed=1), random_unit(9, seed=2)

    def odds(pos: Tensor, neg: Tensor) -> Tensor:
        return log_mass(images, pos, 10.0) - log_mass(images, neg, 10.0)

    before = odds(positives, negatives)
    torch.testing.assert_close(before.sigmoid() + odds(negatives, positives).sigmoid(), torch.ones(6).double())
    assert (odds(torch.cat([positives, random_unit(1, seed=3)]), negatives) > before).all()
    assert (odds(positives, torch.cat([negatives, random_unit(1, seed=3)])) < before).all()
    torch.testing.assert_close(odds(positives.flip(0), negatives.flip(0)), before, atol=1e-4, rtol=0)

    equal = odds(images[:1].repeat(5, 1), images[:1].repeat(9, 1))  # all cosines equal: |P| / (|P| + |N|)
    torch.testing.assert_close(equal.sigmoid(), torch.full((6,), 5 / 14).double())


def test_half_precision_inputs_are_multiplied_in_float32():
    images, texts = random_unit(4).half(), random_unit(9, seed=1).half()
    torch.testing.assert_close(log_mass(images, texts, 100.0), log_mass(images.float(), texts.float(), 100.0))


def test_autocast_does_not_reach_the_product():
    images, texts = random_unit(4), random_unit(9, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        inside = log_mass(images, texts, 100.0)
    assert torch.equal(inside, log_mass(images, texts, 100.0))


@pytest.mark.parametrize("block", [1, 3, 4, 9, 100])
def test_each_group_has_its_own_log_mass(block: int):
    images, texts = random_unit(5), random_unit(20, seed=1)
    groups = torch.randperm(20, generator=torch.Generator().manual_seed(2))[:18].view(6, 3)
    expected = torch.stack([log_mass(images, texts[group], 100.0) for group in groups], dim=1)
    got = log_masses(images, texts, 100.0, groups=groups, block=block)
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("block", [1, 5, 8])
def test_no_product_holds_more_texts_than_a_block(monkeypatch: pytest.MonkeyPatch, block: int):
    from ood_lightning.functional import exact_top, similarity
    from ood_lightning.functional.products import product

    sizes: list[int] = []

    def counting(features: Tensor, texts: Tensor) -> Tensor:
        sizes.append(len(texts))
        return product(features, texts)

    for module in (similarity, exact_top):
        monkeypatch.setattr(module, "product", counting)
    images, texts = random_unit(5), random_unit(18, seed=1)
    log_mass(images, texts, 100.0, block=block)
    for size in (3, 9):
        log_masses(images, texts, 100.0, groups=torch.arange(18).view(-1, size), block=block)
    top_k(images, texts, 2, block=block)
    neighbours(texts, 2, block=block)
    assert max(sizes) == block


def test_grouping_never_lowers_the_mean_score_and_order_inside_a_group_is_free():
    images, positives, texts = random_unit(5), random_unit(4, seed=1), random_unit(12, seed=2)
    mass = log_mass(images, positives, 100.0)[:, None]

    def mean_share(groups: Tensor) -> Tensor:
        return (mass - log_masses(images, texts, 100.0, groups=groups)).sigmoid().mean(1)

    four = mean_share(torch.arange(12).view(4, 3))
    assert (four > mean_share(torch.arange(12).view(1, 12))).all()
    torch.testing.assert_close(mean_share(torch.arange(12).view(4, 3).flip(1)), four, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("block", "row_block"), [(1, 1), (3, 2), (16, 5), (1000, 1000)])
def test_top_k_orders_by_cosine_then_row_for_every_block_size(block: int, row_block: int):
    images, texts = random_unit(7), random_unit(40, seed=1)
    texts[30:] = texts[[5, 5, 5, 9, 9, 2, 2, 2, 2, 2]]  # equal texts
    got = top_k(images, texts, 12, block=block, row_block=row_block)
    assert got.indices.tolist() == [ranked(image, texts)[:12] for image in images]
    exact = (images.double()[:, None] * texts.double()[got.indices]).sum(-1)
    torch.testing.assert_close(got.values, exact, atol=1e-15, rtol=0)


def test_more_equal_texts_than_spare_candidates_still_tie_to_the_lowest_row():
    images, texts = random_unit(6, dim=200), random_unit(1, dim=200, seed=1).repeat(300, 1)
    texts[100], images[0] = images[3], texts[0]
    for block in (7, 64, 300):
        got = top_k(images, texts, 3, block=block).indices
        assert got[0].tolist() == [0, 1, 2]
        assert got[3].tolist() == [100, 0, 1]


def test_cosines_that_float32_cannot_tell_apart_are_ordered_in_float64():
    image = torch.ones(1, 64) / 8
    texts = image.repeat(30, 1)
    steps = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    texts[torch.arange(30), torch.arange(30)] *= 1 + steps * 2.0**-22
    got = top_k(image, texts, 4)
    assert got.indices[0].tolist() == ranked(image[0], texts)[:4]
    assert got.values[0].diff().max() < 0
    assert got.values[0, 0] - got.values[0, 3] < 1e-7


def test_top_k_is_the_same_bit_for_bit_on_one_thread_and_two():
    images, texts = random_unit(300, dim=96), random_unit(500, dim=96, seed=1)
    threads = torch.get_num_threads()
    answers = []
    try:
        for n_threads, row_block in ((1, 300), (2, 300), (2, 1), (1, 37)):
            torch.set_num_threads(n_threads)
            answers.append(top_k(images, texts, 5, row_block=row_block))
    finally:
        torch.set_num_threads(threads)

    for other in answers[1:]:
        assert torch.equal(other.values, answers[0].values)
        assert torch.equal(other.indices, answers[0].indices)


def test_top_k_is_right_when_float32_products_are_allowed_to_be_coarse(monkeypatch: pytest.MonkeyPatch):
    from ood_lightning.functional import exact_top

    images = random_unit(9)
    texts = unit(images[0] + 0.02 * random_unit(200, seed=1))  # closer to one another than bfloat16 can tell
    expected = top_k(images, texts, 4)
    monkeypatch.setattr(exact_top, "product", lambda a, b: (a.bfloat16() @ b.bfloat16().T).float())
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "medium")
    coarse = top_k(images, texts, 4)
    assert torch.equal(coarse.indices, expected.indices)
    assert torch.equal(coarse.values, expected.values)


@pytest.mark.parametrize(("block", "row_block"), [(1, 3), (8, 8), (500, 7)])
def test_neighbours_leave_out_the_image_itself_and_nothing_else(block: int, row_block: int):
    images = random_unit(60)
    images[50:] = images[[3, 3, 3, 7, 8, 9, 9, 9, 9, 9]]  # copies are neighbours of one another
    got = neighbours(images, 12, block=block, row_block=row_block)
    expected = [[other for other in ranked(image, images) if other != row][:12] for row, image in enumerate(images)]
    assert got.tolist() == expected
    assert got[3, :3].tolist() == [50, 51, 52]


def test_k_may_be_all_other_images_and_ranks_can_share_the_rows():
    images = random_unit(20)
    whole = neighbours(images, 19)
    assert all(sorted(row) == [other for other in range(20) if other != i] for i, row in enumerate(whole.tolist()))
    shares = [neighbours(images, 19, rows=range(rank, 20, 3)) for rank in range(3)]
    assert all(torch.equal(share, whole[rank::3]) for rank, share in enumerate(shares))
    assert neighbours(images, 4, rows=range(0)).shape == (0, 4)


def test_wrong_arguments_are_refused_in_words():
    images, texts = random_unit(4), random_unit(5, seed=1)
    with pytest.raises(ValueError, match="0 texts in blocks"):
        log_mass(images, texts[:0], 100.0)
    with pytest.raises(ValueError, match="made by the same encoder"):
        log_mass(images, random_unit(5, dim=8), 100.0)
    for scale in (0.0, -4.6, math.nan, math.inf):
        with pytest.raises(ValueError, match="CLIP's multiplier itself"):
            log_mass(images, texts, scale)

    for groups in (torch.tensor([[0, 5]]), torch.tensor([[-1, 0]]), torch.arange(4), torch.empty(2, 0).long()):
        with pytest.raises(ValueError, match="rows of the 5 texts, none empty"):
            log_masses(images, texts, 100.0, groups=groups)

    for k in (0, 6):
        with pytest.raises(ValueError, match="expected 1 to 5"):
            top_k(images, texts, k)
    with pytest.raises(ValueError, match="one less than the number of images"):
        neighbours(images, 4)
    with pytest.raises(ValueError, match="lie outside the 4 images"):
        neighbours(images, 2, rows=range(2, 5))
    with pytest.raises(ValueError, match="no nearest one"):
        top_k(images, torch.full((5, 24), math.nan), 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_directions_have_the_bits_of_unit_vectors_and_nan_where_those_are_refused(dtype: torch.dtype):
    rows = torch.randn(6, 5, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert torch.equal(directions(rows), unit(rows))
    assert directions(rows).dtype == unit(rows).dtype

    rows[0, 1], rows[2, 0, 3], rows[4, 4, 6] = 0, torch.inf, torch.nan
    is_bad = torch.zeros(6, 5, dtype=torch.bool)
    is_bad[0, 1] = is_bad[2, 0] = is_bad[4, 4] = True
    assert torch.equal(directions(rows).isnan(), is_bad[..., None].expand(6, 5, 7))
    assert torch.equal(directions(rows)[~is_bad], unit(rows[~is_bad]))


@pytest.mark.parametrize("dim", [3, 24])
def test_neighbours_of_mapped_half_precision_shards_are_those_of_one_float32_tensor(dim: int):
    images = random_unit(230, dim=dim).half()
    images[200:] = images[:30]
    parts = JoinedRows(list(images.split([100, 1, 99, 30])))
    expected = neighbours(images.float(), 20, block=230)
    for block, row_block in ((7, 3), (64, 100), (None, None)):
        assert torch.equal(neighbours(parts, 20, block=block, row_block=row_block, rows=range(4, 229)), expected[4:229])


@pytest.mark.slow
def test_neighbours_are_ordered_exactly_where_float32_leaves_the_order_open():
    images = unit(torch.ones(1, 32) + 1e-4 * random_unit(150, dim=32))  # closer than float32 products can tell
    got = neighbours(images, 9, block=40)
    assert got.tolist() == [[other for other in ranked(row, images) if other != i][:9] for i, row in enumerate(images)]


def test_log_mass_goes_on_with_half_the_block_where_memory_runs_out(monkeypatch: pytest.MonkeyPatch):
    from ood_lightning.functional import similarity
    from ood_lightning.functional.products import product

    def short(features: Tensor, texts: Tensor) -> Tensor:
        if len(texts) > 7:
            raise torch.cuda.OutOfMemoryError
        return product(features, texts)

    images, texts = random_unit(4), random_unit(50, seed=1)
    expected = log_mass(images, texts, 100.0, block=6)
    monkeypatch.setattr(similarity, "product", short)
    assert torch.equal(log_mass(images, texts, 100.0, block=24), expected)
