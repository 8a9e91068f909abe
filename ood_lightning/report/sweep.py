"""Finished fits of one sweep over the number of clusters, side by side. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.quality import FILE, read_quality
from ood_lightning.errors import SettingsError, SourceError
from ood_lightning.functional.elbow import Elbow
from ood_lightning.report.labels import console, flat, table
from ood_lightning.report.plots import Panel, curves

MEASURES = {  # of quality.json's clusters: heading of the table, title of the panel
    "label_ratio": ("|P| / C", "labels per cluster, |P| / C"),
    "redundancy": ("redundancy %", "labels of two or more clusters (% of |P|)"),
    "purity": ("purity", "purity (mean over clusters)"),
    "entropy": ("entropy", "entropy (nats, mean over clusters)"),
}
DECISIVE = ("id_set", "encoder", "corpus", "prompts")  # where these differ, curves over C mean nothing
C = "temi.n_clusters"


@dataclass(frozen=True)
class Fit:
    """What a finished fit measured of its clusters.

    Args:
        source: its folder.
        measures: `clusters` of its quality.json.
        recipe: of its labels.json, by dotted keys.
    """

    source: str
    measures: dict[str, float]
    recipe: dict[str, str]

    @property
    def asked(self) -> int:
        """C, the empty clusters included."""
        return int(self.measures["asked"])


def read_fits(runs: Sequence[str]) -> list[Fit]:
    """The fits by ascending C.

    Raises:
        SourceError: a folder holds no finished fit.
        SettingsError: two fits have one C, or differ in what voted.
    """
    found = []
    for run in runs:
        folder = Path(run).parent if Path(run).is_file() else Path(run)
        measures, labels = read_quality(folder), LabelSet.read(folder / "labels.json")
        wanted = {"asked", "in_use", "positives", *MEASURES}
        lacking = wanted - measures["clusters"].keys()
        if lacking:
            raise SourceError(f"{folder / FILE} lacks {', '.join(sorted(lacking))}: fit again")
        if labels.edited or labels.sha256 != measures["label_sets"].get("labels", {}).get("sha256"):
            raise SourceError(f"{folder}: labels.json is not the set that {FILE} was measured on: fit again")
        found.append(Fit(run, measures["clusters"], flat(labels.recipe)))
    found.sort(key=lambda fit: fit.asked)
    for a, b in pairwise(found):
        if a.asked == b.asked:
            raise SettingsError(f"{a.source} and {b.source} both have {a.asked} clusters: give one fit for each C")
        other = [key for key in differing([a, b]) if key.split(".")[0] in DECISIVE]
        if other:
            values = " and ".join(str(fit.recipe.get(other[0])) for fit in (a, b))
            raise SettingsError(
                f"{a.source} and {b.source} differ in {other[0]} ({values}): a curve over C needs one ID set, encoder, "
                f"corpus and prompt set"
            )
    return found


def differing(fits: Sequence[Fit]) -> list[str]:
    """Keys of the recipes, other than C, that are not the same in all fits."""
    keys = dict.fromkeys(key for fit in fits for key in fit.recipe if key != C)
    return [key for key in keys if len({fit.recipe.get(key) for fit in fits}) > 1]


def print_sweep(fits: Sequence[Fit], found: Elbow) -> None:
    """The curves as a table, the elbow's row marked."""
    out = console()
    heads = ["C", "in use", "|P|", *(heading for heading, _ in MEASURES.values()), "below chord", "elbow"]
    rows = [
        [
            *(f"{int(fit.measures[key]):,}" for key in ("asked", "in_use", "positives")),
            *(f"{fit.measures[key]:.1f}" if key == "redundancy" else f"{fit.measures[key]:.3f}" for key in MEASURES),
            f"{found.distances[i]:+.3f}",
            "<--" if i == found.at else "",
        ]
        for i, fit in enumerate(fits)
    ]
    out.print(table("", heads, rows))
    chosen = fits[found.at].asked
    out.print(f"elbow of |P| / C: C = {chosen}, the point farthest from the chord, both axes scaled to [0, 1]")
    if found.distances[found.at] < 0:
        out.print("note: it lies above the chord, so the curve does not saturate: try a wider range of C")
    other = differing(fits)
    if other:
        out.print(f"note: the fits differ in more than C: {', '.join(other)}")


def drawn(fits: Sequence[Fit], found: Elbow) -> str:
    """The four measures over C as SVG, the elbow ringed."""
    x = [float(fit.asked) for fit in fits]
    panels = [Panel(title, x, [fit.measures[key] for fit in fits], found.at) for key, (_, title) in MEASURES.items()]
    return curves(panels, "clusters asked for, C")
