"""The pictures of a set within an archive."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from small_archives import picture, tar_of

from ood_lightning.data.cards.fetching import Fetch
from ood_lightning.data.get.members import pictures_of
from ood_lightning.errors import SourceError

MEMBERS = {
    "dtd/readme.txt": b"x",
    "dtd/images/banded/a.png": picture(0),
    "dtd/images/bubbly/b.png": picture(1),
    "dtd/images/c.gif": picture(2),
    "dtd/images2/d.png": picture(3),
}


@pytest.fixture(params=["tar", "zip"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "archive"  # what it is, its bytes say
    if request.param == "tar":
        path.write_bytes(tar_of(MEMBERS))
    else:
        with zipfile.ZipFile(path, "w") as opened:
            for name, data in MEMBERS.items():
                opened.writestr(name, data)
    return path


def test_paths_start_from_the_folder_that_is_meant(archive: Path):
    listing = pictures_of(archive, Fetch(archive="x", folder="dtd/images"))
    assert [entry.path for entry in listing.entries] == ["banded/a.png", "bubbly/b.png", "c.gif"]
    assert listing.entries[0].location.read() == picture(0)


def test_what_is_no_part_of_the_set_is_left_out(archive: Path):
    fetch = Fetch(archive="x", folder="dtd/images", leave_out=("bubbly/",), endings_out=("gif",))
    assert [entry.path for entry in pictures_of(archive, fetch).entries] == ["banded/a.png"]


@pytest.mark.parametrize("fetch", [Fetch(archive="x", folder="none"), Fetch(archive="x", leave_out=("none/",))])
def test_another_archive_than_the_cards_is_refused(archive: Path, fetch: Fetch):
    with pytest.raises(SourceError, match=r"is it the archive of the card|is it another"):
        pictures_of(archive, fetch)


def test_hostile_members_cannot_be_read(tmp_path: Path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind in [
            ("s/../../out.png", tarfile.REGTYPE),
            ("s/link.png", tarfile.SYMTYPE),
            ("s/ok.png", tarfile.REGTYPE),
        ]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            member.size = 0 if kind == tarfile.SYMTYPE else len(picture(0))
            tar.addfile(member, io.BytesIO(picture(0)))

    entries = pictures_of(path, Fetch(archive="x", folder="s")).entries
    read = {}
    for entry in entries:
        try:
            read[entry.path] = entry.location.read()
        except ValueError as error:
            read[entry.path] = str(error)
    assert read == {
        "../../out.png": "its name leads out of the archive",
        "link.png": "a link, device or sparse file, and no plain member",
        "ok.png": picture(0),
    }
