"""Keys of images: unique and safe, whatever the files are called."""

import os
import string
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packed_sets import packed, recorded_paths, run
from shard_files import encoded

from ood_lightning.data.pack.keys import LONGEST, keys_of

SAFE = set(string.ascii_letters + string.digits + "_-/")
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: not name.startswith("._") and name not in (".", "..", "__MACOSX")
)
TREES = st.sets(st.tuples(st.lists(NAMES, max_size=2), NAMES, st.sampled_from(["png", "JPG", "gif"])).map(
    lambda t: "/".join([*t[0], f"{t[1]}.{t[2]}"])
), min_size=1, max_size=12)  # fmt: skip


def write_pictures(folder: Path, names: list[str]) -> dict[str, bytes]:
    """A different picture for each name that the file system takes; the bytes of each."""
    written = {}
    for i, name in enumerate(names):
        data = encoded((9, 9, 9), i, size=1) + str(i).encode()
        try:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        except OSError:  # a file and a folder of one name, or names of more bytes than allowed
            continue
        written[name] = data
    return written


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(tree=TREES, size=st.integers(1, 5))
def test_any_tree_is_packed_once_with_its_bytes(tree: set[str], size: int):
    with tempfile.TemporaryDirectory() as work:
        source = Path(work, "in")
        expected = write_pictures(source, sorted(tree))
        if not expected:
            return
        out = Path(work, "out")
        assert run(source, out, "--labels=none", f"--samples_per_shard={size}") == 0

        data_of = {key: data for key, data, _ in packed(out)}
        assert len({key.casefold() for key in data_of}) == len(expected)
        assert all(set(key) <= SAFE for key in data_of)

        path_of = recorded_paths(out)
        key_of = {path: key for key, path in path_of.items()}
        keys = {name: key_of.get(name, name.rpartition(".")[0]) for name in expected}
        assert {name: data_of[key] for name, key in keys.items()} == expected


def test_names_that_no_tar_likes(tmp_path: Path):
    names = ["a b.png", "a.b.png", "new\nline.png", "ünï.png", "日本.png", "A.PNG", "a.png", "-x.png", ".png.png"]
    names += ["__x__/1.png", "日本語日/1.png", os.fsdecode(b"\xff\xfe.png"), "x" * 200 + ".png"]
    assert len(write_pictures(tmp_path / "in", names)) == len(names)
    assert run(tmp_path / "in", tmp_path / "out", "--labels=none") == 0
    assert len(packed(tmp_path / "out")) == len(names)
    assert set(names) - set(recorded_paths(tmp_path / "out").values()) == {"-x.png"}


def test_keys_do_not_depend_on_what_else_is_there_but_for_clashes():
    assert keys_of(["n01/x.JPEG", "n02/x.JPEG"]) == ["n01/x", "n02/x"]
    twice = keys_of(["x.png", "x.png", "X.png"])
    assert len({key.casefold() for key in twice}) == 3


def test_a_long_key_leaves_room_for_its_hash_and_ending():
    (key,) = keys_of(["y" * 300 + ".png"])
    assert key[:LONGEST] == "y" * LONGEST
    assert len(f"{key}-99999.json") < 255

    (cut_at_a_folder,) = keys_of(["y" * (LONGEST - 1) + "/x.png"])
    assert "/" not in cut_at_a_folder, "a name that begins with a dash could be taken for an option"
