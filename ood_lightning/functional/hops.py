"""Fewest steps from a set of nodes to every other node of a graph. Needs no torch.

Source: ClusterMine, https://arxiv.org/abs/2511.07068, Figure 5 (hops in WordNet from a mined word to a true name).
"""

from collections.abc import Iterable, Sequence


def hops(links: Sequence[Iterable[int]], sources: Iterable[int]) -> list[int | None]:
    """Steps from each node to the nearest source, by breadth-first search from all sources at once.

    Args:
        links: neighbours of each node; a link between two nodes is listed at both of them.
        sources: nodes at 0 steps.

    Returns:
        Steps of each node; None where no path leads to a source.

    Example:
        >>> hops([[1], [0, 2], [1], []], [0])
        [0, 1, 2, None]
    """
    steps_to: list[int | None] = [None] * len(links)
    frontier = set(sources)
    steps = 0
    while frontier:
        for node in frontier:
            steps_to[node] = steps

        steps += 1
        frontier = {neighbour for node in frontier for neighbour in links[node] if steps_to[neighbour] is None}
    return steps_to
