"""Two processes give what one gives, to the last bit: gradients, scores and gathered results."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import yaml

from ood_lightning.cli.main import main
from ood_lightning.data.shards.manifest import plan
from ood_lightning.data.shards.read_manifest import read_manifest

pytestmark = pytest.mark.slow
TWO = ("--trainer.devices=2", "--trainer.accelerator=cpu")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]


def test_two_processes_train_the_same_heads_and_elect_the_same_labels(fit_yaml: Path, tmp_path: Path):
    assert main(["fit", "--config", str(fit_yaml)]) == 0
    one = tmp_path / "run/fit"
    two = tmp_path / "run/two"
    command = [sys.executable, "-m", "ood_lightning", "fit", "--config", str(fit_yaml), *TWO]
    # a cache of its own: the second process embeds its share of the shards too
    command += ["--trainer.strategy=ddp", f"--trainer.default_root_dir={two}", "--data.cache_dir=cache_of_two"]
    ran = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "MEMBER: 2/2" in ran.stderr
    assert (two / "labels.json").read_bytes() == (one / "labels.json").read_bytes()
    assert (two / "posmine.json").read_bytes() == (one / "posmine.json").read_bytes()
    mine, theirs = weights(one), weights(two)
    assert mine.keys() == theirs.keys()
    different = [name for name in mine if not torch.equal(mine[name], theirs[name])]
    assert not different
    assert any(name.startswith("student.") for name in mine)


def test_two_processes_score_ragged_shards_as_one_does(
    eval_yaml: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["model"]["init_args"]["streams"] = {
        "CLIPScope": {"class_path": "ood_lightning.detectors.clipscope.CLIPScope"}
    }
    eval_yaml.write_text(yaml.safe_dump(settings, sort_keys=False))
    assert main(["test", "--config", str(eval_yaml)]) == 0
    two = tmp_path / "run/two"
    # forked, so in the test's own process group; the features come from a cache that both fill
    given = [*TWO, "--trainer.strategy=ddp_fork", f"--trainer.default_root_dir={two}"]
    given += ["--data.cache_dir=cache_of_two", "--model.cache_dir=cache_of_two"]
    assert main(["test", "--config", str(eval_yaml), *given]) == 0
    assert "MEMBER: 2/2" in "".join(capfd.readouterr())
    one = tmp_path / "run/eval"
    rows = [json.loads((folder / "results.json").read_text())["results"] for folder in (one, two)]
    assert rows[0] == rows[1]
    assert {row["resamples"] for row in rows[0]} == {1000, None}
    assert {row["resamples"] for row in rows[0] if row["stream"]} == {None}
    assert {row["detector"] for row in rows[0] if row["stream"]} == {"CLIPScope"}
    assert len(rows[0]) > 4
    tables = [pq.read_table(folder / "scores.parquet") for folder in (one, two)]
    assert tables[0].num_rows == 12 + 7 + 9 + 8
    assert tables[0].equals(tables[1])


def test_two_processes_choose_the_same_negatives(mined_yaml: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["test", "--config", str(mined_yaml)]) == 0
    two = tmp_path / "run/two"
    given = [*TWO, "--trainer.strategy=ddp_fork", f"--trainer.default_root_dir={two}"]
    given += ["--data.cache_dir=cache_of_two", "--model.cache_dir=cache_of_two"]
    assert main(["test", "--config", str(mined_yaml), *given]) == 0
    assert "MEMBER: 2/2" in "".join(capfd.readouterr())
    one, other = (
        {path.name: path.read_bytes() for path in (folder / "labels").iterdir()}
        for folder in (tmp_path / "run/eval", two)
    )
    assert one == other
    assert set(one) == {f"{name}.json" for name in ("names", "neglabel", "official", "csp", "augmented", "ends")}
    negatives = {name: json.loads(content)["negatives"] for name, content in one.items()}
    assert negatives["augmented.json"] == "rest of the corpus"
    assert [len(negatives[f"{name}.json"]) for name in ("neglabel", "official", "csp", "ends")] == [10, 12, 9, 10]


@pytest.mark.parametrize("number", [0, 1])
def test_damage_in_the_share_of_either_process_stops_both_in_words(number: int, eval_yaml: Path, sets: Path):
    """Of the ID test set's shards, each process has at least one."""
    manifest = read_manifest(str(sets / "id_test"))
    shard = plan(manifest.shards, 2)[number][0]
    content = bytearray(manifest.path(shard).read_bytes())
    content[700] ^= 255
    damaged = shutil.copytree(sets / "id_test", Path("damaged").resolve())
    (damaged / shard.path).write_bytes(content)
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["data"]["init_args"] |= {"id_shards": [str(damaged)], "cache_dir": "cache_of_two"}
    eval_yaml.write_text(yaml.safe_dump(settings, sort_keys=False))
    command = [sys.executable, "-m", "ood_lightning", "test", "--config", str(eval_yaml), *TWO]
    ran = subprocess.run(
        [*command, "--trainer.strategy=ddp"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 2, ran.stderr
    assert "MEMBER: 2/2" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert f"{shard.path} are not those that the manifest describes" in ran.stderr
    others = [s for share in plan(manifest.shards, 2)[1 - number :: 2] for s in share]
    stored = {path.name for path in Path("cache_of_two").rglob("*.safetensors")}
    assert {f"{other.path}.safetensors" for other in others} <= stored
    assert not Path("run/eval/results.json").exists()
