"""`sweep` and `sweep plot` as commands: what fails is repeated alone, and nothing runs that cannot be parsed."""

import json
import re
from pathlib import Path

import pytest
from command_line import CONFIGS, said

from ood_lightning.cli.main import main

SWEEPS = sorted((CONFIGS / "experiments" / "sweeps").glob("*.yaml"))
LINES = [CONFIGS.parent / "scripts" / "slurm" / f"{name}_lines.txt" for name in ("eval", "cluster", "pipeline")]
OUT = Path("runs/sweeps/lines")


def test_the_lines_are_printed_with_their_numbers(capsys: pytest.CaptureFixture[str]):
    Path("lines.txt").write_text("# two\na: test --x 'b c'\nb: --y\n")
    assert main(["sweep", "lines", "lines.txt"]) == 0
    assert capsys.readouterr().out == "0 a: test --x 'b c'\n1 b: --y\n"
    assert main(["sweep", "lines", "lines.txt", "--number=0", "--command=test"]) == 0
    assert capsys.readouterr().out == "a\0--x\0b c\0"


def test_the_stages_of_the_shipped_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(CONFIGS.parent)  # its lines name configs from there
    assert main(["sweep", "stages", "scripts/slurm/pipeline_lines.txt", f"--out={tmp_path / 'out'}"]) == 0
    assert capsys.readouterr().out == "embed 0\nfit 1\ntest 2-3\nreport 4\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("sweep lines lines.txt --number 2", "lines.txt has 2 lines, 0 to 1: there is no line 2"),
        ("sweep lines lines.txt --number 0 --command fit", "lines.txt, a is not of the one command fit"),
        ("sweep nope.txt", "the sweep nope.txt does not exist"),
        ("sweep lines.txt more.txt", "2 files given"),
        ("sweep lines.txt --jobs 0", "jobs is 0: expected 1 or more"),
        ("sweep lines.txt --number -1", "there is no line -1"),
        ("sweep plot lines.txt --measure auroc --x k", "none of the sweep's lines is finished"),
    ],
)
def test_refusals(arguments: str, words: str, capsys: pytest.CaptureFixture[str]):
    Path("lines.txt").write_text("a: test --x 'b c'\nb: --y\n")
    assert main(arguments.split()) == 2
    assert words in said(capsys)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("test --config {} --modle.prompts x", "lines.txt, b: .*modle"),
        ("test --config {} --data.batch_size=x", "lines.txt, b: .*batch_size"),
        ("mine --corpsu x", "lines.txt, b: "),
        ("--names x", "lines.txt, b: it is not clear which command these settings are for"),
    ],
)
def test_a_line_that_cannot_be_parsed_is_refused_before_anything_runs(
    line: str, words: str, eval_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    Path("lines.txt").write_text(f"a: --config {eval_yaml}\nb: {line.format(eval_yaml)}\n")
    assert main(["sweep", "lines.txt"]) == 2
    assert re.search(words, said(capsys))
    assert not OUT.exists()


@pytest.mark.slow
def test_what_failed_is_listed_and_it_alone_is_repeated(eval_yaml: Path, capsys: pytest.CaptureFixture[str]):
    names = Path("names.txt")
    one = f"--config {eval_yaml} --data.batch_size"
    Path("lines.txt").write_text(
        f"a: {one} 4\nb: {one} 5 --model.label_sets.names.init_args.names {names.absolute()}\n"
    )

    command = ["sweep", "lines.txt", "--jobs=2"]
    assert main(command) == 1
    out = capsys.readouterr().out
    assert "b: `test` ended with 2; the end of runs/sweeps/lines/b/sweep.log:" in out
    assert "names.txt" in out
    assert "1 of 2 lines failed; the same command repeats them alone" in out
    written = (OUT / "a/results.json").stat().st_mtime_ns

    names.write_text("red\ngreen\n")
    assert main([*command, "--print"]) == 0
    assert [line.split()[:4] for line in capsys.readouterr().out.splitlines()] == [
        ["2", "lines", "of", "lines.txt:"],
        ["python", "-m", "ood_lightning", "test"],
    ]
    assert main(command) == 0
    assert "all lines are finished" in capsys.readouterr().out
    assert main(command) == 0
    assert "2 finished in runs/sweeps/lines" in capsys.readouterr().out
    assert (OUT / "a/results.json").stat().st_mtime_ns == written

    plot = ["sweep", "plot", "lines.txt", "--measure=fpr_ood@id_tpr95", "--x=data.batch_size"]
    assert main(plot) == 0
    files = {file.name: file.read_bytes() for file in OUT.glob("fpr*")}
    assert len(files) == 2
    assert main(plot) == 0
    assert {file.name: file.read_bytes() for file in OUT.glob("fpr*")} == files

    text = files["fpr_ood@id_tpr95_over_data.batch_size_by_detector.csv"].decode()
    rows = [row.split(",") for row in text.splitlines()]
    assert rows[0][:4] == ["line", "data.batch_size", "detector", "fpr_ood@id_tpr95"]
    assert [row[:3] for row in rows[1:3]] == [["a", "4", "MCM"], ["a", "4", "NegLabel"]]
    means = [row for row in json.loads((OUT / "a/results.json").read_text())["results"] if row["ood_set"] == "mean"]
    expected = [row for row in means if (row["id_set"], row["detector"], row["group"]) == ("id_test", "MCM", "")]
    assert float(rows[1][3]) == expected[0]["fpr_ood@id_tpr95"]


@pytest.mark.slow
@pytest.mark.parametrize("path", SWEEPS + LINES, ids=lambda path: path.stem)
def test_every_line_of_a_shipped_sweep_is_parsed(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(CONFIGS.parent)
    assert main(["sweep", str(path), "--out=runs/none", "--print"]) == 0
    assert capsys.readouterr().out.count("python -m ood_lightning ") >= 4


@pytest.mark.slow
@pytest.mark.long
def test_a_shipped_sweep_runs_and_is_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(CONFIGS.parent)  # its features are kept there
    file, out = str(CONFIGS / "experiments/sweeps/min_images.yaml"), f"--out={tmp_path}/out"
    assert main(["sweep", file, out, "--jobs=2"]) == 0
    for measure in ("auroc", "positives"):
        assert main(["sweep", "plot", file, out, f"--measure={measure}", "--x=min_images"]) == 0

    rows = (tmp_path / "out/positives_over_min_images_by_detector.csv").read_text().splitlines()[1:]
    sizes = [float(row.split(",")[3]) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 6
