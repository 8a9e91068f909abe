"""Otsu's threshold by trying every candidate."""

from collections.abc import Sequence


def threshold_by_search(scores: Sequence[float]) -> float:
    """Of 0.00, 0.01, ..., 0.99 the one with the smallest sum of squares within the parts; of equals the middle one."""

    def spread(part: list[float]) -> float:
        if not part:
            return 0.0
        mean = sum(part) / len(part)
        return sum((s - mean) ** 2 for s in part)

    candidates = [i / 100 for i in range(100)]
    within = [spread([s for s in scores if s > t]) + spread([s for s in scores if s <= t]) for t in candidates]
    best = [t for t, w in zip(candidates, within, strict=True) if w <= min(within) + 1e-12]
    return best[len(best) // 2]
