"""What is wrong with the pictures of one set, before a detector is made of them. Needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from ood_lightning.data.check.content import Problem, content
from ood_lightning.data.check.exact_duplicates import duplicates, key_at
from ood_lightning.data.shards.manifest import Manifest


@dataclass(frozen=True)
class PictureCheck:
    """What a set of pictures holds.

    Args:
        n_pictures: that were found, the unreadable ones among them.
        unreadable: those that cannot be decoded; `where` is `shard key`.
        problems: what else is wrong, such as a damaged shard or a file that was changed meanwhile.
        copies: groups of pictures with the same bytes, as `shard key`, the first of a group in the set's order first.
        passed_over: other files of a folder, counted by ending.
    """

    n_pictures: int
    unreadable: tuple[Problem, ...]
    problems: tuple[Problem, ...]
    copies: tuple[tuple[str, ...], ...]
    passed_over: Mapping[str, int]

    @property
    def n_readable(self) -> int:
        """Pictures that can be decoded."""
        return self.n_pictures - len(self.unreadable)

    @property
    def n_different(self) -> int:
        """Pictures that differ in their bytes, whether they can be decoded or not."""
        return self.n_pictures - sum(len(group) - 1 for group in self.copies)


def check_pictures(manifest: Manifest, workers: int) -> PictureCheck:
    """Read and decode every picture of a set once.

    Near-duplicates take features: :func:`ood_lightning.data.check.near_duplicates.duplicate_groups`, to which `copies`
    are handed.

    Args:
        manifest: of tars or of a folder of pictures.
        workers: processes.
    """
    (of_set,) = content([(manifest, manifest.role)], workers)
    problems = [*of_set.problems, *(problem for shard in of_set.shards for problem in shard.problems)]

    groups = duplicates([of_set])
    keys = key_at([of_set], [image for group in groups for image in group])
    return PictureCheck(
        n_pictures=of_set.n_samples,
        unreadable=tuple(problem for problem in problems if problem.kind == "picture"),
        problems=tuple(problem for problem in problems if problem.kind != "picture"),
        copies=tuple(tuple(keys[image] for image in group) for group in groups),
        passed_over=manifest.passed_over,
    )
