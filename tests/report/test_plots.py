"""`labels elbow` and `labels plot`: tables and SVG from finished fits."""

import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet, Positive
from ood_lightning.data.artifacts.quality import write_quality
from ood_lightning.report.plots import COLOURS, Histogram, draw_curve, svg

SVG = "{http://www.w3.org/2000/svg}"
CURVE = {500: 0.98, 1000: 0.95, 2000: 0.55, 4000: 0.4, 8000: 0.3}
Fit = Callable[..., Path]


@pytest.fixture
def fit() -> Fit:
    def make(
        c: int,
        ratio: float,
        folder: str = "",
        bins: list[int] | None = None,
        hops: list[int] | None = None,
        **recipe: Any,
    ) -> Path:
        """A finished fit of `c` clusters: its label set, and the measures that belong to it."""
        path = Path(folder or f"c{c}")
        recipe = {"corpus": {"sha256": "aa"}, "temi": {"n_clusters": c}, "method": "ClusterMine", **recipe}
        labels = LabelSet((Positive("oak"),), None, recipe)
        labels.write(path / "labels.json")

        measured = {"asked": c, "in_use": c - 1, "positives": round(ratio * c), "label_ratio": ratio}
        measured |= {"redundancy": 100 * (1 - ratio), "purity": 0.5 + c / 20_000, "entropy": 500 / c}

        label_set: dict[str, Any] = {"method": "ClusterMine", "sha256": labels.sha256, "positives": 1}
        if bins:
            label_set["similarity"] = {"mean": 0.75, "bins": bins}
        if hops is not None:
            mean = sum(i * n for i, n in enumerate(hops)) / sum(hops) if hops else None
            label_set["hops"] = {"names_in_wordnet": 1, "mean": mean, "bins": hops, "unreachable": 2}

        write_quality(path / "quality.json", {"clusters": measured, "truth": None, "label_sets": {"labels": label_set}})
        return path

    return make


def texts_of(picture: str) -> list[str]:
    """What stands in a picture, as text that can be searched and copied."""
    return [(e.text or "").strip() for e in ElementTree.fromstring(picture).iter(SVG + "text")]


def drawn(draw: Callable[[Axes], None]) -> Axes:
    axes = Figure().subplots()
    draw(axes)
    return axes


def steps(part: Histogram) -> list[Any]:
    """Heights and edges of every outline."""
    return [patch.get_data() for patch in drawn(part.draw).patches if isinstance(patch, StepPatch)]


@pytest.mark.slow
def test_the_elbow_is_printed_and_drawn(fit: Fit, capsys: pytest.CaptureFixture[str]):
    folders = [str(fit(c, ratio)) for c, ratio in CURVE.items()]
    assert main(["labels", "elbow", *reversed(folders), "--out", "elbow.svg"]) == 0
    printed = capsys.readouterr().out
    assert "elbow of |P| / C: C = 2000," in printed
    (marked,) = [line.split() for line in printed.splitlines() if "<--" in line]
    assert marked[:7] == ["2,000", "1,999", "1,100", "0.550", "45.0", "0.600", "0.250"]
    assert "differ in more" not in printed

    picture = Path("elbow.svg").read_text()
    texts = texts_of(picture)
    for title in ("labels per cluster, |P| / C", "purity (mean over clusters)", "entropy (nats, mean over clusters)"):
        assert title in texts
    assert texts.count("clusters asked for, C") == 4
    assert picture.count(f"fill-opacity: 0; stroke: {COLOURS[1]}") == 4  # a ring in each

    assert main(["labels", "elbow", *folders, "--out", "again.svg"]) == 0
    assert Path("again.svg").read_text() == picture


def test_a_curve_that_bends_up_and_other_settings_are_noted(fit: Fit, capsys: pytest.CaptureFixture[str]):
    ratios = [0.99, 0.98, 0.96, 0.9, 0.3]
    folders = [str(fit(c, ratio, seed=c)) for c, ratio in zip(CURVE, ratios, strict=True)]
    assert main(["labels", "elbow", *folders]) == 0
    printed = capsys.readouterr().out
    assert "C = 4000" in printed
    assert "above the chord" in printed
    assert "differ in more than C: seed" in printed


def test_runs_without_an_elbow_are_refused_in_words(fit: Fit, capsys: pytest.CaptureFixture[str]):
    folders = {c: str(fit(c, ratio)) for c, ratio in CURVE.items()}
    again, other = str(fit(500, 0.5, "again")), str(fit(9000, 0.2, "other", corpus={"sha256": "bb"}))
    straight = [str(fit(c, 1 - c / 10_000, f"s{c}")) for c in range(1000, 6000, 1000)]
    edited = fit(600, 0.9)
    (edited / "labels.json").write_text((edited / "labels.json").read_text().replace("oak", "elm"))

    for argv, words in (
        (list(folders.values())[:4], "at least 5 points are needed"),
        ([*folders.values(), again], "c500 and again both have 500 clusters"),
        ([*folders.values(), other], "c8000 and other differ in corpus.sha256 (aa and bb)"),
        (straight, "all points lie on one line"),
        ([*folders.values(), "none"], "there is no none"),
        ([*folders.values(), str(edited)], "labels.json is not the set that quality.json was measured on"),
        ([*folders.values(), "--out", "x.png"], "expected a name ending in .svg"),
    ):
        assert main(["labels", "elbow", *argv]) == 2
        assert words in capsys.readouterr().err


def test_similarities_are_drawn_as_outlines_that_sum_to_one(fit: Fit, capsys: pytest.CaptureFixture[str]):
    bins = [0] * 100
    bins[75], bins[99] = 1, 3
    a, b = fit(500, 0.9, bins=bins), fit(1000, 0.8, bins=[0] * 90 + [1] * 10)
    assert main(["labels", "plot", str(a), str(b), "--out", "out/similarity.svg"]) == 0
    picture = Path("out/similarity.svg").read_text()
    texts = texts_of(picture)
    assert "c500: ClusterMine, 1 words, mean 0.750" in texts
    assert "0.8" in texts
    assert main(["labels", "plot", str(fit(2000, 0.5)), "--out", "x.svg"]) == 2
    assert "was fitted without true names" in capsys.readouterr().err


def test_hops_are_drawn_beside_where_they_were_measured(fit: Fit, capsys: pytest.CaptureFixture[str]):
    a, b, c = fit(500, 0.9, bins=[1, 1], hops=[1, 0, 3]), fit(1000, 0.8, bins=[1, 1], hops=[]), fit(2000, 0.8, bins=[2])
    assert main(["labels", "plot", str(a), str(b), str(c), "--out", "both.svg"]) == 0
    assert capsys.readouterr().out == "3 label sets: both.svg\n"
    both = Path("both.svg").read_text()
    texts = texts_of(both)
    assert "c500: ClusterMine, 4 nouns, mean 1.50" in texts
    assert "hops to the nearest true name" in texts
    assert len([text for text in texts if "nouns" in text]) == 1

    wide, narrow = (float(ElementTree.fromstring(text).get("width", "")[:-2]) for text in (both, alone(b, c)))  # pt
    assert wide == 2 * narrow
    assert "no hops, since quality.json has none or no name is a noun of WordNet" in capsys.readouterr().out


def alone(*folders: Path) -> str:
    assert main(["labels", "plot", *map(str, folders), "--out", "one.svg"]) == 0
    return Path("one.svg").read_text()


def test_a_curve_has_its_points_and_rings_one_of_them():
    axes = drawn(partial(draw_curve, title="t", x_label="x", x=[10, 15, 20], y=[1.0, 3.0, 2.0], marked=1))
    curve, ring = axes.lines
    assert curve.get_xydata().tolist() == [[10, 1], [15, 3], [20, 2]]
    assert ring.get_xydata()[ring.get_markevery()].tolist() == [[15, 3]]
    assert (ring.get_linestyle(), ring.get_fillstyle()) == ("None", "none")
    assert (axes.get_title(), axes.get_xlabel()) == ("t", "x")


def test_bins_of_a_histogram_lie_at_their_cosines_and_heights_are_shares():
    a, b = steps(Histogram("t", "x", {"a": [1, 0, 0, 3], "b": [0, 1, 1, 0]}))
    assert a.values == pytest.approx([0.25, 0, 0, 0.75])
    assert a.edges == pytest.approx([-1, -0.5, 0, 0.5, 1])
    assert b.values == pytest.approx([0.5, 0.5])
    assert b.edges == pytest.approx([-0.5, 0, 0.5])
    (right,) = steps(Histogram("t", "x", {"a": [0, 0, 1, 3]}))
    assert right.edges == pytest.approx([0, 0.5, 1])  # only where there is something
    assert drawn(Histogram("t", "x", {"a": [5, 4]}).draw).get_ylim()[0] == 0


def test_dots_of_a_histogram_lie_at_whole_numbers():
    axes = drawn(Histogram("t", "x", {"a": [1, 0, 3], "b": [0, 2]}, whole=True).draw)
    assert [line.get_xydata().tolist() for line in axes.lines] == [[[0, 0.25], [1, 0], [2, 0.75]], [[0, 0], [1, 1]]]
    assert [line.get_color() for line in axes.lines] == list(COLOURS[:2])
    assert [text.get_text().strip() for text in axes.get_legend().get_texts()] == ["a", "b"]


def side_by_side(histograms: list[Histogram]) -> str:
    return svg([histogram.draw for histogram in histograms], columns=len(histograms), width=6.6)


def test_pictures_are_well_formed_whatever_the_names_and_too_many_are_refused():
    pictures = [Histogram("a < b", "c & d", {'<&> "x"': [1, 2], "_run: $5$": [1]})]
    picture = side_by_side(pictures)
    assert set(texts_of(picture)) >= {'<&> "x"', "_run: $5$", "a < b", "c & d"}
    assert side_by_side(pictures) == picture
    level = svg([partial(draw_curve, title="", x_label="", x=[1, 2, 3], y=[0.5] * 3, marked=0)], columns=1, width=4)
    assert not re.search(r"\b(nan|inf)\b", level)

    side_by_side([Histogram("t", "x", {str(i): [1] for i in range(8)})])
    with pytest.raises(ValueError, match="at most 8"):
        side_by_side([Histogram("t", "x", {str(i): [1] for i in range(9)})])
    with pytest.raises(ValueError, match="none of them empty"):
        side_by_side([Histogram("t", "x", {"a": [0, 0]})])


@pytest.mark.slow
def test_elbow_and_plot_import_no_torch(fit: Fit):
    folders = [str(fit(c, ratio, bins=[1, 1])) for c, ratio in CURVE.items()]
    code = (
        f"import sys; from ood_lightning.cli.main import main; runs = {folders}; "
        "assert main(['labels', 'elbow', *runs]) == main(['labels', 'plot', *runs, '--out', 'x.svg']) == 0; "
        "assert not {'torch', 'lightning', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
