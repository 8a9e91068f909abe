"""Corrupted sets: what is drawn, and that the same seed gives the same bytes whoever works."""

import io
import json
import sys
import tarfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from shard_files import MakeSet

from ood_lightning.cli.data_corrupt import _severities
from ood_lightning.cli.main import main
from ood_lightning.data.pack import corruptions
from ood_lightning.data.pack.corruptions import NAMES, SEEDED, Corrupted, central, drawn
from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.data.shards.samples import read_samples
from ood_lightning.errors import SettingsError


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that adds severity-fold noise from the generator that the real one would draw from."""

    def corrupt(image: np.ndarray, severity: int, corruption_name: str, seed: int | None = None) -> np.ndarray:
        assert (seed is not None) == (corruption_name in SEEDED)
        draw = np.random if seed is None else np.random.default_rng(seed)
        noise = 4 * severity * draw.normal(size=image.shape)
        return np.clip(image + noise, 0, 255).astype(np.uint8)

    module = ModuleType("imagecorruptions")
    module.corrupt = corrupt  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "imagecorruptions", module)
    monkeypatch.setattr(corruptions.metadata, "version", lambda _: "1.0")


def run(source: Path, out: str, *more: str) -> int:
    return main(["data", "corrupt", str(source), "--out", out, "--workers=1", *more])


def content(out: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(out).iterdir()) if path.is_file()}


def metadata_by_key(path: Path) -> dict[str, dict[str, Any]]:
    """What the `.json` members of a tar say."""
    with tarfile.open(path) as tar:
        names = [name for name in tar.getnames() if name.endswith(".json")]
        return {name.removesuffix(".json"): json.load(tar.extractfile(name)) for name in names}  # type: ignore[arg-type]


@pytest.mark.usefixtures("stand_in")
def test_the_set_is_a_covariate_one_with_the_labels_of_its_source(sets: Path):
    assert run(sets / "id_test", "out", "--samples=40", "--severity=2,4") == 0
    manifest = read_manifest("out")
    assert (manifest.name, manifest.role, manifest.n_samples) == ("id_test_c", "covariate", 40)
    assert manifest.class_names == ("red", "green")
    for part in ("40 of gaussian_noise, shot_noise", "severity 2, 4; seed 0; imagecorruptions-imaug 1.0"):
        assert part in manifest.source

    source = read_manifest(str(sets / "id_test"))
    label_of = {image.key: image.label for shard in source.shards for image in read_samples(source.path(shard))}
    metadata_of = metadata_by_key(Path("out/id_test_c-000000.tar"))
    for image in read_samples(manifest.path(manifest.shards[0])):
        metadata = metadata_of[image.key]
        key = metadata["from"].split()[1]
        assert image.key == f"{key}-{metadata['corruption']}-{metadata['severity']}"
        assert image.label == label_of[key]
        opened = Image.open(io.BytesIO(image.data))
        assert (opened.format, opened.size, opened.mode) == ("JPEG", (224, 224), "RGB")
    assert main(["data", "check", "out", str(sets / "id_test")]) == 0


@pytest.mark.usefixtures("stand_in")
def test_a_corrupted_ood_set_is_an_ood_set(sets: Path):
    assert run(sets / "blues", "out", "--samples=4") == 0
    assert read_manifest("out").role == "ood"


@pytest.mark.slow
@pytest.mark.usefixtures("stand_in")
def test_workers_shards_and_restarts_change_no_byte_and_the_seed_does(sets: Path):
    options = ["--samples=30", "--severity=3", "--samples_per_shard=8"]
    assert run(sets / "id_test", "one", *options) == 0
    assert run(sets / "id_test", "three", *options, "--workers=3") == 0
    assert content("one") == content("three")

    Path("three/id_test_c-000001.tar").unlink()
    torch.rand(1), np.random.random()  # noqa: NPY002
    assert run(sets / "id_test", "three", *options) == 0
    assert content("one") == content("three")

    assert run(sets / "id_test", "other", *options, "--seed=1") == 0
    assert content("one")["id_test_c-000000.tar"] != content("other")["id_test_c-000000.tar"]
    assert run(sets / "id_test", "one", *options, "--seed=1") == 2  # another draw does not mix with this one


@pytest.mark.usefixtures("stand_in")
def test_numpys_own_state_is_left_as_it_was(sets: Path):
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    assert run(sets / "shifted", "out", "--samples=5") == 0
    assert np.random.random() == expected  # noqa: NPY002


def test_the_draw_takes_each_once_and_all_if_there_are_few(sets: Path):
    manifest = read_manifest(str(sets / "id_test"))

    def rows(samples: int, seed: int = 0) -> list[tuple[str, str, int]]:
        return [(d.source, d.corruption, d.severity) for d in drawn(manifest, NAMES, (1, 5), samples, seed)]

    every = rows(10_000)
    keys = [image.key for shard in manifest.shards for image in read_samples(manifest.path(shard))]
    assert every == [(key, name, severity) for key in keys for name in NAMES for severity in (1, 5)]
    assert len(every) == 12 * 15 * 2

    hundred = rows(100)
    assert len(set(hundred)) == 100
    assert [row for row in every if row in set(hundred)] == hundred  # in the set's order
    assert rows(100) == hundred != rows(100, seed=1)

    hits = Counter(row for seed in range(300) for row in rows(36, seed))
    assert len(hits) == 360  # every one can be drawn, and about as often: 30 +- 5.2
    assert 8 < min(hits.values()) <= max(hits.values()) < 56


def test_another_seed_version_or_source_makes_another_shard(sets: Path):
    draws = tuple(drawn(read_manifest(str(sets / "id_test")), NAMES, (1,), 5, 0))
    recipe = Corrupted(draws, "source", 0, "1.0")
    others = [
        replace(recipe, seed=1),
        replace(recipe, version="1.1"),
        replace(recipe, source="another"),
        replace(recipe, draws=draws[:4]),
        replace(recipe, draws=(draws[0]._replace(label=7), *draws[1:])),
    ]
    assert len({other.fingerprint for other in [recipe, *others]}) == 1 + len(others)
    assert Corrupted(draws, "source", 0, "1.0").fingerprint == recipe.fingerprint


def test_pictures_with_one_key_in_two_shards_get_keys_of_their_own(tmp_path: Path, make_set: MakeSet):
    folder = make_set(tmp_path, "x", shards=(2, 2))
    (tmp_path / "other").mkdir()
    other = make_set(tmp_path / "other", "x", shards=(2,), seed=5)  # other pictures under the same keys
    (folder / "x-000001.tar").write_bytes((other / "x-000000.tar").read_bytes())
    (folder / "manifest.json").unlink()
    manifest = read_manifest(f"{folder}/x-{{000000..000001}}.tar")
    keys = [d.key for d in drawn(manifest, NAMES, (1,), 1000, 0)]
    assert len({key.casefold() for key in keys}) == len(keys) == 60


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (64, 64), (30, 301), (257, 256)])
def test_the_centre_is_the_one_that_torchvision_cuts(size: tuple[int, int]):
    from torchvision.transforms import CenterCrop, Compose, Resize

    image = Image.radial_gradient("L").resize(size).convert("RGB")
    expected = Compose([Resize(256), CenterCrop(224)])(image)
    np.testing.assert_array_equal(np.asarray(central(image)), np.asarray(expected))


def test_severities_as_a_person_writes_them(sets: Path, capsys: pytest.CaptureFixture[str]):
    assert [_severities(t) for t in ("3", "1-5", "1,3", "5,2-3")] == [(3,), (1, 2, 3, 4, 5), (1, 3), (2, 3, 5)]
    for wrong in ("0", "6", "5-1", "x", "", "1-9"):
        with pytest.raises(SettingsError, match="expected numbers from 1 to 5"):
            _severities(wrong)
    assert run(sets / "id_test", "out", "--corruptions", "fog", "mist") == 2
    assert "there is no corruption 'mist': expected all, or some of gaussian_noise" in capsys.readouterr().err


def test_without_the_package_it_says_how_to_get_it(
    sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def absent(_: str) -> str:
        raise corruptions.metadata.PackageNotFoundError

    monkeypatch.setattr(corruptions.metadata, "version", absent)
    assert run(sets / "id_test", "out") == 2
    assert "pip install 'ood-lightning[corrupt]'" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.slow
def test_the_real_package_knows_all_fifteen_and_obeys_the_seed(sets: Path):
    package = pytest.importorskip("imagecorruptions", reason="imagecorruptions-imaug is not installed: .[corrupt]")
    assert tuple(package.get_corruption_names()) == NAMES
    assert run(sets / "shifted", "out", "--samples=10000", "--severity=1,5", "--name=all_of_it") == 0
    assert run(sets / "shifted", "again", "--samples=10000", "--severity=1,5", "--name=all_of_it", "--workers=2") == 0
    assert content("out") == content("again")
    manifest = read_manifest("out")
    assert manifest.n_samples == 7 * 15 * 2
    assert len({s.data for shard in manifest.shards for s in read_samples(manifest.path(shard))}) == 7 * 15 * 2
