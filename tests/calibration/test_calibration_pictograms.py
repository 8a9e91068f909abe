"""Over random splits of the built-in pictures the achieved rates lie where the statements say.

Each split sets drawings apart to test on, holds others out for calibration, and learns from the rest alone: the score
is the mean cosine with the five nearest of these, which needs no label and no name. The set is finite, so the number of
accepted test drawings is a draw from a beta-binomial distribution, exactly; all margins are its quantiles, or those of
the binomial over splits.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ood_lightning.calibration.calibrate import calibrate_scores
from ood_lightning.calibration.calibration import Calibration
from ood_lightning.calibration.split import one_of_each, split
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules.embedding import embed
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.functional.conformal import certain_rank, certain_threshold, rank, rate_bound, rate_interval

stats = pytest.importorskip("scipy.stats")

TPR = 0.95
N_TEST = 100  # drawings
SURE = 1e-4  # chance that a right program fails a check of one distribution
Splits = list[tuple[Calibration, Tensor]]  # and scores of the test drawings


def embedded(name: str, cache: Path) -> tuple[Tensor, Tensor]:
    """Features of a built-in set, (n, D) float32, and which drawing each picture shows, (n,)."""
    manifest = read_manifest(f"builtin:pictograms/shards/{name}")
    encoder = OpenClip("builtin:pictograms/model", precision="fp32")
    stored = embed(encoder, manifest, cache, device=torch.device("cpu"), num_workers=0).read(0)

    drawings = [key.split("_", 1)[1] for key in stored.keys]  # RENDERING_VENDOR_CODEPOINT
    numbers = {drawing: i for i, drawing in enumerate(sorted(set(drawings)))}
    return stored.image.to("cpu").float(), torch.tensor([numbers[drawing] for drawing in drawings])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def drawings(cache: Path) -> tuple[Tensor, Tensor]:
    """Cosines of all pairs of `id_train`, (n, n), and which drawing each picture shows, (n,)."""
    image, groups = embedded("id_train", cache)
    return image @ image.T, groups


def mean_of_nearest(cosines: Tensor) -> Tensor:
    """The score: the mean of an image's five highest cosines; (b, n) to (b,)."""
    return cosines.topk(5).values.double().mean(dim=1)


def random_splits(cosines: Tensor, groups: Tensor, n_splits: int) -> Splits:
    splits = []
    for seed in range(n_splits):
        draw = torch.Generator().manual_seed(10_000 + seed)
        tested = torch.isin(groups, torch.randperm(int(groups.max()) + 1, generator=draw)[:N_TEST])
        test = tested.nonzero()[:, 0]
        test = test[one_of_each(groups[test], seed)]

        rest = (~tested).nonzero()[:, 0]
        parts = split(groups[rest], seed, TPR)
        mining, calibration = rest[parts.mining], rest[parts.calibration]

        of_calibration, of_test = (mean_of_nearest(cosines[rows][:, mining]) for rows in (calibration, test))
        made = calibrate_scores(of_calibration, groups[calibration], TPR, "id_train")
        splits.append((made, of_test))
    return splits


def check_average(splits: Splits) -> None:
    """The first promise: the mean rate over splits."""
    rates = np.array([float(made.accepted(scores).double().mean()) for made, scores in splits])
    n, k = splits[0][0].n, rank(splits[0][0].n, TPR)
    accepted = stats.betabinom(N_TEST, n + 1 - k, k)
    assert accepted.mean() / N_TEST >= TPR
    error = accepted.std() / N_TEST / len(splits) ** 0.5
    assert rates.mean() == pytest.approx(accepted.mean() / N_TEST, abs=stats.norm.isf(SURE / 2) * error)


def check_how_often(splits: Splits, holds: Callable[[Calibration, Tensor], bool], chance: float) -> None:
    """Something of this chance holds in about this share of the splits."""
    n_holds = sum(holds(made, scores) for made, scores in splits)
    low, high = stats.binom(len(splits), chance).ppf([SURE / 2, 1 - SURE / 2])
    assert low <= n_holds <= high


def check_this_detector(splits: Splits) -> None:
    """The second promise: the interval, the bound and the certain threshold, in terms of drawings that are counted."""
    n, k, m = splits[0][0].n, rank(splits[0][0].n, TPR), N_TEST
    accepted = stats.betabinom(m, n + 1 - k, k)

    # a rate that is counted on m drawings scatters around the true one
    low, high = rate_interval(n, k)
    inside = accepted.cdf(np.floor(high * m)) - accepted.cdf(np.ceil(low * m) - 1)
    check_how_often(splits, lambda made, scores: low <= float(made.accepted(scores).double().mean()) <= high, inside)

    at_least = accepted.sf(np.ceil(rate_bound(n, k) * m) - 1)
    check_how_often(
        splits, lambda made, scores: float(made.accepted(scores).double().mean()) >= rate_bound(n, k), at_least
    )

    k = certain_rank(n, TPR)
    accepted = stats.betabinom(m, n + 1 - k, k)

    def keeps(made: Calibration, scores: Tensor) -> bool:
        return int((scores >= certain_threshold(torch.tensor(made.scores), TPR)).sum()) >= TPR * m

    check_how_often(splits, keeps, accepted.sf(np.ceil(TPR * m) - 1))


@pytest.mark.slow
def test_the_promises_hold_over_200_random_splits(drawings: tuple[Tensor, Tensor]):
    splits = random_splits(*drawings, 200)
    assert {made.n for made, _ in splits} == {72}  # a fifth of the 358 drawings that are left
    check_average(splits)
    check_this_detector(splits)


@pytest.mark.slow
def test_images_that_were_learned_from_break_the_promise(drawings: tuple[Tensor, Tensor]):
    """The margins above see it: the same with calibration images among those that the score looks at."""
    cosines, groups = drawings
    broken = []
    for seed in range(20):
        mining, calibration, _ = split(groups, seed, TPR)
        half = mining[one_of_each(groups[mining], seed)]
        test, used = half[::2], calibration

        learned = torch.cat([mining[~torch.isin(groups[mining], groups[test])], used])
        of_used, of_test = (mean_of_nearest(cosines[rows][:, learned]) for rows in (used, test))
        broken.append((calibrate_scores(of_used, groups[used], TPR, "id_train"), of_test[:N_TEST]))
    with pytest.raises(AssertionError):
        check_average(broken)


@pytest.mark.slow
def test_another_vendors_drawings_are_seen_to_be_other_images(drawings: tuple[Tensor, Tensor], cache: Path):
    image, groups = embedded("id_train", cache)
    elsewhere, of_elsewhere = embedded("id_test", cache)
    mining, calibration, _ = split(groups, 0, TPR)
    held_out = mean_of_nearest(image[calibration] @ image[mining].T)

    scores = mean_of_nearest(elsewhere @ image[mining].T)
    made = calibrate_scores(scores, of_elsewhere, TPR, "id_test", held_out=held_out)
    assert made.n == 122
    assert made.remarks[0].startswith("BROKEN: the calibration images score unlike images held out from mining")

    # what the remark warns of: a threshold from the one side does not keep its promise on the other
    rate = calibrate_scores(held_out, groups[calibration], TPR, "id_train").accepted(scores).double().mean()
    assert float(rate) < rate_bound(len(held_out), rank(len(held_out), TPR))
