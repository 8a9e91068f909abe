"""Images that are nearly the same, by their features."""

import json
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from checked_sets import run_check, set_of
from shard_files import MakeSet, encoded

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.features import Features
from ood_lightning.data.check import near_duplicates as near_duplicates_module
from ood_lightning.data.check.near_duplicates import near_duplicates, stored
from ood_lightning.data.shards.manifest import Manifest, Shard


@pytest.fixture
def whole(tmp_path: Path, make_set: MakeSet) -> Path:
    return make_set(tmp_path, "whole", colours=("red", "green"), shards=(4, 3))


def unit(rows: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(rows, dim=1)


def features(name: str, image: torch.Tensor) -> Features:
    return Features(name, image, torch.full((len(image),), -1), [f"{name}{i}" for i in range(len(image))], [])


def test_near_duplicates_are_those_of_a_loop():
    draw = torch.Generator().manual_seed(0)
    reference = unit(torch.randn(40, 6, generator=draw))
    shifted = reference[:5] + 0.05 * torch.randn(5, 6, generator=draw)
    query = unit(torch.cat([shifted, torch.randn(20, 6, generator=draw)]))

    expected = []
    for i, row in enumerate(query.double()):
        cosines = [float(row @ other) for other in reference.double()]
        if max(cosines) >= 0.95:
            expected.append((-max(cosines), f"o{i}", f"i{cosines.index(max(cosines))}"))
    expected.sort()

    pairs = near_duplicates(features("o", query), features("i", reference), 0.95)
    assert len(pairs) >= 5
    assert [(pair.key, pair.nearest) for pair in pairs] == [(key, nearest) for _, key, nearest in expected]
    torch.testing.assert_close([pair.cosine for pair in pairs], [-cosine for cosine, _, _ in expected])


def test_no_cosine_is_short_of_1_by_rounding():
    halves = unit(torch.randn(40, 6, generator=torch.Generator().manual_seed(0))).half()
    pairs = near_duplicates(features("o", halves), features("i", halves), 0.999999)
    assert len(pairs) == 40
    assert max(pair.cosine for pair in pairs) <= 1


def test_images_that_had_no_features_shift_no_name(monkeypatch: pytest.MonkeyPatch):
    """Shard `a` has three images, of which the second could not be read; shard `b` has two."""
    manifest = Manifest("x", "id", (Shard("a", 3, 0), Shard("b", 2, 0)))
    kept = replace(features("", torch.eye(4)), keys=["1", "3", "1", "2"], bad=["a 2: cut"])

    class Folder:
        def read(self, max_bad_samples: int) -> Features:
            return kept

    monkeypatch.setattr(near_duplicates_module, "FeatureFolder", lambda *_: Folder())
    (named,) = stored(Path("encoder"), [manifest], 1)
    assert named.keys == ["a 1", "a 3", "b 1", "b 2"]


def test_near_duplicates_come_from_the_cache(
    whole: Path, tmp_path: Path, encoder_yaml: dict[str, Any], capsys: pytest.CaptureFixture[str]
):
    embed = ["embed", f"--encoder={json.dumps(encoder_yaml)}", "--num_workers=0", "--cache_dir=cache", "--shards"]
    with tarfile.open(whole / "whole-000000.tar") as tar:
        file = tar.extractfile("whole0000.png")
        assert file is not None
        same = file.read()
    ood = set_of(tmp_path / "far", [[("x.png", same + b"\0"), ("y.png", encoded((0, 0, 0), 1))]])  # other bytes
    double = set_of(
        tmp_path / "double", [[("x.png", encoded((0, 0, 0), 2))], [("x.png", same), ("z.png", same + b"1")]]
    )

    assert main(["data", "check", str(whole), "--ood", str(ood), "--features=cache"]) == 2
    said = capsys.readouterr().err
    assert "holds none: run `embed`" in said
    assert "check:" not in said  # nothing was read before

    assert main(["data", "check", str(whole), "--ood", str(ood)]) == 0
    assert "nearly ID ones were not looked for: that takes --features" in capsys.readouterr().out

    assert main([*embed, str(whole), str(ood), str(double)]) == 0
    status, problems = run_check(whole, "--ood", ood, "--features=cache", "--near=0.99999")
    assert status == 1
    assert [(p["kind"], p["where"]) for p in problems] == [("near", "0.tar x")]
    assert problems[0]["what"] == "has cosine 1.0000 with whole-000000.tar whole0000 of set 'whole'"
    both = run_check(whole, "--ood", double, "--features=cache", "--near=0.99999")[1]
    assert [(p["kind"], p["where"]) for p in both] == [("duplicate", "1.tar x"), ("near", "1.tar z")]

    (encoder,) = Path("cache").iterdir()
    assert run_check(whole, "--ood", ood, f"--features={encoder}", "--near=0.99999") == (1, problems)
    shutil.copytree(encoder, "cache/another")
    assert main(["data", "check", str(whole), "--ood", str(ood), "--features=cache"]) == 2
    assert "holds those of 2 encoders: name one of" in capsys.readouterr().err
