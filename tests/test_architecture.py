"""The architecture page: its picture is drawn from the imports of today, and the files that it names are there."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ood_lightning"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_picture_of_the_rooms_is_not_stale():
    check = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "draw_rooms.py"), "--check"], capture_output=True, text=True
    )
    assert check.returncode == 0, check.stdout + check.stderr


def test_every_room_has_a_row():
    rows = [
        room
        for row in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", PAGE, re.MULTILINE)
        for room in re.findall(r"\w+", row)
    ]
    rooms = [folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file()]
    assert sorted(rows) == sorted(rooms)


def test_the_files_that_the_walks_name_are_there():
    named = re.findall(r"`([\w/]+\.py)`", PAGE)
    assert len(named) >= 20

    folders = [ROOT, PACKAGE, PACKAGE / "data" / "shards", PACKAGE / "detectors"]
    missing = [name for name in named if not any((folder / name).is_file() for folder in folders)]
    assert not missing


def test_the_tests_that_hold_the_promises_are_there():
    page = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/*]+\.py)`", page)
    assert len(named) >= 25
    assert not [pattern for pattern in named if not list(ROOT.glob(pattern))]


def test_every_room_is_in_the_reference_or_named_as_an_inside():
    folder = ROOT / "docs" / "api"
    index = (folder / "index.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"(?ms)^Of (.+?) nothing is meant", index)
    insides = re.findall(r"`(\w+)`", named)
    pages = [path.stem for path in folder.glob("*.md") if path.stem != "index"]
    rooms = [path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()]
    assert sorted([*pages, *insides]) == sorted(rooms)

    listed = re.findall(r"(?m)^\| \[`(\w+)`\]", index)
    assert sorted(listed) == sorted(pages)
