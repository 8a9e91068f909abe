"""Draws the pictures of docs/concepts.md and docs/fpr95.md; the package's own functions compute every number in them.

    python scripts/draw_concepts.py     # writes docs/pictures/{masses,votes,calibration,fpr95}.svg anew

The same release of matplotlib gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

import torch

from ood_lightning.functional.conformal import p_values, rank, threshold
from ood_lightning.functional.roc import fpr_id_at_ood_tpr, fpr_ood_at_id_tpr
from ood_lightning.functional.shares import shares
from ood_lightning.functional.votes import elect
from ood_lightning.report.plots import COLOURS, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
ID, OOD, DARK = COLOURS[0], COLOURS[1], "#333333"

SCALE = 100.0  # CLIP's
COSINES = {  # of one picture with its words: the side of the ID set, and all other words
    "positives": {"bear": 0.292, "wolf": 0.281, "cat": 0.251},
    "negatives": {"teddy": 0.281, "fur": 0.274, "forest": 0.262, "sofa": 0.246},
}

# tiny sets, whose FPR95s one can count by hand: 20 scores each, so that 95 % are 19 of them
ID_SCORES = (1.0, 3.6, 4.0, 4.3, 4.6, 4.9, 5.1, 5.3, 5.5, 5.7, 5.9, 6.1, 6.3, 6.5, 6.7, 7.0, 7.3, 7.6, 8.0, 8.5)
OOD_SCORES = (0.2, 0.5, 0.8, 1.1, 1.3, 1.5, 1.7, 1.9, 2.1, 2.3, 2.5, 2.7, 2.9, 3.1, 3.3, 3.8, 4.2, 5.0, 6.2, 6.6)

CALIBRATION = tuple(round(NormalDist(3, 3).inv_cdf((i + 0.5) / 39), 2) for i in range(39))
NEW = (-4.6, 1.0)  # two new pictures


def masses(figure: Figure) -> None:
    """Equation 1: what each word adds to the mass of its side, and the score of both."""
    axes = figure.subplots()
    sides = {side: torch.tensor([list(words.values())]).double() for side, words in COSINES.items()}
    of_sides = shares(SCALE * sides["positives"], SCALE * sides["negatives"])
    score = (SCALE * sides["positives"]).logsumexp(1) - (SCALE * sides["negatives"]).logsumexp(1)

    for row, (side, part, colour) in enumerate(zip(COSINES, of_sides, (ID, OOD), strict=True)):
        left = 0.0
        for (word, cosine), share in zip(COSINES[side].items(), part[0].tolist(), strict=True):
            axes.barh(1 - row, share, left=left, color=colour, edgecolor="white", height=0.5)
            if share > 0.06:
                text = f"{word}\n{cosine:.3f}\n{share:.1%}"
                axes.text(left + share / 2, 1 - row, text, ha="center", va="center", color="white", fontsize=8)
            left += share
        axes.text(left + 0.01, 1 - row, f"{side}: {left:.1%}", va="center", color=colour, weight="bold")

    axes.set(
        xlim=(0, 1),
        ylim=(-0.6, 1.6),
        yticks=[],
        xlabel="share of the sum of exp(100 cosine) over all words",
    )
    axes.set_title(f"score = log(mass of the positives / mass of the negatives) = {float(score):.2f} nats")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)


VOTES = (  # nearest word of each image, by cluster; each word is one of WORDS
    ("bear", "bear", "bear", "bear", "wolf", "teddy"),
    ("cat", "cat", "cat", "lynx"),
    ("bear", "bear", "grizzly", "grizzly", "bear", "panda", "panda"),
)
WORDS = ("bear", "wolf", "teddy", "cat", "lynx", "grizzly", "panda")


def votes(figure: Figure) -> None:
    """Three clusters, the nearest word of each of their images, and what they elect."""
    top1 = torch.tensor([WORDS.index(word) for cluster in VOTES for word in cluster])
    assignments = torch.tensor([number for number, cluster in enumerate(VOTES) for _ in cluster])
    election = elect(assignments, top1, torch.full(top1.shape, 0.25))

    for cluster, axes in enumerate(figure.subplots(1, len(VOTES), sharey=True, width_ratios=[3, 2, 3])):
        words = sorted(set(VOTES[cluster]), key=lambda word: (-VOTES[cluster].count(word), word))
        winner = WORDS[int(election.winner[cluster])]
        colours = [ID if word == winner else "#bbbbbb" for word in words]
        axes.bar(words, [VOTES[cluster].count(word) for word in words], color=colours, width=0.6)
        share = f"{int(election.votes[cluster])} of {int(election.size[cluster])} votes"
        axes.set_title(f"cluster {cluster + 1} elects '{winner}'\n{share}", fontsize=10)

    figure.axes[0].set_ylabel("images whose nearest word it is")
    positives = sorted({WORDS[int(winner)] for winner in election.winner})
    figure.supxlabel(f"positives: {', '.join(positives)}; all other words are negatives", fontsize=10)


def calibration(figure: Figure) -> None:
    """Held-out scores, the threshold among them, and the p-values of two new pictures."""
    axes = figure.subplots()
    scores = torch.tensor(CALIBRATION)
    cut, k = threshold(scores, 0.95), rank(len(scores), 0.95)

    axes.plot(CALIBRATION, [0.0] * len(CALIBRATION), "|", color=ID, markersize=26, markeredgewidth=1.5)
    axes.text(3, 0.32, f"{len(scores)} held-out ID pictures", color=ID, ha="center")
    axes.axvline(cut, color=DARK, linestyle="--")
    axes.text(cut + 0.25, 0.78, f"threshold for 95 %: the {_nth(k)} lowest,\nsince 0.05 x ({len(scores)} + 1) = {k}")
    axes.axvspan(-7, cut, color=OOD, alpha=0.1, linewidth=0)
    axes.text(cut - 0.25, 0.9, "rejected", ha="right", color=COLOURS[7])

    of_new = p_values(torch.tensor(NEW), scores).tolist()
    for new, p, height in zip(NEW, of_new, (-0.8, -0.45), strict=True):
        not_above = sum(score <= new for score in CALIBRATION)
        axes.plot([new], [height], "o", color=OOD if p <= 0.05 else COLOURS[2], markersize=9)
        text = f"new picture, {not_above} not above it: p = (1 + {not_above}) / ({len(scores)} + 1) = {p:.3f}"
        label = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axes.text(new + 0.25, height, text, va="center", color=DARK, fontsize=9, bbox=label)

    axes.set(xlim=(-7, 11), ylim=(-1, 1.15), yticks=[], xlabel="score, higher = more in-distribution")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)


def _nth(k: int) -> str:
    return {1: "very", 2: "second", 3: "third"}.get(k, f"{k}th")


def _rate(axes: Axes, title: str, cut: float, shaded: tuple[float, float]) -> None:
    """Both sets as dots, a threshold, and the side of it where a rate is counted."""
    for height, (name, scores, colour) in enumerate((("OOD", OOD_SCORES, OOD), ("ID", ID_SCORES, ID))):
        axes.plot(scores, [height] * len(scores), "o", color=colour, markersize=7, markeredgecolor="white")
        axes.text(-0.7, height, name, color=colour, weight="bold", va="center", ha="right")

    axes.axvline(cut, color=DARK, linestyle="--")
    axes.axvspan(*shaded, color="#dddddd", alpha=0.6, linewidth=0)
    axes.set(xlim=(-0.5, 9), ylim=(-0.6, 1.6), yticks=[])
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)


def fpr95(figure: Figure) -> None:
    """The two FPR95s of one pair of sets, each with its own threshold."""
    ids, oods = torch.tensor(ID_SCORES), torch.tensor(OOD_SCORES)
    upper, lower = figure.subplots(2, 1, sharex=True)

    keeps_id = sorted(ID_SCORES)[len(ID_SCORES) - 19]  # 19 of the 20 ID scores are not below it
    accepted = sum(score >= keeps_id for score in OOD_SCORES)
    rate = float(fpr_ood_at_id_tpr(ids, oods))
    title = f"fpr_ood@id_tpr95: 19 of 20 ID are kept, {accepted} of 20 OOD are accepted with them = {rate:.0%}"
    _rate(upper, title, keeps_id, (keeps_id, 9))

    catches_ood = sorted(OOD_SCORES)[18]  # 19 of the 20 OOD scores are not above it
    rejected = sum(score <= catches_ood for score in ID_SCORES)
    rate = float(fpr_id_at_ood_tpr(ids, oods))
    title = f"fpr_id@ood_tpr95: 19 of 20 OOD are caught, {rejected} of 20 ID are rejected with them = {rate:.0%}"
    _rate(lower, title, catches_ood, (-0.5, catches_ood))
    lower.set_xlabel("score, higher = more in-distribution")


DRAWINGS: dict[str, tuple[Callable[[Figure], None], tuple[float, float]]] = {
    "masses": (masses, (8.5, 2.6)),
    "votes": (votes, (8.5, 3.0)),
    "calibration": (calibration, (8.5, 2.8)),
    "fpr95": (fpr95, (8.5, 3.8)),
}


def drawn(name: str) -> bytes:
    """A picture as SVG."""
    import matplotlib
    from matplotlib.figure import Figure

    draw, size = DRAWINGS[name]
    with matplotlib.rc_context({**STYLE, "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        data = BytesIO()
        figure.savefig(data, format="svg", metadata={"Date": None, "Creator": None})
    return data.getvalue()


def main() -> None:
    """Write all of them."""
    for name in DRAWINGS:
        (PICTURES / f"{name}.svg").write_bytes(drawn(name))


if __name__ == "__main__":
    main()
