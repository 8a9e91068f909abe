"""Results on disk: fractions, the same in JSON and CSV, read back whole, also from files of older versions."""

import csv
import json
from pathlib import Path

import pytest
from result_rows import BOUNDED, COMPARED, RESULTS

from ood_lightning.cli.main import main
from ood_lightning.errors import SourceError
from ood_lightning.metrics.results import MEAN, Estimate, Result, means
from ood_lightning.metrics.rows import to_row
from ood_lightning.report.stored import read_about, read_results, write_results
from ood_lightning.report.tables import markdown

# As the first version wrote them: no streams, no intervals, no comparisons.
OLD_JSON = """{
 "about": {"encoder": "builtin:pictograms/model", "corpus": "wordnet_na"},
 "results": [
  {"detector": "MCM", "id_set": "id_test", "ood_set": "plants", "auroc": 0.7934602606850117,
   "fpr_ood@id_tpr95": 0.8392857142857143, "fpr_id@ood_tpr95": 0.5307377049180327, "aupr_in": 0.9425,
   "aupr_out": 0.4341, "n_id": 488, "n_ood": 112, "supervision": "id_names", "stream": false, "group": "near",
   "recipe": "859e"},
  {"detector": "MCM", "id_set": "id_test", "ood_set": "mean", "auroc": 0.7934602606850117,
   "fpr_ood@id_tpr95": 0.8392857142857143, "fpr_id@ood_tpr95": 0.5307377049180327, "aupr_in": 0.9425,
   "aupr_out": 0.4341, "n_id": 488, "n_ood": 112, "supervision": "id_names", "stream": false, "group": "",
   "recipe": "859e"}
 ]
}"""
OLD_CSV = """\
detector,id_set,ood_set,auroc,fpr_ood@id_tpr95,fpr_id@ood_tpr95,aupr_in,aupr_out,n_id,n_ood,supervision,stream,group,recipe
MCM,id_test,plants,0.7934602606850117,0.8392857142857143,0.5307377049180327,0.9425,0.4341,488,112,id_names,False,near,859e
MCM,id_test,mean,0.7934602606850117,0.8392857142857143,0.5307377049180327,0.9425,0.4341,488,112,id_names,False,,859e
"""
# As a run with streams and intervals writes it today.
STREAM_CSV = """\
detector,id_set,ood_set,auroc,fpr_ood@id_tpr95,fpr_id@ood_tpr95,aupr_in,aupr_out,n_id,n_ood,supervision,stream,group,\
recipe,auroc_std,fpr_ood@id_tpr95_std,orders,auroc_low,auroc_high,fpr_ood@id_tpr95_low,fpr_ood@id_tpr95_high,\
fpr_id@ood_tpr95_low,fpr_id@ood_tpr95_high,resamples
12,birds,none,0.5,1e-05,1.0,1,0,8,9,,False,,,,,,0.25,0.75,0.0,0.5,0.5,1.0,1000
AdaNeg,birds,none,0.5,0.25,0.125,0.75,0.875,8,9,id_names+test_stream,True,,,0.125,0.0625,3,,,,,,,
"""


def test_files_hold_fractions_and_say_the_same(tmp_path: Path):
    write_results(tmp_path, BOUNDED, {"encoder": "tiny"}, COMPARED)
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["about"] == {"encoder": "tiny"}
    assert content["results"] == [to_row(row) for row in BOUNDED]
    assert [row["resamples"] for row in content["results"] if row["ood_set"] == MEAN] == [1000] * 6
    assert all(0 <= row["auroc"] <= 1 for row in content["results"])

    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"fpr_ood@id_tpr95", "fpr_id@ood_tpr95", "auroc_low", "fpr_id@ood_tpr95_high"} <= set(rows[0])

    assert read_results(tmp_path) == read_results(tmp_path / "results.json") == (BOUNDED, COMPARED)
    assert read_results(tmp_path / "results.csv") == (BOUNDED, [])
    assert (tmp_path / "results.md").read_text() == f"# Results of tiny\n\n{markdown(BOUNDED, COMPARED)}"


def test_means_come_last_and_are_made_where_there_are_none(tmp_path: Path):
    write_results(tmp_path, [*BOUNDED[6:], *RESULTS], {})
    assert read_results(tmp_path)[0] == [*RESULTS, *BOUNDED[6:]]
    write_results(tmp_path, RESULTS, {})
    assert read_results(tmp_path)[0] == [*RESULTS, *means(RESULTS)]


@pytest.mark.parametrize(("name", "text"), [("results.json", OLD_JSON), ("results.csv", OLD_CSV)])
def test_a_file_of_the_first_version_is_read(tmp_path: Path, name: str, text: str, capsys: pytest.CaptureFixture[str]):
    (tmp_path / name).write_text(text)
    results, comparisons = read_results(tmp_path / name)
    metrics = {
        "auroc": Estimate(0.7934602606850117),
        "fpr_ood@id_tpr95": Estimate(0.8392857142857143),
        "fpr_id@ood_tpr95": Estimate(0.5307377049180327),
        "aupr_in": Estimate(0.9425),
        "aupr_out": Estimate(0.4341),
    }
    plants = Result("MCM", "id_test", "plants", metrics, 488, 112, ("id_names",), group="near", recipe="859e")
    mean = Result("MCM", "id_test", "mean", metrics, 488, 112, ("id_names",), recipe="859e")
    assert (results, comparisons) == ([plants, mean], [])
    assert main(["report", str(tmp_path / name)]) == 0
    assert "79.35 / 83.93" in capsys.readouterr().out


def test_a_table_as_text_holds_numbers_truth_values_and_gaps(tmp_path: Path):
    (tmp_path / "results.csv").write_text(STREAM_CSV)
    (numbered, streamed), _ = read_results(tmp_path / "results.csv")
    metrics = {
        "auroc": Estimate(0.5, low=0.25, high=0.75),
        "fpr_ood@id_tpr95": Estimate(1e-05, low=0.0, high=0.5),
        "fpr_id@ood_tpr95": Estimate(1.0, low=0.5, high=1.0),
        "aupr_in": Estimate(1.0),
        "aupr_out": Estimate(0.0),
    }
    assert numbered == Result("12", "birds", "none", metrics, 8, 9, resamples=1000)  # names that look like others

    metrics = {
        "auroc": Estimate(0.5, std=0.125),
        "fpr_ood@id_tpr95": Estimate(0.25, std=0.0625),
        "fpr_id@ood_tpr95": Estimate(0.125),
        "aupr_in": Estimate(0.75),
        "aupr_out": Estimate(0.875),
    }
    assert streamed == Result("AdaNeg", "birds", "none", metrics, 8, 9, ("id_names", "test_stream"), True, orders=3)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("results.json", "{", "results.json is not readable as JSON"),
        ("results.json", "{}", "results.json: results is missing"),
        ("results.json", '{"results": [{"auroc": 1}]}', "results.0.detector is missing"),
        ("results.json", '{"results": []}', "holds no results of single sets"),
        ("results.csv", "detector,auroc\nMCM,0.5\n", "results.csv: results.0.id_set is missing"),
        ("results.csv", "", "holds no results of single sets"),
        ("results.json", '{"results": [], "comparisons": [{}]}', "comparisons.0.id_set is missing"),
        (
            "results.json",
            OLD_JSON.replace("0.4341", '"x"', 1),
            "results.0.aupr_out is 'x': input should be a valid",
        ),
        ("results.json", OLD_JSON.replace("488", "4.5", 1), "results.0.n_id is 4.5: input should be a valid integer"),
        (
            "results.json",
            OLD_JSON.replace('"stream": false', '"stream": 0'),
            "results.0.stream is 0: input",
        ),
        ("results.json", OLD_JSON.replace('"n_id"', '"fpr95": 0.3, "n_id"'), "results.0.fpr95 is a key that nothing"),
        (
            "results.json",
            OLD_JSON.replace("0.9425", "null"),
            "results.0.aupr_in is None: input should be a",
        ),
        ("results.csv", OLD_CSV.replace("False", "perhaps", 1), "results.0.stream is 'perhaps': input should be a"),
        ("results.csv", OLD_CSV.replace(",0.9425", ",high", 1), "results.0.aupr_in is 'high': input should be a valid"),
        ("results.csv", OLD_CSV.replace("859e\nMCM", "859e,7\nMCM"), "results.0.null is a key that nothing"),
        ("results.csv", OLD_CSV.replace(",id_names,False,near,859e", ""), "results.0.supervision is None"),
    ],
)
def test_what_holds_no_results_is_refused_by_file_and_field(tmp_path: Path, name: str, text: str, words: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError) as refused:
        read_results(tmp_path / name)
    assert words in str(refused.value)


def test_a_run_that_is_not_there():
    with pytest.raises(SourceError, match="run `test` first"):
        read_results(Path("runs/none"))
    assert read_about(Path("runs/none")) == {}


def test_bytes_that_are_no_text_are_refused(tmp_path: Path):
    (tmp_path / "results.json").write_bytes(b"\xff\xfe")
    for read in (read_results, read_about):
        with pytest.raises(SourceError, match=r"results\.json holds no results"):
            read(tmp_path)


def test_what_tables_print_of_a_run_is_read_from_beside_its_rows(tmp_path: Path):
    metadata = {"bad_samples": {"birds": ["b.tar 1: cut"]}, "not_run": {"KNN": "needs pictures"}, "runs": ["a"]}
    write_results(tmp_path, RESULTS, metadata)
    for path in (tmp_path, tmp_path / "results.json", tmp_path / "results.csv"):
        assert read_about(path) == metadata
    (tmp_path / "results.json").write_text('{"results": []}')
    assert read_about(tmp_path) == {}


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"encoder": 3}, "about.encoder is 3: input should be a valid string"),
        ({"top1": [{"set": "a", "percent": "x", "published": 1.0, "passes": True}]}, "about.top1.0.percent is 'x'"),
        ({"top1": [{"set": "a", "percent": 1.0, "published": None}]}, "about.top1.0.passes is missing"),
        ({"metrics": {"gap": {"title": "a gap"}}}, "about.metrics.gap.higher_is_better is missing"),
        ({"bad_samples": {"birds": ["b.tar 1: cut", 2]}}, "about.bad_samples.birds.1 is 2"),
        ({"bad_samples": [], "remarks": "text"}, "about.remarks is 'text'"),
        ([], "about is []"),
    ],
)
def test_what_a_run_was_is_checked_by_file_and_field(tmp_path: Path, metadata: object, words: str):
    (tmp_path / "results.json").write_text(json.dumps({"about": metadata, "results": []}))
    with pytest.raises(SourceError) as refused:
        read_about(tmp_path)
    assert f"{tmp_path / 'results.json'}: {words}" in str(refused.value)


@pytest.mark.parametrize("name", ["=cmd|x", "+1", "-set", "@me", "'=quoted", "'tis", "1e3", "true", "a\rb", "", " ="])
def test_names_that_spreadsheets_and_readers_take_for_something_else_come_back(tmp_path: Path, name: str):
    row = Result(name, name, name or "x", RESULTS[0].metrics, 8, 9, group=name, recipe=name)
    write_results(tmp_path, [row], {})
    assert read_results(tmp_path / "results.csv")[0][0] == row
    cells = (tmp_path / "results.csv").read_bytes().decode()
    assert not [c for c in cells.replace("\n", ",").split(",") if c[:1] in "=+@" and c]
