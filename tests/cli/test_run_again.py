"""`run` twice into one folder: the same run goes on, and another one leaves no results of the first beside its own."""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from unpacked import unpack, words_file
from waiting import exit_code

from ood_lightning.callbacks.checkpoint import WholeFiles
from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.making import mining
from ood_lightning.making.kept import EARLIER, RESULTS, Kept
from ood_lightning.places import locate

pytestmark = pytest.mark.slow  # pictures are embedded

RUN = Path("runs/animals")
CORPUS = ("--corpus", "ood_lightning.corpora.words.WordFile", "--corpus.path", "words.txt")
COMMAND = ["run", "animals", "--ood", "food", "--num_workers", "0", *CORPUS]
DRAWINGS = [*COMMAND, "--encoder", "pictograms"]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 40 animals, 5 of food and a corpus."""
    folder = tmp_path_factory.mktemp("again")
    unpack("id_test", folder / "animals", 40)
    unpack("food", folder / "food", 5)
    words_file(folder / "words.txt")
    return folder


@pytest.fixture(autouse=True)
def folder(unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same in the current folder; parts of a folder of pictures are small."""
    shutil.copytree(unpacked, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ood_lightning.data.shards.folders.PER_SHARD", 16)
    return tmp_path


@pytest.fixture
def by_temi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining, "ENOUGH_FOR_TEMI", 10)


def results() -> set[str]:
    return {path.name for path in RUN.iterdir()} & {*RESULTS, EARLIER}


def content() -> dict[str, bytes]:
    """All that a run leaves, but for the checkpoint, whose file holds times."""
    files = (path for path in RUN.rglob("*") if path.is_file() and path.name != "last.ckpt")
    return {str(path): path.read_bytes() for path in files}


def test_a_second_run_says_what_it_reuses(capsys: pytest.CaptureFixture[str]):
    assert main(DRAWINGS) == 0
    assert "reusing" not in capsys.readouterr().out
    first = content()

    assert main(DRAWINGS) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("reusing ")]
    assert [line.partition(" in ")[0].rstrip("0123456789, ") for line in said][:1] == [
        "reusing the features of animals: 40 pictures"
    ]
    starts = ("the features of animals: 40 pictures in ", "the features of 622 words in ", "the number of clusters: ")
    starts += (f"the clusters of 20 pictures in {RUN}/votes.safetensors", "the features of food: 5 pictures in ")
    assert len(said) == len(starts)
    for line, start in zip(said, starts, strict=True):
        assert line.startswith(f"reusing {start}")
    assert content() == first


def test_another_run_leaves_no_results_of_the_first_beside_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert main(DRAWINGS) == 0
    first = content()

    def stop(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(mining, "choose_clusters", stop)
        assert main([*DRAWINGS, "--seed", "1"]) == 130
    said = capsys.readouterr()
    assert f"{RUN} holds results of a run with other inputs: they are in {RUN / EARLIER} now" in said.out
    assert "goes on where this one left off: finished steps are kept" in said.err
    assert "shards" not in said.err
    assert results() == {EARLIER}
    kept = RUN / EARLIER / "decisions.csv"
    assert kept.read_bytes() == first[str(RUN / "decisions.csv")]

    assert main([*DRAWINGS, "--seed", "1"]) == 0
    assert (RUN / "decisions.csv").read_bytes() != kept.read_bytes()
    assert results() == {*RESULTS, EARLIER}

    assert main([*DRAWINGS, "--seed", "1", "--tpr", "0.9"]) == 0
    assert "reusing the clusters" in capsys.readouterr().out  # which do not depend on the rate


def test_names_are_no_part_of_a_run_that_mines(capsys: pytest.CaptureFixture[str]):
    Path("names.txt").write_text("cat\ndog\n")
    assert main(DRAWINGS) == 0
    assert main([*DRAWINGS, "--names", "names.txt", "--detector", "mcm"]) == 0
    assert not (RUN / "votes.safetensors").exists()

    Path("names.txt").write_text("cat\nbird\n")
    capsys.readouterr()
    assert main([*DRAWINGS, "--names", "names.txt", "--detector", "mcm"]) == 0
    assert "holds results of a run with other inputs" in capsys.readouterr().out  # the names of now


def test_another_encoder_finds_clusters_of_its_own(capsys: pytest.CaptureFixture[str]):
    """The same weights under another fingerprint: the pictures that are learned from are the same then."""
    model = Path(shutil.copytree(locate("builtin:pictograms/model"), "model"))
    (model / "note.txt").write_text("another one")
    assert main(DRAWINGS) == 0
    capsys.readouterr()
    assert main([*COMMAND, "--encoder", "local-dir:model"]) == 0
    assert "reusing" not in capsys.readouterr().out


@pytest.mark.usefixtures("by_temi")
def test_another_seed_trains_anew_in_the_same_folder(capsys: pytest.CaptureFixture[str]):
    assert main(DRAWINGS) == 0
    assert "clustered by TEMI" in capsys.readouterr().out
    assert main([*DRAWINGS, "--seed", "1"]) == 0
    again = content()

    shutil.rmtree(RUN)
    assert main([*DRAWINGS, "--seed", "1"]) == 0
    kept = {path: data for path, data in again.items() if f"/{EARLIER}/" not in path}
    assert content() == kept


Put = Callable[..., None]


def _stopped_by(moment: str, number: signal.Signals) -> None:
    """A run whose process gets a signal when something lies on disk."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background inherits that it is ignored
    write, put, save = FeatureFolder.write, Kept.put, WholeFiles.save_checkpoint

    def after(do: Put, is_moment: Callable[..., bool]) -> Put:
        def with_signal(*arguments: Any, **options: Any) -> None:
            do(*arguments, **options)
            if is_moment(*arguments):
                os.kill(os.getpid(), number)

        return with_signal

    if moment == "part of the features":
        FeatureFolder.write = after(write, lambda *_: True)  # type: ignore[method-assign]
    elif moment == "checkpoint":
        WholeFiles.save_checkpoint = after(save, lambda *_: True)  # type: ignore[method-assign]
    else:
        Kept.put = after(put, lambda kept, step, *_: step == moment)  # type: ignore[method-assign]

    with Path("said.txt").open("a") as said, redirect_stdout(said), redirect_stderr(said):
        sys.exit(main(DRAWINGS))


STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.mark.usefixtures("by_temi")
@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("part of the features", signal.SIGINT),
        pytest.param("run", signal.SIGINT, marks=pytest.mark.long),
        pytest.param("clusters", signal.SIGINT, marks=pytest.mark.long),
        pytest.param("checkpoint", signal.SIGINT, marks=pytest.mark.long),
        ("checkpoint", signal.SIGTERM),
        pytest.param("votes", signal.SIGINT, marks=pytest.mark.long),
    ],
)
def test_a_run_that_a_signal_stopped_goes_on_to_the_same_bytes(
    moment: str, number: signal.Signals, capsys: pytest.CaptureFixture[str]
):
    process = get_context("fork").Process(target=_stopped_by, args=(moment, number))
    process.start()
    assert exit_code(process) == STATUS[number], Path("said.txt").read_text()
    said = Path("said.txt").read_text()
    goes_on = "The same command goes on where this one left off: finished steps are kept"
    assert (goes_on in said) == (number == signal.SIGINT)
    assert "Traceback" not in said
    assert not results()

    assert main(DRAWINGS) == 0
    said = capsys.readouterr().out
    assert "reusing the features of animals: " in said
    assert ("reusing runs/animals/last.ckpt: training goes on from there" in said) == (moment == "checkpoint")
    stopped = content()

    shutil.rmtree(RUN)
    assert main([*DRAWINGS, "--cache_dir", "other_cache"]) == 0
    assert content() == stopped
