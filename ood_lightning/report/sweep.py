"""Finished fits of one sweep over the number of clusters, side by side. Needs no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from ood_lightning.data.artifacts.label_set import LabelSet
from ood_lightning.data.artifacts.quality import FILE, read_quality
from ood_lightning.errors import SettingsError, SourceError
from ood_lightning.functional.elbow import Elbow
from ood_lightning.places import expanded
from ood_lightning.report.console import console, table
from ood_lightning.report.labels import flat
from ood_lightning.report.plots import draw_curve, svg

COUNTS = {"asked": "C", "in_use": "in use", "positives": "|P|"}  # of quality.json's clusters: heading of the table
MEASURES = {  # of the same: heading of the table, title of the panel
    "label_ratio": ("|P| / C", "labels per cluster, |P| / C"),
    "redundancy": ("redundancy %", "labels of two or more clusters (% of |P|)"),
    "purity": ("purity", "purity (mean over clusters)"),
    "entropy": ("entropy", "entropy (nats, mean over clusters)"),
}
DECISIVE = ("id_set", "encoder", "corpus", "prompts")  # where these differ, curves over C mean nothing
C = ("temi.n_clusters", "kmeans.n_clusters")


@dataclass(frozen=True)
class Fit:
    """What a finished fit measured of its clusters.

    Args:
        source: its folder.
        n_clusters: C, the empty clusters included.
        measures: `clusters` of its quality.json.
        recipe: of its labels.json, by dotted keys.
    """

    source: str
    n_clusters: int
    measures: dict[str, float]
    recipe: dict[str, str]


def read_fits(runs: Sequence[str]) -> list[Fit]:
    """The fits by ascending C.

    Raises:
        SourceError: a folder holds no finished fit.
        SettingsError: two fits have one C, or differ in what voted.
    """
    fits = sorted((_read_fit(run) for run in runs), key=lambda fit: fit.n_clusters)

    for a, b in pairwise(fits):
        if a.n_clusters == b.n_clusters:
            raise SettingsError(f"{a.source} and {b.source} both have {a.n_clusters} clusters: give one fit for each C")
        for key in differing([a, b]):
            if key.split(".")[0] in DECISIVE:
                raise SettingsError(
                    f"{a.source} and {b.source} differ in {key} ({a.recipe.get(key)} and {b.recipe.get(key)}): a curve "
                    f"over C needs one ID set, encoder, corpus and prompt set"
                )

    return fits


def _read_fit(run: str) -> Fit:
    path = expanded(run)
    folder = path.parent if path.is_file() else path
    quality = read_quality(folder)
    labels = LabelSet.read(folder / "labels.json")

    if missing := {*COUNTS, *MEASURES} - quality["clusters"].keys():
        raise SourceError(f"{folder / FILE} lacks {', '.join(sorted(missing))}: fit again")
    if labels.edited or labels.sha256 != quality["label_sets"].get("labels", {}).get("sha256"):
        raise SourceError(f"{folder}: labels.json is not the set that {FILE} was measured on: fit again")
    return Fit(run, int(quality["clusters"]["asked"]), quality["clusters"], flat(labels.recipe))


def differing(fits: Sequence[Fit]) -> list[str]:
    """Keys of the recipes, other than C, that are not the same in all fits."""
    keys = dict.fromkeys(key for fit in fits for key in fit.recipe if key not in C)
    return [key for key in keys if len({fit.recipe.get(key) for fit in fits}) > 1]


def print_sweep(fits: Sequence[Fit], elbow: Elbow) -> None:
    """The curves as a table, the elbow's row marked."""
    headings = [*COUNTS.values(), *(heading for heading, _ in MEASURES.values()), "below chord", "elbow"]
    rows = []
    for i, fit in enumerate(fits):
        counts = [f"{int(fit.measures[key]):,}" for key in COUNTS]
        measures = [f"{fit.measures[key]:.{1 if key == 'redundancy' else 3}f}" for key in MEASURES]
        rows.append([*counts, *measures, f"{elbow.distances[i]:+.3f}", "<--" if i == elbow.at else ""])

    out = console()
    out.print(table("", headings, rows))
    out.print(
        f"elbow of |P| / C: C = {fits[elbow.at].n_clusters}, the point farthest from the chord, both axes scaled to "
        f"[0, 1]"
    )
    if elbow.distances[elbow.at] < 0:
        out.print("note: it lies above the chord, so the curve does not saturate: try a wider range of C")
    if other := differing(fits):
        out.print(f"note: the fits differ in more than C: {', '.join(other)}")


def drawn(fits: Sequence[Fit], elbow: Elbow) -> str:
    """The four measures over C as SVG, the elbow ringed."""
    curves = [
        partial(
            draw_curve,
            title=title,
            x_label="clusters asked for, C",
            x=[fit.n_clusters for fit in fits],
            y=[fit.measures[key] for fit in fits],
            marked=elbow.at,
        )
        for key, (_, title) in MEASURES.items()
    ]
    return svg(curves, columns=2, width=4.4)
