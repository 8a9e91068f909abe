"""The commands that the pages show are run, in their order, on the built-in drawings.

Each block of bash belongs to a session below or is listed with the reason why it is not run; all of them are parsed by
tests/cli/test_main_pages.py. A block is named by its page and its place among the page's blocks of bash, from 0.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from unpacked import unpack, words_file

from scripts.shown_commands import ROOT, Block, blocks, missing, run

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
BASH = {
    f"{path.relative_to(ROOT).as_posix()}#{number}": block
    for path in PAGES
    for number, block in enumerate(block for block in blocks(path) if block.language == "bash")
}

# blocks in the order in which they are run, and what a person would have done between them
OWN_PICTURES = [
    "docs/run.md#0",
    "README.md#0",
    "cp -r runs/my_photos/detector detector && mkdir new_pictures && cp -r new_photos new_pictures/2026-11-28",
    "docs/watching.md#0",
    "docs/watching.md#1",
    "docs/export.md#0",
    "docs/sources.md#1",
]
DEMO = [
    "README.md#2",
    "mkdir runs/nouns && cp runs/clustermine/labels.json runs/nouns",
    "docs/labels.md#0",
    "docs/labels.md#1",
    "for run in a b c; do cp -r runs/eval runs/$run; done",
    "docs/report.md#0",
    "docs/audit.md#0",
]
PLANS = [
    "docs/cluster_tutorial.md#1",
    "docs/cluster_tutorial.md#2",
    "docs/cluster_tutorial.md#3",
    "docs/cluster_tutorial.md#8",
    "docs/cluster.md#0",
    "docs/data/index.md#0",
]
TUTORIAL = [key for key in BASH if key.startswith("docs/tutorial.md#")]

CLUSTER = "needs a cluster; tests/test_slurm.py runs these scripts on a Slurm of one machine"
ELSEWHERE = "needs pictures or weights that are fetched from elsewhere, or a GPU"
MINUTES = "trains or scores everything, which takes minutes; the demo's commands are run smaller"
PLACES = "its names stand for places of one's own"
ITSELF = "makes an environment, or is the suite itself; tests/test_fresh_environment.py installs a wheel"
NOT_RUN = {
    "README.md#1": ITSELF,
    "CONTRIBUTING.md#0": ITSELF,
    "docs/index.md#0": ITSELF,
    "docs/installing.md#0": ITSELF,
    "docs/installing.md#1": "the same as in docs/cluster_tutorial.md",
    "docs/reproducing.md#0": ITSELF,
    "docs/cluster_tutorial.md#0": ITSELF,
    "docs/cluster_tutorial.md#4": ELSEWHERE,
    "docs/cluster_tutorial.md#5": ELSEWHERE,
    "docs/cluster_tutorial.md#6": "two minutes; tests/reproduction runs twins",
    "docs/cluster_tutorial.md#7": ELSEWHERE,
    "docs/cluster_tutorial.md#9": CLUSTER,
    "docs/cluster_tutorial.md#10": "needs the results of two groups; tests/reproduction joins some",
    **{f"docs/cluster.md#{number}": CLUSTER for number in (1, 2, 3, 4, 5, 6, 8, 9)},
    "docs/cluster.md#7": ELSEWHERE,
    "docs/choosing_clusters.md#0": MINUTES,
    "docs/corpora.md#0": ELSEWHERE,
    "docs/dashboard.md#0": ELSEWHERE,
    "docs/detectors.md#0": MINUTES,
    "docs/detectors.md#1": ELSEWHERE,
    "docs/detectors.md#2": PLACES,
    "docs/detectors.md#3": ELSEWHERE,
    **{f"docs/detectors.md#{number}": MINUTES for number in range(4, 7)},
    "docs/encoders.md#0": ELSEWHERE,
    "docs/filter.md#0": MINUTES,
    "docs/filter.md#1": MINUTES,
    "docs/filter.md#2": ELSEWHERE,
    "docs/filter.md#3": ELSEWHERE,
    "docs/filter.md#4": MINUTES,
    "docs/filter.md#5": MINUTES,
    "docs/filter.md#6": ELSEWHERE,
    "docs/growing.md#0": "needs a chat model; tests/cli/test_corpus_grow.py runs both steps on canned answers",
    "docs/growing.md#1": MINUTES,
    "docs/labels.md#2": MINUTES,
    "docs/labels.md#3": CLUSTER,
    "docs/own_detector.md#0": "tests/cli/test_trainer_own_detector.py runs it",
    **{f"docs/packing.md#{number}": PLACES for number in range(4)},
    "docs/pictograms.md#0": MINUTES,
    "docs/pipeline.md#0": MINUTES,
    "docs/pipeline.md#1": PLACES,
    "docs/sources.md#0": PLACES,
    "docs/sweeps.md#0": MINUTES,
    "docs/sweeps.md#1": MINUTES,
    **{key: ELSEWHERE for key in BASH if key.startswith("docs/data/") and "index" not in key},
}

SMALL_CORPUS = "--corpus ood_lightning.corpora.words.WordFile --corpus.path"
SMALL_FIT = """
trainer:
  max_epochs: 1
  callbacks:
    - class_path: ood_lightning.callbacks.label_sets.LabelSetWriter
      init_args:
        corpus: {class_path: ood_lightning.corpora.words.WordFile, init_args: {path: WORDS}}
        prompts: prompts/bare.yaml
        label_sets:
          labels: {class_path: ood_lightning.label_sets.posmine.PosMine, init_args: {min_images: 4}}
          posmine: {class_path: ood_lightning.label_sets.posmine.PosMine, init_args: {min_images: 6}}
model: {class_path: ood_lightning.modules.temi.TEMIModule, init_args: {n_clusters: 48}}
"""
SMALL_TEST = (
    '--data.ood_shards \'{"near": ["builtin:pictograms/shards/plants", "builtin:pictograms/shards/food"]}\' '
    "--data.covariate_shards '[]' --model.corpus ood_lightning.corpora.words.WordFile --model.corpus.path words.txt "
    "--model.label_sets.neglabel.count 150"
)


def folder_of_a_checkout(folder: Path) -> Path:
    """A folder in which paths of the project lead to it, with a small corpus."""
    for name in ("assets", "configs", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    words_file(folder / "words.txt")
    return folder


def session(steps: Sequence[str], folder: Path, added: Mapping[str, str] | None = None) -> list[str]:
    """Run blocks, and lines of bash between them; returns what each printed."""
    done = run([BASH.get(step, Block("", 0, "bash", f"{step}\n")) for step in steps], folder, added)
    assert done.status == 0, f"{steps[len(done.output) - 1]}: {done.errors[-3000:]}"
    return done.output


def test_every_block_is_run_or_has_a_reason():
    ran = [step for steps in (OWN_PICTURES, DEMO, PLANS, TUTORIAL) for step in steps if "#" in step]
    unknown = [f"{key} ({block.text.splitlines()[0]})" for key, block in BASH.items() if key not in {*ran, *NOT_RUN}]
    assert not unknown, f"put these into a session or into NOT_RUN: {unknown}"
    assert not {*ran, *NOT_RUN} - set(BASH), "blocks that are no longer there"
    assert not set(ran) & set(NOT_RUN)


def test_a_line_that_was_not_printed_is_missed():
    assert missing("2 of 3 rows\n...\nend", "a\n2  of 7 rows\nb\nend\n") == []
    assert missing("end\n2 of 3 rows", "2 of 3 rows\nend") == ["2 of 3 rows"]
    assert missing("a li...\nb ...", "a line\nc") == ["b ..."]
    assert missing("no row", "a row") == ["no row"]


@pytest.mark.slow
def test_the_commands_for_ones_own_pictures_run(tmp_path: Path):
    folder = folder_of_a_checkout(tmp_path)
    unpack("id_train", folder / "my_photos", 150)
    unpack("id_val", folder / "new_photos", 12)
    unpack("food", folder / "something_else", 40)

    added = {"run": f"--encoder pictograms {SMALL_CORPUS} words.txt"}
    session(OWN_PICTURES, folder, added)
    assert (folder / "decisions.csv").is_file()
    assert (folder / "detector.onnx").is_file()


@pytest.mark.slow
def test_the_commands_of_the_demo_and_what_looks_at_it_run(tmp_path: Path):
    folder = folder_of_a_checkout(tmp_path)
    unpack("id_train", folder / "my_photos", 150)
    (folder / "small_fit.yaml").write_text(SMALL_FIT.replace("WORDS", str(folder / "words.txt")))

    added = {
        "run": f"--encoder pictograms {SMALL_CORPUS} words.txt",
        "fit": "--config small_fit.yaml",
        "test": SMALL_TEST,
    }
    session(DEMO, folder, added)
    assert (folder / "report.html").is_file()
    assert (folder / "runs" / "edited" / "changes.csv").is_file()


@pytest.mark.slow
def test_the_commands_that_plan_a_table_run(tmp_path: Path):
    printed = session(PLANS, folder_of_a_checkout(tmp_path))
    (plan,) = [block for block in blocks(ROOT / "docs/cluster_tutorial.md") if block.language == "text"]
    assert missing(plan.text, printed[1]) == []


@pytest.mark.slow
def test_the_tutorial_runs_with_a_small_corpus(tmp_path: Path):
    folder = folder_of_a_checkout(tmp_path)
    (folder / "words.txt").write_text((folder / "words.txt").read_text() + "tropical\n")
    session(TUTORIAL, folder, {"run": f"{SMALL_CORPUS} ../words.txt"})
    assert (folder / "tutorial" / "watch.json").is_file()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(not shutil.which("tar"), reason="no tar")
def test_the_tutorial_prints_what_it_shows(tmp_path: Path):
    """All of it, Python too, with the whole corpus; digits are not compared."""
    page = ROOT / "docs" / "tutorial.md"
    parts = [block for block in blocks(page) if block.language in ("bash", "python")]
    done = run(parts, folder_of_a_checkout(tmp_path))
    assert done.status == 0, done.errors[-3000:]

    promised = "\n".join(block.text for block in blocks(page) if block.language == "text")
    assert missing(promised, "\n".join(done.output)) == []
