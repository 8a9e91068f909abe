"""Two processes give what one gives, to the last bit: gradients, scores and gathered results."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import tiny_configs
import torch
import yaml
from safetensors.torch import load_file
from sklearn.metrics import adjusted_rand_score

from ood_lightning.cli.main import main
from ood_lightning.data.shards.manifest import plan
from ood_lightning.data.shards.read_manifest import read_manifest

pytestmark = pytest.mark.slow
TWO = ("--trainer.devices=2", "--trainer.accelerator=cpu")
# forked, so in the test's own process group; the features come from a cache that both fill
FORKED = [*TWO, "--trainer.strategy=ddp_fork", "--data.cache_dir=cache_of_two", "--model.cache_dir=cache_of_two"]


def run_two(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The real command, which starts a second process of itself."""
    command = [sys.executable, "-m", "ood_lightning", *arguments, *TWO, "--trainer.strategy=ddp"]
    return subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]


def test_two_processes_train_the_same_heads_and_elect_the_same_labels(fit_yaml: Path, tmp_path: Path):
    one, two = tmp_path / "run/fit", tmp_path / "run/two"
    assert main(["fit", "--config", str(fit_yaml)]) == 0

    # a cache of its own: the second process embeds its share of the shards too
    folders = [f"--trainer.default_root_dir={two}", "--data.cache_dir=cache_of_two"]
    ran = run_two("fit", "--config", str(fit_yaml), *folders)
    assert ran.returncode == 0, ran.stderr
    assert "MEMBER: 2/2" in ran.stderr

    assert (two / "labels.json").read_bytes() == (one / "labels.json").read_bytes()
    assert (two / "posmine.json").read_bytes() == (one / "posmine.json").read_bytes()
    mine, theirs = weights(one), weights(two)
    assert mine.keys() == theirs.keys()
    assert any(name.startswith("student.") for name in mine)
    assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []


def four_processes(fit_yaml: Path, folder: Path, slices: int, capfd: pytest.CaptureFixture[str]) -> str:
    """Train in four forked processes; what they printed."""
    where = ["--data.cache_dir=cache_of_two", f"--trainer.default_root_dir={folder}", f"--model.slices={slices}"]
    four = ["--trainer.devices=4", "--trainer.accelerator=cpu", "--trainer.strategy=ddp_fork"]
    assert main(["fit", "--config", str(fit_yaml), *where, *four]) == 0
    printed = "".join(capfd.readouterr())
    assert "MEMBER: 4/4" in printed
    return printed


def test_as_many_processes_as_slices_train_the_same_heads(
    fit_yaml: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    one, four = tmp_path / "run/fit", tmp_path / "run/four"
    assert main(["fit", "--config", str(fit_yaml), "--model.slices=4"]) == 0
    assert "all-reduce" not in four_processes(fit_yaml, four, 4, capfd)

    mine, theirs = weights(one), weights(four)
    assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []
    assert (four / "labels.json").read_bytes() == (one / "labels.json").read_bytes()


def test_more_processes_than_slices_find_the_same_clusters(
    fit_yaml: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    one, four = tmp_path / "run/fit", tmp_path / "run/four"
    assert main(["fit", "--config", str(fit_yaml), "--model.slices=2"]) == 0
    printed = four_processes(fit_yaml, four, 2, capfd)
    assert "4 processes and model.slices 2: an all-reduce adds the gradients" in " ".join(printed.split())

    mine, theirs = weights(one), weights(four)
    for name in mine:
        torch.testing.assert_close(theirs[name], mine[name], atol=1e-3, rtol=1e-2, equal_nan=True, msg=name)
    clusters = [load_file(folder / "votes.safetensors")["cluster"] for folder in (one, four)]
    assert adjusted_rand_score(*clusters) >= 0.99
    assert positives(four) == positives(one)


def positives(folder: Path) -> list[str]:
    return [positive["label"] for positive in json.loads((folder / "labels.json").read_text())["positives"]]


def test_two_processes_score_ragged_shards_as_one_does(
    eval_yaml: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    one, two = tmp_path / "run/eval", tmp_path / "run/two"
    settings = yaml.safe_load(eval_yaml.read_text())
    clipscope = {"class_path": "ood_lightning.detectors.clipscope.CLIPScope"}
    settings["model"]["init_args"]["streams"] = {"CLIPScope": clipscope}
    command = ["test", "--config", str(tiny_configs.write(eval_yaml, settings))]
    assert main(command) == 0
    assert main([*command, *FORKED, f"--trainer.default_root_dir={two}"]) == 0
    assert "MEMBER: 2/2" in "".join(capfd.readouterr())

    rows = [json.loads((folder / "results.json").read_text())["results"] for folder in (one, two)]
    assert rows[0] == rows[1]
    assert len(rows[0]) > 4
    assert {row["resamples"] for row in rows[0]} == {1000, None}
    of_streams = [row for row in rows[0] if row["stream"]]
    assert {row["resamples"] for row in of_streams} == {None}
    assert {row["detector"] for row in of_streams} == {"CLIPScope"}

    tables = [pq.read_table(folder / "scores.parquet") for folder in (one, two)]
    assert tables[0].num_rows == 12 + 7 + 9 + 8
    assert tables[0].equals(tables[1])
    assert (one / "scores.parquet").read_bytes() == (two / "scores.parquet").read_bytes()
    assert not list(two.glob(".scores*"))  # what the processes exchanged is gone


LOST = """
from ood_lightning.modules.detect import DetectModule

class OnTwoMachines(DetectModule):
    def on_test_epoch_end(self):
        if not self.trainer.is_global_zero:
            self.trainer._default_root_dir = "of_the_other_machine"
        super().on_test_epoch_end()
"""


def test_a_process_whose_scores_the_first_one_cannot_see_is_named(eval_yaml: Path, tmp_path: Path):
    (tmp_path / "lost.py").write_text(LOST)
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["model"]["class_path"] = "lost.OnTwoMachines"
    ran = run_two("test", "--config", str(tiny_configs.write(eval_yaml, settings)))
    assert ran.returncode == 2, ran.stderr
    assert "0-1.safetensors is missing or damaged" in ran.stderr
    assert "all processes of a run need one trainer.default_root_dir" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not Path("run/eval/results.json").exists()


def test_two_processes_choose_the_same_negatives(mined_yaml: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    one, two = tmp_path / "run/eval", tmp_path / "run/two"
    command = ["test", "--config", str(mined_yaml)]
    assert main(command) == 0
    assert main([*command, *FORKED, f"--trainer.default_root_dir={two}"]) == 0
    assert "MEMBER: 2/2" in "".join(capfd.readouterr())

    mine, theirs = ({path.name: path.read_bytes() for path in (run / "labels").iterdir()} for run in (one, two))
    assert mine == theirs
    assert set(mine) == {f"{name}.json" for name in ("names", "neglabel", "official", "csp", "augmented", "ends")}

    negatives = {name: json.loads(content)["negatives"] for name, content in mine.items()}
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
    ran = run_two("test", "--config", str(tiny_configs.write(eval_yaml, settings)))
    assert ran.returncode == 2, ran.stderr
    assert "MEMBER: 2/2" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert f"{shard.path} are not those that the manifest describes" in ran.stderr
    assert not Path("run/eval/results.json").exists()

    others = [s for share in plan(manifest.shards, 2)[1 - number :: 2] for s in share]
    stored = {path.name for path in Path("cache_of_two").rglob("*.safetensors")}
    assert {f"{other.path}.safetensors" for other in others} <= stored
