"""The rooms' arrow: imports go one way, and a heavy guest comes in by one door."""

import ast
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ood_lightning"
LAYERS = [
    {"functional"},
    {"wordnet", "data", "encoders", "metrics"},
    {"corpora", "clustering", "detectors"},  # a detector knows a label set as tensors, not where it comes from
    {"label_sets", "filtering", "report"},
    {"evaluation", "datamodules"},
    {"modules", "callbacks"},
    {"cli"},
]
HALL = {"errors", "hashes", "places", "plurals", "progress", "retries", "__init__"}  # may be imported from anywhere
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
DOORS = {
    "open_clip": "encoders/openclip.py",
    "transformers": "encoders/huggingface.py",
    "nltk": "corpora/wordnet.py",
    "webdataset": "data/shards/samples.py",
    "wandb": "callbacks/wandb.py",
    "pyarrow": "data/artifacts/scores.py",
    "imagecorruptions": "data/pack/corruptions.py",
}
FURTHER_DOORS = {
    "open_clip": [
        "encoders/openclip_tags.py",  # its tables alone, no model
        "encoders/openclip_text.py",  # the parts of its text towers
    ],
    "pyarrow": ["data/pack/parquet.py"],  # pictures in tables, read without torch
    "transformers": ["filtering/judges/transformers.py"],  # chat models, not towers
}
FILES = sorted(PACKAGE.rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path, at_run_time: bool = True) -> Iterator[str]:
    """Modules that a file imports, also inside functions; those under TYPE_CHECKING only if asked for."""
    tree = parsed(path)
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if at_run_time and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(module: str) -> str:
    """`ood_lightning.data.artifacts.label_set.LabelSet` lies in `data`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_every_room_stands_in_the_plan():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(LEVEL)
    assert {path.stem for path in PACKAGE.glob("*.py")} == HALL | {"__main__"}


@pytest.mark.parametrize("path", [p for p in FILES if p.parent != PACKAGE], ids=name)
def test_a_room_imports_from_layers_below_and_from_itself(path: Path):
    own = path.relative_to(PACKAGE).parts[0]
    for module in imported(path):
        if not module.startswith("ood_lightning.") or room(module) in HALL or room(module).startswith("__"):
            continue
        other = room(module)
        assert other == own or LEVEL[other] < LEVEL[own], f"{name(path)} imports {module}: {other} is not below {own}"


@pytest.mark.parametrize("path", [p for p in FILES if p.parent != PACKAGE], ids=name)
def test_types_alone_do_not_point_upwards_either(path: Path):
    own = path.relative_to(PACKAGE).parts[0]
    for module in imported(path, at_run_time=False):
        if module.startswith("ood_lightning.") and room(module) in LEVEL:
            assert LEVEL[room(module)] <= LEVEL[own], f"{name(path)} names {module}"


@pytest.mark.parametrize("path", [PACKAGE / f"{stem}.py" for stem in sorted(HALL)], ids=name)
def test_the_hall_imports_no_room(path: Path):
    assert not [m for m in imported(path, at_run_time=False) if m.startswith("ood_lightning.") and room(m) in LEVEL]


@pytest.mark.parametrize("guest", sorted(DOORS))
def test_a_heavy_guest_comes_in_by_one_door(guest: str):
    found = [name(path) for path in FILES if any(m.split(".")[0] == guest for m in imported(path, at_run_time=False))]
    assert found == sorted([DOORS[guest], *FURTHER_DOORS.get(guest, [])])


def test_the_functions_of_papers_know_torch_and_the_standard_library_alone():
    allowed = {"torch", "ood_lightning", *sys.stdlib_module_names}
    for path in (PACKAGE / "functional").glob("*.py"):
        assert {module.split(".")[0] for module in imported(path)} <= allowed, name(path)


def test_lightning_is_not_known_below_the_modules():
    for path in FILES:
        own = path.relative_to(PACKAGE).parts[0]
        if LEVEL.get(own, 0) < LEVEL["evaluation"]:
            assert not [m for m in imported(path, at_run_time=False) if m.split(".")[0] == "lightning"], name(path)


def test_nothing_unpickles_what_a_person_did_not_write():
    """`torch.load` only with weights_only; nothing of pickle's, but for its exception's name."""
    for path in FILES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert keywords.get("weights_only") == "True", name(path)
        used = {module for module in imported(path) if module.split(".")[0] in {"pickle", "marshal", "shelve", "dill"}}
        assert used <= {"pickle.UnpicklingError"}, name(path)


WHOLE = {  # of the whole, or of the hall
    "errors", "golden", "interrupt", "killed", "retries", "rooms", "slurm", "slurm_lines", "two_processes",
}  # fmt: skip


def test_tests_lie_as_the_files_that_they_test():
    """`tests/ROOM/test_FILE.py`; what stands behind the file's name says which side of it."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        stem, folder = path.stem.removeprefix("test_"), path.parent.relative_to(ROOT / "tests")
        if folder == Path("."):
            assert stem in WHOLE, path
        else:
            tested = [p.stem for p in (PACKAGE / folder).glob("*.py")]
            assert any(stem == file or stem.startswith(f"{file}_") for file in tested), path


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_the_word_lists_and_no_pictures(tmp_path: Path):
    if find_spec("build") is None or find_spec("hatchling") is None:
        pytest.skip("build and hatchling are not installed: pip install -e .[dev] hatchling")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        held = set(opened.namelist())
    expected = {str(path.relative_to(ROOT)) for path in FILES}
    expected |= {str(path.relative_to(ROOT)) for path in (PACKAGE / "corpora" / "frozen").iterdir()}
    expected |= {str(path.relative_to(ROOT)) for path in (PACKAGE / "data" / "cards").rglob("*.*")}
    assert expected <= held
    outside = {path.split("/")[0] for path in held} - {"ood_lightning"}
    assert all(folder.endswith(".dist-info") for folder in outside)
    assert not [path for path in held if path.endswith((".png", ".tar", ".safetensors", ".jpg", ".pyc"))]
    assert wheel.stat().st_size < 5e6
    assert any(path.endswith("entry_points.txt") for path in held)
