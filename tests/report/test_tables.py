"""Tables from rows: percent here and only here, every cell where it belongs."""

from dataclasses import replace

from result_rows import BOUNDED, COMPARED, RESULTS, changed, result

from ood_lightning.metrics.results import Estimate, Result
from ood_lightning.report.tables import (
    CONVENTION,
    comparison_table,
    grid,
    markdown,
    percent,
    shift_table,
    summary_table,
)


def summary(rows: list[Result], id_set: str) -> list[list[str]]:
    return summary_table(rows, id_set, "").lines


def cells(lines: list[list[str]]) -> dict[tuple[str, str], str]:
    """By detector and column, whichever side goes down the page."""
    header, *rows = lines
    if header[0] == "detector" and header[1] != "supervision":
        header, *rows = [list(column) for column in zip(*lines, strict=True)]
    return {(line[0], name): cell for line in rows for name, cell in zip(header, line, strict=True)}


def test_every_cell_holds_auroc_and_fpr_in_percent_under_its_detector_and_set():
    by_detector = cells(grid(RESULTS, "birds"))
    assert by_detector["MCM", "near1"] == "70.00 / 30.00"
    assert by_detector["ClusterMine", "far1"] == "95.00 / 5.00"
    assert by_detector["MCM", "mean near"] == "75.00 / 25.00"
    assert by_detector["ClusterMine", "mean far"] == "95.00 / 5.00"
    assert by_detector["MCM", "mean"] == "83.00 / 17.00"  # over sets, not over groups and not pooled
    assert (by_detector["MCM", "supervision"], by_detector["ClusterMine", "supervision"]) == ("id_names", "id_images")
    assert len(by_detector) == 2 * 8


def test_the_longer_side_goes_down_the_page():
    assert grid(RESULTS, "birds")[0][0] == "detector"
    assert grid(RESULTS, "birds")[0][1:] == ["MCM", "ClusterMine"]
    many = [result(f"D{i}", "near1", 0.5) for i in range(9)]
    assert grid(many, "birds")[0] == ["detector", "supervision", "near1", "mean"]
    square = [result(f"D{i}", "near1", 0.5) for i in range(3)]  # four lines of four cells stay as they are
    assert grid(square, "birds")[0] == ["detector", "supervision", "near1", "mean"]


def test_a_set_that_a_detector_did_not_see_is_a_dash_and_no_supervision_is_said():
    unsupervised = result("X", "near1", 0.5, group="near", supervision=())
    by_detector = cells(grid([*RESULTS[:3], unsupervised], "birds"))
    assert by_detector["X", "far1"] == "-"
    assert by_detector["X", "mean far"] == "-"
    assert by_detector["X", "supervision"] == "nothing"


def test_several_kinds_of_supervision_stand_side_by_side():
    named = result("X", "near1", 0.5, supervision=("id_names", "llm"))
    assert summary([named], "birds")[1][1] == "id_names, llm"


def test_a_table_is_of_one_id_set_alone():
    other = [replace(changed(row, "auroc", value=0.5), id_set="sketches") for row in RESULTS]
    assert grid([*RESULTS, *other], "birds") == grid(RESULTS, "birds")
    assert summary([*RESULTS, *other], "birds") == summary(RESULTS, "birds")


def lowered(rows: list[Result]) -> list[Result]:
    """The same on another ID set, with an AUROC that is ten points lower."""
    return [replace(changed(row, "auroc", value=row.metrics["auroc"].value - 0.1), id_set="sketches") for row in rows]


def test_shifts_compare_the_means_of_all_id_sets():
    expected = [
        ["detector", "birds", "sketches"],
        ["MCM", "83.00 / 17.00", "73.00 / 17.00"],
        ["ClusterMine", "85.00 / 15.00", "75.00 / 15.00"],
    ]
    (without,) = shift_table(RESULTS + lowered(RESULTS[:3]), "")
    assert without.lines == [*expected[:2], ["ClusterMine", "85.00 / 15.00", "-"]]
    assert shift_table(RESULTS, "") == []
    (table,) = shift_table(RESULTS + lowered(RESULTS), "; so")
    assert table.lines == expected
    assert table.title == "Mean over the OOD sets, by ID set: AUROC / fpr_ood@id_tpr95 (%); so"


def test_the_summary_has_each_fpr_in_a_column_of_its_own_with_its_interval():
    header, *lines = summary(BOUNDED, "birds")
    assert header == ["detector", "supervision", "AUROC", "fpr_ood@id_tpr95", "fpr_id@ood_tpr95"]
    assert lines[0] == ["MCM", "id_names", "83.00 [10.00, 20.00]", "17.00 [30.00, 40.00]", "11.10 [50.00, 60.00]"]
    assert [line[0] for line in lines] == ["MCM", "ClusterMine"]
    assert summary(RESULTS, "birds")[1][2:] == ["83.00", "17.00", "11.10"]


def test_the_title_of_the_summary_counts_sets_and_resamples():
    assert summary_table(RESULTS, "birds", "").title == "ID set birds: mean over 3 OOD sets (%)"
    assert summary_table(RESULTS[:1], "birds", "; so").title == "ID set birds: mean over 1 OOD set (%); so"
    interval = "95 % bootstrap interval of 1000 resamples"
    assert summary_table(BOUNDED, "birds", "").title == f"ID set birds: mean over 3 OOD sets (%), {interval}"
    more = [replace(row, resamples=200) if row.detector == "MCM" else row for row in BOUNDED]
    assert summary_table(more, "birds", "").title.endswith("bootstrap interval of 200 or 1000 resamples")


def test_differences_stand_under_their_detectors():
    more = [replace(COMPARED[0], names_based="NegLabel", difference=-0.5, p_value=0.002), *COMPARED]
    (table,) = comparison_table([*more, replace(COMPARED[0], id_set="fish", label_free="X")], "birds")
    assert table.lines == [
        ["difference to", "ClusterMine"],
        ["NegLabel", "-50.00, p = 0.002"],
        ["MCM", "+2.00, p = 0.250"],
    ]


def test_the_note_counts_comparisons_and_says_how_small_p_can_be():
    fewer = replace(COMPARED[0], names_based="NegLabel", resamples=99)
    (table,) = comparison_table([*COMPARED, fewer, replace(COMPARED[0], id_set="fish", resamples=9)], "birds")
    assert "Least possible: 0.020. Comparisons made: 2; p is not corrected" in table.note
    assert comparison_table(COMPARED, "fish") == []


def test_an_interval_is_shown_on_demand_and_a_deviation_always():
    row = changed(RESULTS[0], "auroc", low=0.6, high=0.8, std=0.01)
    assert percent(row, "auroc") == "70.00 ± 1.00"
    assert percent(row, "auroc", interval=True) == "70.00 [60.00, 80.00]"
    assert percent(row, "fpr_ood@id_tpr95", interval=True) == "30.00"
    assert percent(row, "fpr_ood@id_tpr80") == "-"


def test_further_metrics_have_a_column_and_a_table_of_their_own_behind_the_standard_ones():
    further = [replace(row, metrics={"gap": Estimate(0.25), **row.metrics}) for row in RESULTS[:3]]
    rows = [*RESULTS[3:], *further]
    header, without, with_metric = summary(rows, "birds")
    assert header[2:] == ["AUROC", "fpr_ood@id_tpr95", "fpr_id@ood_tpr95", "gap"]
    assert (without[-1], with_metric[-1]) == ("-", "25.00")
    assert "ID set birds: gap (%)\n" in markdown(rows)
    assert "aupr" not in markdown(rows)


def test_markdown_has_every_table_and_says_what_fpr95_is():
    text = markdown(BOUNDED + [replace(row, id_set="sketches") for row in RESULTS], COMPARED)
    assert text.count("\n| --- |") == 2 * 4 + 1 + 1  # means and three metrics of each ID set, p-values, shifts
    for pair in ("75.00 [10.00, 20.00]", "25.00 [30.00, 40.00]", "11.10 [50.00, 60.00]"):
        assert f"| mean near | {pair} |" in text
    assert "| mean near | 75.00 | 80.00 |" in text  # the sketches have no intervals
    assert "| MCM | +2.00, p = 0.250 |" in text
    assert "Comparisons made: 1; p is not corrected" in text
    assert text.endswith(f"\n\n{CONVENTION}\n")

    for table in text.split("\n\n"):
        widths = {line.count("|") for line in table.splitlines() if line.startswith("|")}
        assert len(widths) <= 1


def test_detectors_that_learn_from_the_stream_never_share_a_table_with_the_others():
    streamed = result("AdaNeg", "near1", 0.9, stream=True, orders=3)
    streamed = changed(changed(streamed, "auroc", std=0.01), "fpr_ood@id_tpr95", std=0.002)
    title_end = "; learns from the test stream; 3 orders"
    static, streams = markdown([streamed, *BOUNDED], COMPARED).split(title_end, 1)
    assert "AdaNeg" not in static
    assert "±" not in static
    assert "| 90.00 ± 1.00 |" in streams
    assert "| 10.00 ± 0.20 |" in streams
    assert "MCM" not in streams


def test_titles_of_streams_say_how_many_orders_and_where_there_is_a_deviation():
    streamed = result("AdaNeg", "near1", 0.9, stream=True, orders=1)
    text = markdown([streamed])
    assert "mean over 1 OOD set (%); learns from the test stream; 1 order\n" in text
    assert "ID set birds: AUROC (%); learns from the test stream; 1 order, mean ± standard deviation\n" in text
    assert "ID set birds: fpr_id@ood_tpr95 (%); learns from the test stream; 1 order\n" in text
    other = replace(streamed, detector="TANL", orders=3)
    assert "learns from the test stream; 1 or 3 orders" in markdown([streamed, other])


def test_names_are_no_markup_in_markdown():
    names = {"detector": "a|b", "id_set": "<img src=x>", "ood_set": "[x](http://y) *z* `c`\n# title"}
    text = markdown([result(names["detector"], names["ood_set"], 0.9, id_set=names["id_set"])])
    assert r"| a\|b |" in text
    assert r"ID set \<img src=x>:" in text
    assert r"\[x](http://y) \*z\* \`c\`\\n# title" in text
    assert "| 90.00 |" in text
