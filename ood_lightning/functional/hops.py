"""Fewest steps from a set of nodes to every other node of a graph. Needs no torch.

Source: ClusterMine, https://arxiv.org/abs/2511.07068, Figure 5 (hops in WordNet from a mined word to a true name).
"""

from collections.abc import Iterable, Sequence


def hops(links: Sequence[Iterable[int]], sources: Iterable[int]) -> list[int | None]:
    """Steps to the nearest source, by breadth-first search from all sources at once.

    Args:
        links: neighbours of each node; a link leads both ways, so it stands at both of its ends.
        sources: nodes at 0 steps.

    Returns:
        Steps of each node; None where no path leads to a source.

    Example:
        >>> hops([[1], [0, 2], [1], []], [0])
        [0, 1, 2, None]
    """
    found: list[int | None] = [None] * len(links)
    edge, steps = set(sources), 0
    while edge:
        for node in edge:
            found[node] = steps
        steps += 1
        edge = {near for node in edge for near in links[node] if found[near] is None}
    return found
