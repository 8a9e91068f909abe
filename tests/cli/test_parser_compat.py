"""The presets under configs/compat: each is read beside another config, and switches on what it says."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet

pytestmark = pytest.mark.slow  # whole commands

COMPAT = Path(__file__).parents[2] / "configs" / "compat"
RUNS = {  # the label set of each, and its nouns and adjectives on the corpus below
    "neglabel": ("neglabel_official", {"nouns": 3, "adjectives": 3}),
    "csp": ("csp_official", {"nouns": 3, "adjectives": 3}),
    "negrefine": ("negrefine_official", {"nouns": 2, "adjectives": 3}),  # `green` is a name
    "debiased": ("debiased_official", {"nouns": 4, "adjectives": 2}),
    "mcm": ("names", None),
    "clipscope": ("clipscope_official", None),
    "adaneg": ("adaneg_official", {"nouns": 4, "adjectives": 4}),
}
NOUNS = "dog cat horse tree river stone chair table lamp house green road sky cloud rain snow wind fire iron grass"


def test_every_preset_of_an_evaluation_is_tried_here():
    assert {path.stem for path in COMPAT.glob("*.yaml")} == {*RUNS, "temi", "temi_defaults", "synood"}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "noun.act.txt").write_text("\n".join(NOUNS.split()))
    (folder / "adj.all.txt").write_text("\n".join(f"{word} thing" for word in NOUNS.split()))
    lists = {
        "class_path": "ood_lightning.corpora.lexicographer.LexicographerFolder",
        "init_args": {"path": str(folder)},
    }
    path = tmp_path / "corpus.yaml"
    path.write_text(yaml.safe_dump(lists))
    return path


def small(preset: str, eval_yaml: Path, corpus: Path, sets: Path, tmp_path: Path) -> tuple[Path, list[str]]:
    """A copy of a preset for a corpus of forty words, and the command's arguments."""
    settings = yaml.safe_load((COMPAT / f"{preset}.yaml").read_text())
    model = settings["model"]["init_args"]
    if "corpus" in model:
        model["corpus"] = str(corpus)
    model["prompts"] = str((COMPAT / model["prompts"]).resolve())

    label_set, _ = RUNS[preset]
    source = model["label_sets"][label_set].setdefault("init_args", {})
    source |= {name: 8 for name in ("count", "farthest", "nearest", "neighbours") if name in source}

    for detector in [*model["detectors"].values(), *model.get("streams", {}).values()]:
        if "groups" in detector["init_args"]:
            detector["init_args"]["groups"] = 6 if preset == "debiased" else 2  # of two names, a group has one word

    path = tmp_path / f"{preset}.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    names = f"--model.label_sets.{label_set}.init_args.names"
    return path, ["test", "--config", str(eval_yaml), "--config", str(path), names, str(sets / "id_test")]


@pytest.mark.parametrize(
    "preset", [*[pytest.param(p, marks=pytest.mark.slow) for p in RUNS if p != "adaneg"], "adaneg"]
)
def test_a_preset_replaces_what_the_other_config_said(
    preset: str, eval_yaml: Path, corpus: Path, sets: Path, tmp_path: Path
):
    path, command = small(preset, eval_yaml, corpus, sets, tmp_path)
    assert main(command) == 0

    model = yaml.safe_load(path.read_text())["model"]["init_args"]
    rows = json.loads(Path(f"runs/compat/{preset}/results.json").read_text())["results"]
    assert {row["detector"] for row in rows} == {*model["detectors"], *model.get("streams", {})}

    (stored,) = Path(f"runs/compat/{preset}/labels").glob("*.json")
    recipe = LabelSet.read(stored).recipe
    assert (stored.stem, recipe.get("negatives")) == RUNS[preset]
    prompts = yaml.safe_load(Path(model["prompts"]).read_text())
    assert recipe["prompts"] == {name: value for name, value in prompts.items() if value is not None}


def test_a_fit_says_that_images_were_their_own_neighbours(fit_yaml: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["fit", "--config", str(fit_yaml)]) == 0
    command = ["fit", "--config", str(fit_yaml), "--data.self_neighbour", "true"]
    assert main(command) == 2  # another run than the one that lies there
    assert "self_neighbour None there, True now" in capsys.readouterr().err
    assert main([*command, "--trainer.default_root_dir", "run/self"]) == 0

    plain, with_self = (LabelSet.read(f"run/{run}/labels.json").recipe["temi"] for run in ("fit", "self"))
    assert with_self == {**plain, "self_neighbour": True}
    (file,) = Path("cache").rglob("neighbours-4/*.safetensors")
    true = load_file(file)["neighbours"]
    assert not (true == torch.arange(len(true))[:, None]).any()  # the stored ones stay as they are
