"""Tables of an item against an example made by hand."""

from ood_lightning.data.artifacts.sheets import csv_rows
from ood_lightning.metrics.results import Estimate
from ood_lightning.reproduction.entry import Entry
from ood_lightning.reproduction.item import Cell, Item, Panel, Requires, Work
from ood_lightning.reproduction.latex import latex
from ood_lightning.reproduction.tables import markdown, shapes, sheet

WORK = Work(steps={"test": "test"})
CELL = Cell(step="test", measure=["auroc", "fpr95"])
ITEM = Item(
    title="two methods",
    note="A note.",
    requires=Requires(sets=["ninco"], encoders=["vit_h14_dfn5b"]),
    full=WORK,
    twin=WORK,
    twin_note="Smaller.",
    panels=[Panel(cell=CELL, rows={"MCM": Cell(), "PLP_1": Cell(), "CLIPN": Cell()}, columns={"NINCO": Cell()})],
)
ENTRIES = [
    Entry(0, "MCM", "NINCO", "auroc", Estimate(88.0, 87.0, 89.0), printed=88.78, supervision=("id_names",)),
    Entry(0, "MCM", "NINCO", "fpr95", Estimate(49.4), printed=49.0, convention="ours"),
    Entry(0, "PLP_1", "NINCO", "auroc", Estimate(91.0), printed=91.8, quoted=True),
    Entry(0, "PLP_1", "NINCO", "fpr95", None, "needs scores", printed=42.57, convention="ours", quoted=True),
    Entry(0, "CLIPN", "NINCO", "auroc", None, "needs a checkpoint"),
    Entry(0, "CLIPN", "NINCO", "fpr95", None, "needs a checkpoint", convention="ours"),
]


def test_the_panel_has_the_papers_shape():
    (shape,) = shapes(ITEM, ENTRIES, "full")
    assert shape.title == "AUROC / FPR95"
    assert shape.columns == ["NINCO"]
    assert shape.rows == [
        ("MCM", ["88.00 / 49.40"]),
        ("PLP_1 (quoted)", ["91.00 / not run: needs scores"]),
        ("CLIPN", ["not run: needs a checkpoint"]),
    ]


def test_markdown_has_both_numbers_their_difference_and_the_verdict():
    lines = markdown("paper:table", ITEM, ENTRIES, "full").splitlines()
    assert "| MCM | 88.00 / 49.40 |" in lines
    assert "| MCM | NINCO | AUROC | 88.00 [87.00, 89.00] | 88.78 | -0.78 | inside the interval |" in lines
    assert "| MCM | NINCO | FPR95 | 49.40 | 49 | +0.40 | within 0.5 points |" in lines
    assert "| PLP_1 (quoted) | NINCO | AUROC | 91.00 | 91.8 | -0.80 | differs |" in lines
    assert "| PLP_1 (quoted) | NINCO | FPR95 | not run | 42.57 |  |  |" in lines
    assert any("FPR95 by the rule 'ours'" in line for line in lines)


def test_a_twin_is_called_one_and_shows_our_intervals_instead():
    of_twin = [Entry(0, "MCM", "plants for NINCO", "auroc", Estimate(88.0, 87.0, 89.0))]
    text = markdown("paper:table, twin", ITEM, of_twin, "twin")
    assert "**A scaled-down twin on the built-in drawings, not the paper's experiment**" in text
    assert "Smaller." in text
    assert "| MCM | 88.00 [87.00, 89.00] |" in text.splitlines()
    assert "verdict" not in text


def test_a_mean_over_runs_has_its_deviation():
    of_mean = [Entry(0, "MCM", "NINCO", "auroc", Estimate(88.0, std=0.123), printed=88.78)]
    text = markdown("paper:table", ITEM, of_mean, "full")
    assert "| MCM | NINCO | AUROC | 88.00 ± 0.12 | 88.78 | -0.78 | differs |" in text.splitlines()
    assert "±, in an interval's place: sample standard deviation" in text
    assert csv_rows(sheet(of_mean).decode())[0]["std"] == "0.123"


def test_latex_has_the_published_numbers_in_brackets():
    text = latex(ITEM, ENTRIES, "full")
    assert "MCM & 88.00 / 49.40 (88.78 / 49) \\\\" in text
    assert "PLP\\_1 (quoted) & 91.00 / -- (91.8 / 42.57) \\\\" in text
    assert "CLIPN & \\multicolumn{1}{l}{not run: needs a checkpoint} \\\\" in text


def test_the_sheet_holds_everything_unrounded():
    rows = csv_rows(sheet(ENTRIES).decode())
    assert len(rows) == 6
    assert rows[0]["ours"] == "88.0"
    assert (rows[0]["low"], rows[0]["published"], rows[0]["supervision"]) == ("87.0", "88.78", "id_names")
    assert (rows[3]["ours"], rows[3]["not_run"], rows[3]["quoted"]) == ("", "needs scores", "yes")
