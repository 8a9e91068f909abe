"""What may be a picture by its name."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from source_files import ROOT

from ood_lightning.data.shards.decode import decode, endings, formats
from ood_lightning.data.shards.folders import folder_set
from ood_lightning.data.shards.formats import ENDINGS, UNREAD, may_be_picture
from ood_lightning.errors import SourceError


@pytest.mark.parametrize("ending", [ending for endings in (*ENDINGS.values(), UNREAD) for ending in endings])
def test_every_ending_in_any_case_may_be_a_picture(ending: str):
    assert may_be_picture(f"a.b/c.d.{ending}")
    assert may_be_picture(f"X.{ending.upper()}")
    assert not may_be_picture(f"a/._c.{ending}")
    assert not may_be_picture(f"__MACOSX/c.{ending}")


def test_formats_that_nothing_here_reads_are_named_and_not_passed_over():
    assert may_be_picture("0.jxl")
    assert may_be_picture("0.hif")


@pytest.mark.parametrize("name", ["notes.txt", "jpg", "a.jpg/b", "a.png.part", ""])
def test_other_names_are_none(name: str):
    assert not may_be_picture(name)


def test_the_formats_that_are_read_are_those_of_the_list_that_pillow_opens_here():
    decode(written("PNG"))  # brings Pillow's plugins
    assert set(formats()) == ENDINGS.keys() & Image.OPEN.keys()
    for name in formats():
        assert decode(written(name)).size == (8, 8)


@pytest.mark.parametrize("name", ["PPM", "ICO", "TGA", "PCX"])
def test_what_pillow_alone_would_open_is_refused_with_the_formats_that_are_read(name: str):
    assert {"PPM": "ppm", "ICO": "ico", "TGA": "tga", "PCX": "pcx"}[name] in UNREAD
    with pytest.raises(ValueError, match=r"bytes are none of JPEG, PNG, WebP"):
        decode(written(name))


def written(name: str) -> bytes:
    """A small picture in one of Pillow's formats."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, name)
    return file.getvalue()


def test_what_a_refusal_offers_is_read_here(tmp_path: Path):
    with pytest.raises(SourceError, match=rf"subfolders \({', '.join(endings())}\)"):
        folder_set(str(tmp_path), "id")
    assert ("heic" in endings()) == ("HEIF" in Image.OPEN)


def test_the_page_lists_the_same_endings():
    table = (ROOT / "docs/packing.md").read_text(encoding="utf-8").partition('id="picture-formats"')[2].split("\n\n")[1]
    rows = [re.findall(r"[a-z0-9]+", row.split("|")[2]) for row in table.splitlines()[2:]]
    assert rows == [[*of_format] for of_format in (*ENDINGS.values(), UNREAD)]
