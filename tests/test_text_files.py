"""Text as editors of any system write it."""

from pathlib import Path

import pytest

from ood_lightning.errors import CorpusError
from ood_lightning.text_files import lines_of, read_text


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_marks_and_line_ends_of_any_system(end: str, mark: str, tmp_path: Path):
    (tmp_path / "x.txt").write_bytes(f"{mark}a{end}{end}b\u2028c\x0b\x85{end}".encode())
    assert lines_of(read_text(tmp_path / "x.txt", "list", CorpusError)) == ["a", "", "b\u2028c\x0b\x85"]


def test_a_file_without_a_last_line_end_has_its_last_line():
    assert lines_of("a\nb") == ["a", "b"]
    assert lines_of("") == []


def test_what_cannot_be_read_is_named_with_its_line(tmp_path: Path):
    (tmp_path / "x.txt").write_bytes(b"a\nb \xe9\n")
    with pytest.raises(CorpusError, match=r"list .*x\.txt, line 2: byte 0xe9 at column 3 is no UTF-8"):
        read_text(tmp_path / "x.txt", "list", CorpusError)
    with pytest.raises(CorpusError, match="does not exist"):
        read_text(tmp_path / "y.txt", "list", CorpusError)
    with pytest.raises(CorpusError, match="cannot be read: Is a directory"):
        read_text(tmp_path, "list", CorpusError)
