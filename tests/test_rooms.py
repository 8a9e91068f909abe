"""The plan of the rooms: imports go one way and in no circle, and a heavy guest comes in by one door."""

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from source_files import PACKAGE, ROOT, imported, parsed
from source_files import PACKAGE_FILES as FILES

LAYERS = [
    {"functional"},
    {"wordnet", "data", "encoders", "metrics"},
    # detectors know label sets as tensors, not their source; filtering knows them as words
    {"corpora", "clustering", "detectors", "calibration", "filtering", "watching"},
    {"label_sets", "report", "machine", "reasons"},
    {"evaluation", "datamodules", "page"},
    {"modules", "callbacks", "detector_folder"},
    {"making", "experiments", "revision"},
    {"reproduction", "growing"},
    {"cli"},
    {"front"},
]
# may be imported from anywhere
HALL = {
    *(
        "checks",
        "class_paths",
        "devices",
        "errors",
        "file_names",
        "hashes",
        "masking",
        "places",
        "plain_output",
        "plurals",
        "progress",
    ),
    *("ranges", "retries", "spelling", "text_files", "__init__"),
}
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
DOORS = {
    "open_clip": "encoders/openclip.py",
    "transformers": "encoders/huggingface.py",
    "nltk": "corpora/wordnet.py",
    "wandb": "callbacks/wandb.py",
    "pyarrow": "data/artifacts/scores.py",
    "imagecorruptions": "data/pack/corruptions.py",
    "scipy": "functional/conformal.py",
}
FURTHER_DOORS = {
    "open_clip": [
        "encoders/checkpoint.py",  # its factory
        "encoders/openclip_tags.py",  # its tables alone, no model
        "encoders/openclip_text.py",  # the parts of its text towers
        "encoders/quick_tokens.py",  # its tokenizer
        "encoders/shared_beginnings.py",  # the layers of its text towers
    ],
    "pyarrow": [
        "data/pack/parquet.py",  # pictures in tables, read without torch
        "data/rows/parquet.py",  # rows of `predict`, written and read
    ],
    "scipy": [
        "calibration/checks.py",  # the two-sample test
        "watching/false_discoveries.py",  # Benjamini and Hochberg
    ],
    "transformers": ["filtering/judges/transformers.py"],  # chat models, not towers
}


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
    home = path.relative_to(PACKAGE).parts[0]
    for module in imported(path):
        other = room(module)
        if not module.startswith("ood_lightning.") or other in HALL or other.startswith("__"):
            continue
        below = LEVEL[other] < LEVEL[home]
        assert other == home or below, f"{name(path)} imports {module}: {other} is not below {home}"


@pytest.mark.parametrize("path", [p for p in FILES if p.parent != PACKAGE], ids=name)
def test_types_alone_do_not_point_upwards_either(path: Path):
    home = path.relative_to(PACKAGE).parts[0]
    for module in imported(path, at_run_time=False):
        if module.startswith("ood_lightning.") and room(module) in LEVEL:
            assert LEVEL[room(module)] <= LEVEL[home], f"{name(path)} names {module}"


@pytest.mark.parametrize("path", [PACKAGE / f"{stem}.py" for stem in sorted(HALL)], ids=name)
def test_the_hall_imports_no_room(path: Path):
    assert not [m for m in imported(path, at_run_time=False) if m.startswith("ood_lightning.") and room(m) in LEVEL]


def modules() -> dict[str, Path]:
    """Files of the package by the names of their modules."""
    dotted = {path: path.relative_to(ROOT).with_suffix("").parts for path in FILES}
    return {".".join(parts).removesuffix(".__init__"): path for path, parts in dotted.items()}


def imports_of(path: Path, names: set[str]) -> Iterator[str]:
    """Modules of the package that run when a file and its functions do; a package's `__init__` runs first."""
    for target in imported(path):
        parts = target.split(".")
        yield from {".".join(parts[:n]) for n in range(1, len(parts) + 1)} & names


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import one another, each the next; empty if there are none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))  # graphlib lists each before those that import it
    return []


def test_no_module_imports_itself_by_way_of_others():
    """Inside rooms neither, and also where functions import."""
    files = modules()
    graph = {module: set(imports_of(path, set(files))) - {module} for module, path in files.items()}
    assert len(graph) > 150
    assert sum(map(len, graph.values())) > len(graph)
    assert not circle(graph), " imports ".join(circle(graph))


def test_a_circle_is_reported_in_the_order_of_its_imports():
    reported = circle({"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set()})
    start = reported.index("a")
    assert (reported[:-1] * 2)[start : start + 3] == ["a", "b", "c"]
    assert circle({"a": {"b", "c"}, "b": {"c"}}) == []


MOST_FILES = 17  # of a folder
# a formula, a detector, a way to make a label set, a command, a corpus
ONE_FILE_FOR_EACH = {"functional", "detectors", "label_sets", "cli", "corpora"}


def test_no_folder_is_a_drawer():
    folders = {path.parent for path in FILES}
    sizes = {name(folder): sum(path.parent == folder for path in FILES) for folder in folders}
    assert {folder for folder, n in sizes.items() if n > MOST_FILES} <= ONE_FILE_FOR_EACH


PRIVATE = {  # names of other libraries that begin with `_`; they may go with any release
    ("cli/parser_messages.py", "_actions"),  # jsonargparse's; a table there holds the others
    ("callbacks/wandb.py", "_experiment"),  # Lightning 2.6's WandbLogger keeps its run there
    ("callbacks/wandb.py", "_wandb_init"),  # and there what wandb.init is called with
    ("encoders/vision.py", "_pool"),  # open_clip 3.3's vision transformers
    ("data/shards/processes.py", "_exit"),  # os._exit is documented
}


def test_private_attributes_of_other_libraries_are_listed():
    read: set[tuple[str, str]] = set()
    ours = {"_replace", "_fields", "_asdict"}  # documented ones of NamedTuple
    for path in FILES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef):
                ours.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                ours.add(node.attr)
            elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
                read.add((name(path), node.attr))

    assert {(file, attribute) for file, attribute in read if attribute not in ours} == PRIVATE


@pytest.mark.slow
@pytest.mark.parametrize("guest", sorted(DOORS))
def test_a_heavy_guest_comes_in_by_one_door(guest: str):
    doors = [name(path) for path in FILES if any(m.split(".")[0] == guest for m in imported(path, at_run_time=False))]
    assert doors == sorted([DOORS[guest], *FURTHER_DOORS.get(guest, [])])


def test_the_functions_of_papers_know_torch_and_the_standard_library_alone():
    allowed = {"torch", "ood_lightning", *sys.stdlib_module_names}
    for path in (PACKAGE / "functional").glob("*.py"):
        further = {"scipy"} if path.name == "conformal.py" else set()  # torch has no quantile of the Beta distribution
        assert {module.split(".")[0] for module in imported(path)} <= allowed | further, name(path)


def test_lightning_is_not_known_below_the_modules():
    for path in FILES:
        home = path.relative_to(PACKAGE).parts[0]
        if LEVEL.get(home, 0) < LEVEL["evaluation"]:
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


WHOLE = {
    "architecture",
    "errors",
    "file_names",
    "fresh_environment",
    "fuzz",
    "masking",
    "golden",
    "gpu",
    "hashes",
    "interrupt",
    "killed",
    "killed_runs",
    "places",
    "plain_output",
    "ranges",
    "reading",
    "retries",
    "rooms",
    "scale",
    "scale_features",
    "slurm",
    "spelling",
    "text_files",
    "two_processes",
    "wheel",
}  # of the whole


def test_tests_lie_as_the_files_that_they_test():
    """`tests/ROOM/test_FILE.py`; what stands behind the file's name says which side of it."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        stem, folder = path.stem.removeprefix("test_"), path.parent.relative_to(ROOT / "tests")
        if folder == Path("."):
            assert stem in WHOLE, path
        else:
            tested = [p.stem for home in (PACKAGE, ROOT) for p in (home / folder).glob("*.py")]
            assert any(stem == file or stem.startswith(f"{file}_") for file in tested), path
