"""Test martingales: evidence, image after image, that a stream is no longer like the calibration images.

Two steps, both valid after every image, however long the stream is and whenever somebody looks.

1. **From scores to p-values that are independent.** The usual conformal p-values of a stream, all from one calibration
   set, are not: where that set scores high by chance, all of them are small. So each image is ranked among the n
   calibration scores **and the images before it**. The n sorted calibration scores leave n + 1 gaps; k_j images of the
   stream have fallen into gap j so far, m in all. If calibration images and stream are exchangeable, the next score is
   equally likely to stand in any of the n + m + 1 places between those before it, of which 1 + k_j lie in gap j:

       P(gap j | all before) = (1 + k_j) / (n + 1 + m)                                               (Polya's urn)
       p = ( sum_{i<j} (1 + k_i) + v (1 + k_j) ) / (n + 1 + m),      v uniform on (0, 1)

   The p-value of each image is then uniform given all before it, so they are independent and uniform. It is the
   smoothed conformal p-value of the online protocol, except that the place within a gap is drawn and not looked up,
   so that n + 1 numbers are all that has to be kept. Scores that tie with calibration scores are set among them at
   random: every score has a label drawn from (0, 1), and of equal scores the one with the smaller label counts as
   smaller.

2. **From p-values to a martingale.** A bet f with mean 1 on (0, 1) multiplies the wealth: M_t = M_{t-1} f(p_t), and
   while the p-values are uniform it is a martingale that begins at 1. The bets are 1, kappa p^(kappa - 1) for kappa =
   1/2, 3/4 and 9/10, which win where images score low, and 3/4 (1 - p)^(-1/4), which wins where they score high.
   Before each image a share J of the wealth is spread over all bets alike, so that a change late in a stream finds
   some on every bet; and the mean is taken over J = 1e-2, 1e-3, 1e-4, 1e-5.

Ville: P(M_t >= 1 / alpha for any t) <= alpha. So an alarm at 1 / alpha is false, over the whole life of a watch, with
probability alpha at most. The probability is over calibration set, stream and draws together. For the calibration set
at hand the rate is some number that nobody knows, with a mean of alpha at most over calibration sets: it is above c
for a share alpha / c of them at most.

Since the images of the stream become part of what the next are compared with, a change is news only for a while: with
few calibration images, or a small share of new ones, the alarm may never come.

Source: p-values, Vovk, Nouretdinov and Gammerman, Testing exchangeability on-line, ICML 2003, which also has the
power martingale; jumps and the mean over J, Vovk, Petej, Nouretdinov, Ahlberg, Carlsson and Gammerman, Retrain or not
retrain: conformal test martingales for change-point detection, COPA 2021, https://arxiv.org/abs/2102.10439 (the
Simple Jumper); Ville, Etude critique de la notion de collectif, 1939.
Differs: the Simple Jumper bets 1 + eps (p - 1/2); powers see a small share of low scores sooner.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LOW, HIGH = (0.5, 0.75, 0.9), (0.75,)  # powers kappa of the bets
JUMPS = (1e-2, 1e-3, 1e-4, 1e-5)
SMALLEST = 2.0**-53  # p-values keep this distance from 0 and 1, so that no bet is infinite
BLOCK = 256  # images that are compared with one another at once


def draws(seed: int, first: int, n: int) -> Floats:
    """Uniform numbers in (0, 1), shape ``(n, 2)``: a label and a place for images number `first` and following.

    They do not depend on how a stream is cut: each image has its own two of the sequence that the seed begins.

    Example:
        >>> bool((draws(0, 3, 2) == draws(0, 0, 5)[3:]).all())
        True
    """
    generator = np.random.PCG64(seed)
    generator.advance(2 * first)
    return np.random.Generator(generator).random((n, 2)) + SMALLEST / 2


def gaps(scores: Floats, calibration: Floats, score_labels: Floats, calibration_labels: Floats) -> Ints:
    """Which gap of the calibration scores each score falls into: how many of them are smaller.

    Args:
        scores: of images, shape ``(T,)``.
        calibration: ascending, shape ``(n,)``.
        score_labels: one for each score, in (0, 1), drawn before it was looked at; of equal scores the one with the
            smaller label counts as smaller.
        calibration_labels: the same, shape ``(n,)``.

    Returns:
        Shape ``(T,)``, 0 to n.

    Example:
        >>> calibration = np.array([1.0, 2.0, 2.0, 3.0])
        >>> gaps(np.array([0.0, 2.0, 9.0]), calibration, np.full(3, 0.5), np.array([0.1, 0.9, 0.2, 0.3])).tolist()
        [0, 2, 4]
    """
    first = np.searchsorted(calibration, scores, side="left")
    last = np.searchsorted(calibration, scores, side="right")
    tied = np.flatnonzero(first < last)

    smaller = [np.sum(calibration_labels[first[i] : last[i]] < score_labels[i]) for i in tied]
    smaller_scores: Ints = first.astype(np.int64)
    smaller_scores[tied] += np.array(smaller, dtype=np.int64)
    return smaller_scores


def p_values_in_turn(of_gaps: Ints, counts: Ints, places: Floats) -> tuple[Floats, Ints]:
    """A p-value for each image, ranked among the calibration scores and the images before it.

    Args:
        of_gaps: gap of each image, in the order of the stream, shape ``(T,)``.
        counts: images before these, by gap, shape ``(n + 1,)``.
        places: drawn from (0, 1), shape ``(T,)``.

    Returns:
        p-values, independent and uniform if stream and calibration images are exchangeable, shape ``(T,)``; and the
        counts after these images.

    Example:
        >>> p, counts = p_values_in_turn(np.array([0, 0, 2]), np.array([0, 0, 0]), np.array([0.5, 0.5, 0.5]))
        >>> [round(float(one), 4) for one in p], counts.tolist()  # 0.5 / 3, 0.5 * 2 / 4, (3 + 1 + 0.5) / 5
        ([0.1667, 0.25, 0.9], [2, 0, 1])
    """
    counts, p_values = counts.copy(), [np.empty(0)]
    for start in range(0, len(of_gaps), BLOCK):
        block = of_gaps[start : start + BLOCK]
        n_places = 1 + counts
        below = np.cumsum(n_places) - n_places  # (n + 1,)

        # the images of the block before each one, in lower gaps and in its own
        earlier = np.tri(len(block), k=-1, dtype=bool)
        lower = below[block] + np.sum((block[None, :] < block[:, None]) & earlier, axis=1)
        equal = n_places[block] + np.sum((block[None, :] == block[:, None]) & earlier, axis=1)
        total = n_places.sum() + np.arange(len(block))

        p_values.append((lower + places[start : start + BLOCK] * equal) / total)
        counts = counts + np.bincount(block, minlength=len(counts))
    return np.clip(np.concatenate(p_values), SMALLEST, 1 - SMALLEST), counts


def bets(p_values: Floats) -> Floats:
    """What each bet multiplies its wealth by, shape ``(..., K)`` of p-values ``(...)``; the mean over (0, 1) is 1.

    Example:
        >>> bets(np.array(0.25)).round(3).tolist()
        [1.0, 1.0, 1.061, 1.034, 0.806]
    """
    low = [kappa * p_values ** (kappa - 1) for kappa in LOW]
    high = [kappa * (1 - p_values) ** (kappa - 1) for kappa in HIGH]
    return np.stack([np.ones_like(p_values), *low, *high], axis=-1)


class Wealth(NamedTuple):
    """What a martingale holds after some images; the same for several streams at once, by leading dimensions.

    Attributes:
        log: natural logarithm of the wealth for each J, shape ``(..., len(JUMPS))``.
        shares: of it on each bet, summing to 1, shape ``(..., len(JUMPS), K)``.
    """

    log: Floats
    shares: Floats

    @classmethod
    def at_first(cls, *streams: int) -> Self:
        """Wealth 1, spread over all bets alike."""
        n_bets = 1 + len(LOW) + len(HIGH)
        return cls(np.zeros((*streams, len(JUMPS))), np.full((*streams, len(JUMPS), n_bets), 1 / n_bets))

    @property
    def log_mean(self) -> Floats:
        """Logarithm of the martingale, the mean over J, shape ``(...)``."""
        return np.asarray(np.logaddexp.reduce(self.log, axis=-1) - np.log(len(JUMPS)), dtype=np.float64)


def bet_in_turn(wealth: Wealth, p_values: Floats) -> tuple[Floats, Wealth]:
    """Bet on one p-value after the other.

    Args:
        wealth: before them, of streams ``(...)``.
        p_values: shape ``(..., T)``.

    Returns:
        Natural logarithm of the martingale after each image, shape ``(..., T)``; and the wealth after the last.

    Example:
        >>> logs, wealth = bet_in_turn(Wealth.at_first(), np.array([0.001, 0.002, 0.001]))
        >>> np.exp(logs).round(1).tolist()
        [4.7, 39.2, 570.9]
    """
    jumps = np.array(JUMPS)[:, None]
    factors = bets(p_values)  # (..., T, K)
    log, shares = wealth
    logs = np.empty(p_values.shape)

    for t in range(p_values.shape[-1]):
        stakes = ((1 - jumps) * shares + jumps / shares.shape[-1]) * factors[..., t, None, :]
        gain = stakes.sum(axis=-1)  # (..., len(JUMPS))
        log, shares = log + np.log(gain), stakes / gain[..., None]
        logs[..., t] = Wealth(log, shares).log_mean
    return logs, Wealth(log, shares)
