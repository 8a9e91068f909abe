"""Parquet files as the `datasets` library exports them."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_hub import parquet_table
from packed_sets import packed, run
from shard_files import COLOURS, encoded

from ood_lightning.data.shards.read_manifest import read_manifest


def exported(pictures: list[bytes]) -> pa.Table:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = pa.array([{"bytes": data, "path": None} for data in pictures], kind)
    metadata = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    columns = pa.table({"image": cells, "label": [0, 1, 1, 0, None]})
    return columns.replace_schema_metadata({"huggingface": json.dumps(metadata)})


@pytest.fixture
def pictures() -> list[bytes]:
    return [encoded(COLOURS["red"], i) for i in range(5)]


@pytest.mark.parametrize("source", ["hf", "hf/test-00000.parquet"])
def test_parquet_as_hugging_face_exports_it(pictures: list[bytes], tmp_path: Path, source: str):
    (tmp_path / "hf").mkdir()
    pq.write_table(exported(pictures), tmp_path / "hf/test-00000.parquet", row_group_size=2)
    assert run(tmp_path / source, tmp_path / "out") == 0

    images = packed(tmp_path / "out")
    assert [data for _, data, _ in images] == pictures
    assert [label for _, _, label in images] == [0, 1, 1, 0, -1]
    assert read_manifest(str(tmp_path / "out")).class_names == ("cat", "dog")


def test_columns_that_are_not_read_are_named(pictures: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pq.write_table(exported(pictures).rename_columns(["image", "fine_label"]), tmp_path / "fine.parquet")
    assert run(tmp_path / "fine.parquet", tmp_path / "out") == 0
    assert "columns not read: fine_label\n" in capsys.readouterr().out
    assert [label for _, _, label in packed(tmp_path / "out")] == [-1] * 5


def test_a_table_without_images_or_with_labels_of_another_kind_is_refused(
    pictures: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    assert run(tmp_path / "x.parquet", tmp_path / "out") == 2
    assert f"error: {tmp_path}/x.parquet has the columns x, and none of encoded pictures" in capsys.readouterr().err

    pq.write_table(pa.table({"image": pictures, "label": [0.5] * 5}), tmp_path / "y.parquet")
    assert run(tmp_path / "y.parquet", tmp_path / "out") == 2
    assert "y.parquet: its column label is double, expected integers or text" in capsys.readouterr().err

    (tmp_path / "cut.parquet").write_bytes((tmp_path / "y.parquet").read_bytes()[:-9])
    assert run(tmp_path / "cut.parquet", tmp_path / "out") == 2
    assert "cut.parquet is no sound Parquet file" in capsys.readouterr().err


def test_a_folder_of_parquet_files_has_splits_where_its_names_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    copy = Path("copy")
    copy.mkdir()
    for name, n in (("test-00000-of-00002", 5), ("test-00001-of-00002", 3), ("train-00000-of-00001", 4)):
        (copy / f"{name}.parquet").write_bytes(parquet_table(0, n))
    assert run(copy, Path("out")) == 2
    assert "copy has 2 splits: choose one by --split" in capsys.readouterr().err
    assert run(copy, Path("out"), "--split=val") == 2
    assert "copy has no split 'val'" in capsys.readouterr().err

    assert run(copy, Path("test"), "--split=test") == 0
    assert (read_manifest("test").n_samples, read_manifest("test").source) == (8, "copy split test")
    assert run(copy, Path("test"), "--split=train") == 2, "another split in the folder of the first"

    for path in list(copy.iterdir()):
        path.rename(copy / ("more.parquet" if "train" in path.name else path.name.replace("test", "part")))
    assert run(copy, Path("unnamed")) == 0, "these names speak of no splits"
    assert read_manifest("unnamed").n_samples == 12
