"""What 16-bit towers cost is measured once a set, on the device that embeds, and kept beside the features."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.features import FeatureFolder
from ood_lightning.data.artifacts.precision import FromFP32
from ood_lightning.data.shards.manifest import Manifest
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.datamodules.embedding import embed
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.errors import FeatureError

CPU = torch.device("cpu")


@pytest.fixture
def train(sets: Path) -> Manifest:
    return read_manifest(str(sets / "train"))  # shards of 20, 8 and 20 pictures


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Precision and size of every batch."""
    seen: list[tuple[str, int]] = []
    original = OpenClip._projected

    def spy(self: OpenClip, image: Tensor, *, hooked: bool = False) -> Tensor:
        seen.append((self.tower_precision, len(image)))
        return original(self, image, hooked=hooked)

    monkeypatch.setattr(OpenClip, "_projected", spy)
    return seen


def of(tiny_model: Path, **options: Any) -> OpenClip:
    return OpenClip(f"local-dir:{tiny_model}", **options)


def run(encoder: OpenClip, manifest: Manifest, **options: Any) -> FeatureFolder:
    return embed(encoder, manifest, "cache", device=CPU, num_workers=0, **options)


def test_the_difference_is_that_of_a_loop_over_numbers():
    exact = torch.nn.functional.normalize(torch.randn(5, 7, generator=torch.Generator().manual_seed(0)))
    computed = torch.nn.functional.normalize(
        exact + 0.01 * torch.randn(5, 7, generator=torch.Generator().manual_seed(1))
    )
    difference = FromFP32.of(computed, exact, torch.float16, "bf16", "cpu")

    stored = computed.half()
    rows = [([float(x) for x in one], [float(x) for x in other]) for one, other in zip(stored, exact, strict=True)]
    cosines = [sum(a * b for a, b in zip(x, y, strict=True)) / math.hypot(*x) / math.hypot(*y) for x, y in rows]
    largest = max(abs(a - b) for x, y in rows for a, b in zip(x, y, strict=True))
    rounding = max(abs(float(a) - float(b)) for a, b in zip(stored.flatten(), computed.flatten(), strict=True))

    assert difference == FromFP32(
        "bf16", "float16", "cpu", 5, pytest.approx(largest), pytest.approx(min(cosines)), pytest.approx(rounding)
    )
    assert difference.largest_difference > 10 * difference.largest_rounding > 0


def test_nothing_differs_from_itself_but_by_rounding():
    exact = torch.nn.functional.normalize(torch.randn(5, 64, generator=torch.Generator().manual_seed(0)))
    same = FromFP32.of(exact, exact, torch.float32, "fp32", "cpu")
    assert (same.largest_difference, same.largest_rounding) == (0.0, 0.0)
    assert same.smallest_cosine == pytest.approx(1.0, abs=1e-12)
    rounded = FromFP32.of(exact, exact, torch.float16, "fp32", "cpu")
    assert 0 < rounded.largest_difference == rounded.largest_rounding <= 2.0**-12  # half a step below 1


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_the_statement_holds_for_what_is_stored(tiny_model: Path, train: Manifest, precision: Any):
    folder = run(of(tiny_model, precision=precision), train)
    stated = FromFP32.read(folder.path)
    assert stated is not None
    assert (stated.precision, stated.feature_dtype, stated.device) == (precision, "float16", "cpu")
    assert stated.pictures == 20  # the largest shard has no more

    exact = run(of(tiny_model, feature_dtype="float32"), train).read().image[:20].double()
    stored = folder.read().image[:20].double()
    assert stated.largest_difference == pytest.approx(float((stored - exact).abs().max()), rel=1e-3)
    assert stated.smallest_cosine == pytest.approx(float(torch.cosine_similarity(stored, exact).min()), abs=1e-7)
    assert 1e-5 < stated.largest_difference < 0.05
    assert 0.999 < stated.smallest_cosine < 1


def test_sixty_four_pictures_are_enough_and_batches_stay_small(
    tiny_model: Path, make_set: Any, tmp_path: Path, encodings: list[tuple[str, int]]
):
    manifest = read_manifest(str(make_set(tmp_path, "many", shards=(3, 90))))
    folder = run(of(tiny_model, precision="bf16"), manifest, batch_size=40)
    stated = FromFP32.read(folder.path)
    assert stated is not None
    assert stated.pictures == 64
    assert [n for precision, n in encodings if precision == "fp32"] == [40, 24]
    assert sum(n for precision, n in encodings if precision == "bf16") == 64 + 93


def test_a_restart_measures_nothing_again(tiny_model: Path, train: Manifest, encodings: list[tuple[str, int]]):
    folder = run(of(tiny_model, precision="bf16"), train)
    before = (folder.path / "precision.json").stat().st_mtime_ns
    folder.file(train.shards[0]).unlink()
    encodings.clear()
    run(of(tiny_model, precision="bf16"), train)
    assert encodings == [("bf16", 20)]
    assert (folder.path / "precision.json").stat().st_mtime_ns == before


@pytest.mark.slow
def test_one_of_many_processes_measures_and_no_set_in_float32(
    tiny_model: Path, train: Manifest, encodings: list[tuple[str, int]]
):
    for rank in (2, 1):
        folder = run(of(tiny_model, precision="bf16"), train, rank=rank, world_size=3)
    assert FromFP32.read(folder.path) is None
    assert {precision for precision, _ in encodings} == {"bf16"}
    run(of(tiny_model, precision="bf16"), train, rank=0, world_size=3)
    assert FromFP32.read(folder.path) is not None
    assert FromFP32.read(run(of(tiny_model), train).path) is None


def test_features_that_overflow_are_told_as_ever(tiny_model: Path, train: Manifest, monkeypatch: pytest.MonkeyPatch):
    def overflowing(self: OpenClip, image: Tensor, **_: bool) -> Tensor:
        return torch.full((len(image), 4), torch.inf)

    monkeypatch.setattr(OpenClip, "_projected", overflowing)
    with pytest.raises(FeatureError, match=r"the features are no unit vectors \(row 0 of 20 .* Use precision fp32"):
        run(of(tiny_model, precision="fp16"), train)


def test_without_room_for_float32_it_is_measured_on_the_cpu(
    tiny_model: Path, train: Manifest, monkeypatch: pytest.MonkeyPatch, encodings: list[tuple[str, int]]
):
    original, loads = OpenClip.load, []

    def crowded(self: OpenClip, device: torch.device) -> None:
        loads.append((self.tower_precision, device.type))
        if loads == [("bf16", "cpu"), ("fp32", "cpu")]:
            raise torch.OutOfMemoryError("no room")
        original(self, device)

    monkeypatch.setattr(OpenClip, "load", crowded)
    assert FromFP32.read(run(of(tiny_model, precision="bf16"), train).path) is not None
    assert [n for precision, n in encodings if precision == "fp32"] == [20]


def test_embed_prints_it_and_prints_it_again(tiny_model: Path, sets: Path, capsys: pytest.CaptureFixture[str]):
    init = {"model": f"local-dir:{tiny_model}", "precision": "bf16"}
    encoder = {"class_path": "ood_lightning.encoders.openclip.OpenClip", "init_args": init}
    settings = {"encoder": encoder, "shards": [str(sets / "blues")], "cache_dir": "cache", "num_workers": 0}
    Path("embed.yaml").write_text(yaml.safe_dump(settings))

    printed = []
    for _ in range(2):
        assert main(["embed", "--config", "embed.yaml"]) == 0
        printed.append([line for line in capsys.readouterr().out.splitlines() if "from fp32" in line])

    (line,) = printed[0]
    assert line.startswith("blues: bf16 towers, stored in float16: at most ")
    assert " (5 pictures, cpu; rounding to float16 alone: " in line
    assert printed[1] == printed[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"device": ...}, "device is missing"),
        ({"pictures": -1}, "pictures is -1: input should be greater than or equal to 0"),
        ({"largest_rounding": "0.1"}, "largest_rounding is '0.1'"),
        ({"median": 0.5}, "median is a key that nothing here knows"),
    ],
)
def test_a_damaged_statement_names_the_field_and_says_what_to_do(tmp_path: Path, change: dict[str, object], words: str):
    FromFP32("bf16", "float16", "cpu", 5, 0.1, 0.9, 0.01).write(tmp_path)
    assert FromFP32.read(tmp_path) == FromFP32("bf16", "float16", "cpu", 5, 0.1, 0.9, 0.01)

    content = json.loads((tmp_path / "precision.json").read_text()) | change
    kept = {key: value for key, value in content.items() if value is not ...}
    (tmp_path / "precision.json").write_text(json.dumps(kept))
    with pytest.raises(FeatureError, match=rf"precision\.json: {words}.*\. The file is damaged: remove it"):
        FromFP32.read(tmp_path)


def test_a_statement_cut_short_is_damaged_too(tmp_path: Path):
    (tmp_path / "precision.json").write_text("{")
    with pytest.raises(FeatureError, match=r"precision\.json is not readable as JSON.*: remove it"):
        FromFP32.read(tmp_path)


@pytest.mark.slow
def test_a_run_that_reads_features_states_it_too(tiny_model: Path, eval_yaml: Path, capsys: pytest.CaptureFixture[str]):
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["data"]["init_args"]["encoder"]["init_args"]["precision"] = "bf16"
    eval_yaml.write_text(yaml.safe_dump(settings))
    for _ in range(2):
        assert main(["test", "--config", str(eval_yaml)]) == 0
        err = capsys.readouterr().err
        assert [f"{name}: bf16 towers" in err for name in ("id_test", "shifted", "blues", "greys")] == [True] * 4
