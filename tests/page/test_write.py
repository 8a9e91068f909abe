"""A page of one or several runs: what it holds, what it says where something is missing, and its bytes."""

import gzip
import html
import json
import re
import shlex
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from page_runs import HOSTILE, IMAGE, write_run

from ood_lightning.cli.main import main
from ood_lightning.errors import SourceError
from ood_lightning.page.write import write_page
from ood_lightning.reasons.stored import read_reasons


def page_of(*runs: Path, out: Path) -> tuple[str, dict[str, Any]]:
    """The markup without scripts and styles, and the data."""
    write_page(runs, out)
    text = out.read_text(encoding="utf-8")
    payload = re.search(r'id="payload">([^<]*)</script>', text).group(1)
    markup = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    return markup, json.loads(gzip.decompress(b64decode(payload)))


def test_a_run_becomes_a_page_the_same_each_time(tmp_path: Path):
    run = write_run(tmp_path / "run")
    markup, data = page_of(run, out=tmp_path / "page.html")
    first = (tmp_path / "page.html").read_bytes()
    page_of(run, out=tmp_path / "page.html")
    assert (tmp_path / "page.html").read_bytes() == first

    for section in ("Verdict", "Tables", "Scores", "Concepts", "Pictures", "Provenance"):
        assert f">{section}</h" in markup
    assert "Sensitivity" not in markup
    assert len(data["runs"]) == 1
    assert [one["key"] for one in data["metrics"]][:3] == ["auroc", "fpr_ood@id_tpr95", "fpr_id@ood_tpr95"]
    assert {"fpr95 stable", "fpr95 openood"} <= {one["key"] for one in data["metrics"]}


def test_names_from_data_are_text(tmp_path: Path):
    markup, data = page_of(write_run(tmp_path / "run"), out=tmp_path / "page.html")
    assert "<img" not in markup
    assert "onerror" in markup  # as text
    assert "&lt;img src=x" in markup
    assert "49" not in re.findall(r"\{\{.*?\}\}", markup)
    assert {word["label"] for word in data["runs"][0]["reasons"]["words"]} == {"owl", *HOSTILE}


def test_the_conventions_of_the_page_are_those_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = write_run(tmp_path / "run")
    _, data = page_of(run, out=tmp_path / "page.html")
    assert main(["report", str(run), "--convention", "openood"]) == 0
    printed = capsys.readouterr().out
    for row in data["grids"][0]["rows"]:
        value = row["cells"]["fpr95 openood"]["mean"][0]
        assert f"/ {100 * value:.2f}" in printed
        ours = row["cells"]["fpr_id@ood_tpr95"]["mean"][0]
        assert value == pytest.approx(ours)


def test_without_reasons_or_scores_the_page_says_so_and_goes_on(tmp_path: Path):
    bare = write_run(tmp_path / "bare", with_reasons=False)
    markup, data = page_of(bare, out=tmp_path / "page.html")
    assert "kept no reasons.json" in markup
    assert "No run of this page kept the reasons" in markup
    assert data["runs"][0]["scores"]["explained"] == "ClusterMine"

    (bare / "scores.parquet").unlink()
    markup, data = page_of(bare, out=tmp_path / "page.html")
    assert data["runs"][0]["scores"]["detectors"] == []
    assert 'id="histogram"' not in markup


def test_reasons_alone_make_a_page_too(tmp_path: Path):
    run = write_run(tmp_path / "run")
    for name in ("results.json", "results.csv", "results.md", "scores.parquet", "DONE"):
        (run / name).unlink()
    markup, _ = page_of(run, out=tmp_path / "page.html")
    assert "No out-of-distribution set was scored" in markup


def test_reasons_of_another_run_are_left_out(tmp_path: Path):
    run = write_run(tmp_path / "run")
    file = run / "reasons.json"
    file.write_text(file.read_text().replace('"abcdef0123456789"', '"another"'))
    assert read_reasons(run) is not None
    markup, data = page_of(run, out=tmp_path / "page.html")
    assert "is of another run and left out" in markup
    assert data["runs"][0]["reasons"] is None


def test_two_runs_share_a_page_under_their_names(tmp_path: Path):
    first, second = write_run(tmp_path / "a"), write_run(tmp_path / "b", run="f" * 16, shift=1.0)
    markup, data = page_of(first, second, out=tmp_path / "page.html")
    assert [run["name"] for run in data["runs"]] == ["a", "b"]
    assert [row["detector"] for row in data["grids"][0]["rows"]] == [
        "a: ClusterMine",
        "a: MCM",
        "b: ClusterMine",
        "b: MCM",
    ]
    assert "a · b" in markup


@pytest.mark.parametrize("name", ["reasons.json", "results.json", "scores.parquet"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str):
    run = write_run(tmp_path / "run")
    (run / name).write_bytes((run / name).read_bytes()[:-30])
    with pytest.raises(SourceError, match=name):
        write_page([run], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("content", ["", "[]", '{"provenance": 3}'])
def test_a_damaged_detector_is_named(tmp_path: Path, content: str):
    run = write_run(tmp_path / "run")
    (run / "detector").mkdir()
    (run / "detector" / "detector.json").write_text(content)
    with pytest.raises(SourceError, match=r"detector\.json"):
        write_page([run], tmp_path / "page.html")


def test_the_command_on_the_page_makes_the_page_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Names of the runs are a part of it: without them, two folders of one detector each would be others."""
    runs = [str(write_run(tmp_path / "a")), str(write_run(tmp_path / "b", run="f" * 16, shift=1.0))]
    write_page(runs, tmp_path / "first.html", names=["be<fore", "the other's"])
    commands = re.findall(r'aria-label="Command for this page">(.*?)</pre>', (tmp_path / "first.html").read_text())
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(html.unescape(commands[0]))[1:]) == 0
    assert (tmp_path / "report.html").read_bytes() == (tmp_path / "first.html").read_bytes()


def test_the_command_writes_the_page_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = write_run(tmp_path / "run")
    assert main(["report", str(run), "--html", str(tmp_path / "page.html")]) == 0
    assert capsys.readouterr().out == f"to look at: {tmp_path / 'page.html'}\n"
    assert main(["report", str(run), "--html", str(tmp_path / "page.html"), "--out", str(tmp_path / "joined")]) == 0
    assert "mean over 3 OOD sets" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["--html", "page.pdf"], "ending in .html"),
        (["--html", "page.html", "--names", "a", "b"], "2 names for 1 runs"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    tmp_path: Path, words: list[str], refusal: str, capsys: pytest.CaptureFixture[str]
):
    run = write_run(tmp_path / "run")
    assert main(["report", str(run), *words]) == 2
    assert refusal in capsys.readouterr().err


def test_an_empty_folder_holds_nothing_to_look_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["report", str(tmp_path), "--html", str(tmp_path / "page.html")]) == 2
    assert "holds neither results.json nor reasons.json" in capsys.readouterr().err


def test_image_names_are_in_the_remarks_as_text(tmp_path: Path):
    markup, _ = page_of(write_run(tmp_path / "run"), out=tmp_path / "page.html")
    assert f"a remark {IMAGE.replace('<', '&lt;').replace('>', '&gt;')}".split("onerror")[0] in markup
