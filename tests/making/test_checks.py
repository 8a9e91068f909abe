"""What a run says before a picture is looked at."""

from pathlib import Path

import pytest
from picture_folders import coloured

from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.making.checks import foreign, out_among_pictures


@pytest.mark.parametrize(
    ("out", "inside"), [("photos", True), ("photos/runs/x", True), ("runs/x", False), ("photos2", False), (".", False)]
)
def test_a_run_that_writes_among_the_pictures_says_so(
    out: str, inside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    coloured(Path("photos"), 2)
    remarks = out_among_pictures(Path(out), [read_manifest("photos", "id")] * 2)
    assert bool(remarks) == inside
    assert not inside or remarks[0].startswith(f"{out} lies in photos, among the pictures: ")


def test_what_a_run_writes_makes_no_other_set(tmp_path: Path):
    folder = coloured(tmp_path / "photos", 2)
    before = read_manifest(str(folder), "id").fingerprint
    for name in ("detector/labels.json", "votes.safetensors", "decisions.csv", "summary.md", "last.ckpt", ".lock"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    assert read_manifest(str(folder), "id").fingerprint == before


def test_names_are_compared_with_those_of_a_set_that_has_some(tmp_path: Path):
    pictograms, names = read_manifest("builtin:pictograms/shards/id_test", "id"), tmp_path / "names.txt"
    names.write_text("excavator\nfork\n")
    (remark,) = foreign(str(names), [pictograms])
    assert "names.txt' has 0 of the" in remark
    names.write_text("\n".join(pictograms.class_names))
    assert not foreign(str(names), [pictograms])

    names.write_text("excavator\nfork\n")
    assert not foreign(str(names), [read_manifest(str(coloured(tmp_path / "photos", 2)), "id")])
