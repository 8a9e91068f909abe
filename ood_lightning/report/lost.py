"""Images of a run that cannot be decoded and were left out, as lines that people read."""

from collections.abc import Mapping, Sequence

FEW = 5  # of a set on the terminal


def lost_pictures(bad: Mapping[str, Sequence[str]], max_images: int | None = None) -> list[str]:
    """A line with the count of each set, then one for each of its images.

    Args:
        bad: `shard key: reason` by set, as `results.json` has them.
        max_images: how many images of a set are listed; all if None.
    """
    lines = []
    for name, reasons in bad.items():
        listed = reasons[:max_images]
        lines.append(f"{name}: {len(reasons):,} pictures cannot be decoded and are left out")
        lines += [f"- {plain(reason)}" for reason in listed]
        if len(listed) < len(reasons):
            lines.append(f"- and {len(reasons) - len(listed):,} more")
    return lines


def plain(text: str) -> str:
    """Text with its line breaks and control characters spelt out: a key is whatever somebody called a file."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
