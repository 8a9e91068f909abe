"""What a person gets wrong is one message on standard error, exit status 2, and no traceback."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import write_label_set
from shard_files import encoded, write_tar

from ood_lightning.cli.main import main
from ood_lightning.data.artifacts.label_set import LabelSet, Positive

pytestmark = pytest.mark.slow  # whole commands

SOURCES = "ood_lightning.label_sets.sources"
DETECTORS = "ood_lightning.detectors"
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def own_sets(tmp_path: Path, sets: Path) -> Path:
    """A copy of the sets that a test may damage."""
    return Path(shutil.copytree(sets, tmp_path / "sets"))


def changed(config: Path, change: Change, folder: Path | None = None, original: Path | None = None) -> list[str]:
    """The command on a changed config, with sets of `folder` in the place of those of `original`."""
    text = config.read_text()
    if folder and original:
        text = text.replace(str(original), str(folder))
    settings = yaml.safe_load(text)
    change(settings)
    config.write_text(yaml.safe_dump(settings, sort_keys=False))
    return ["fit" if "TEMI" in text else "test", "--config", str(config)]


def data(settings: dict[str, Any]) -> dict[str, Any]:
    return settings["data"]["init_args"]


def model(settings: dict[str, Any]) -> dict[str, Any]:
    return settings["model"]["init_args"]


def edit_manifest(folder: Path, **change: Any) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    for key, value in change.items():
        content[key] = value(content[key]) if callable(value) else value
    (folder / "manifest.json").write_text(json.dumps(content))


def more_samples(shards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**shards[0], "samples": shards[0]["samples"] + 1}, *shards[1:]]


def other_hash(shards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**shards[0], "sha256": "0" * 64}, *shards[1:]]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda s: next((s / "blues").glob("*1.tar")).unlink(), r"set 'blues': shard .*blues-000001\.tar is missing"),
        (lambda s: (s / "blues" / "manifest.json").unlink(), r"blues holds no manifest\.json"),
        (lambda s: shutil.rmtree(s / "blues"), r"there is no set .*blues: expected a folder with"),
        (lambda s: (s / "blues" / "manifest.json").write_text("{"), r"manifest\.json is not readable as JSON"),
        (lambda s: edit_manifest(s / "blues", role="id"), r"'blues' is given as ood, its manifest says id"),
        (lambda s: edit_manifest(s / "blues", name="greys"), r"two sets are called greys"),
        (lambda s: edit_manifest(s / "blues", shards=more_samples), r"yielded 4 samples, its manifest promises 5"),
        (lambda s: edit_manifest(s / "blues", shards=other_hash), r"blues-000000\.tar are not those that the manifest"),
        (lambda s: edit_manifest(s / "blues", shards=[]), r"blues/manifest\.json: shards is \[\]"),
        (lambda s: edit_manifest(s / "id_test", class_names=[]), r"id_test holds no names"),
    ],
    ids=[
        "shard missing", "no manifest", "no folder", "no JSON", "other role", "name twice", "wrong count", "wrong hash",
        "empty set", "no names",
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_set(
    damage: Callable[[Path], object],
    words: str,
    eval_yaml: Path,
    sets: Path,
    own_sets: Path,
    refused: Callable[..., None],
):
    damage(own_sets)
    refused(changed(eval_yaml, lambda _: None, own_sets, sets), words)


def test_a_broken_picture_stops_a_run_unless_it_is_allowed(
    eval_yaml: Path, sets: Path, own_sets: Path, refused: Callable[..., None]
):
    shutil.rmtree(own_sets / "greys")
    (own_sets / "greys").mkdir()
    write_tar(own_sets / "greys" / "g-0.tar", [("a.png", b"no"), ("b.png", encoded((1, 1, 1), 0))])
    command = changed(
        eval_yaml,
        lambda s: data(s)["ood_shards"].update(far=[str(own_sets / "greys" / "g-{0..0}.tar")]),
        own_sets,
        sets,
    )
    refused(command, r"the picture 'a' cannot be read .* max_bad_samples \(now 0\)")
    assert main([*command, "--data.init_args.max_bad_samples", "1"]) == 1  # done, but one picture is missing
    bad_samples = json.loads(Path("run/eval/results.json").read_text())["about"]["bad_samples"]
    assert list(bad_samples) == ["g"]
    assert "g-0.tar a: its 2 bytes" in bad_samples["g"][0]


def test_an_ood_set_of_broken_pictures_alone(eval_yaml: Path, tmp_path: Path, refused: Callable[..., None]):
    write_tar(tmp_path / "x-0.tar", [("a.png", b"no"), ("b.png", b"no")])
    command = changed(
        eval_yaml, lambda s: data(s).update(ood_shards={"far": [str(tmp_path / "x-0.tar")]}, max_bad_samples=9)
    )
    refused(command, r"set 'x' holds no pictures that can be read \(2 cannot, such as ")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"recipe": {"method": "M", "encoder": {"name": "large", "fingerprint": "f"}}},
            r"made with encoder 'large' \(f\)",
        ),
        ({"negatives": None}, r"its negatives are the rest of corpus None"),
        (
            {"negatives": None, "recipe": {"corpus": {"name": "wordnet", "words": 7, "sha256": "x"}}},
            r"rest of corpus 'wordnet' \(7 words\), the run uses 'words' \(22 words\)",
        ),
    ],
    ids=["other encoder", "no corpus", "other corpus"],
)
def test_a_label_set_that_does_not_fit_the_run(
    change: dict[str, Any], words: str, eval_yaml: Path, tmp_path: Path, refused: Callable[..., None]
):
    path = write_label_set(tmp_path / "l.json", **change)
    refused(changed(eval_yaml, lambda s: model(s)["label_sets"].update(names=path)), words)


def test_a_label_set_by_hand_may_hold_words_that_no_corpus_has(eval_yaml: Path, tmp_path: Path):
    path = write_label_set(
        tmp_path / "l.json", positives=(Positive("a red thing"), Positive("Grün")), negatives=("a dog",)
    )
    assert main(changed(eval_yaml, lambda s: model(s)["label_sets"].update(names=path))) == 0
    kept = LabelSet.read("run/eval/labels/names.json")
    assert kept.words == ["a red thing", "Grün"]


MCM, MASS = f"{DETECTORS}.mcm.MCM", f"{DETECTORS}.label_mass.LabelMass"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: model(s)["label_sets"].update(names="none.json"), r"there is no label set none\.json"),
        (lambda s: model(s)["label_sets"].update(names="."), r"is no label set"),
        (
            lambda s: model(s)["label_sets"]["names"]["init_args"].update(names="none.txt"),
            r"file of names none\.txt does not exist",
        ),
        (lambda s: model(s)["label_sets"].pop("names"), r"'MCM' reads the label set 'names', the run has neglabel"),
        (lambda s: model(s).update(explain="other"), r"explain is 'other'.*names, neglabel"),
        (lambda s: model(s).update(detectors={}), r"at least one detector"),
        (
            lambda s: model(s)["detectors"].update(X={"class_path": MASS, "init_args": {"labels": "names"}}),
            r"detector 'X' needs negatives, its label set 'names' has none",
        ),
        (
            lambda s: model(s)["detectors"]["NegLabel"]["init_args"].update(groups=11),
            r"10 negatives do not fill 11 groups",
        ),
        (
            lambda s: model(s)["label_sets"]["neglabel"]["init_args"].update(count=1000),
            r"1000 negatives wanted, the corpus has 20",
        ),
        (lambda s: model(s)["detectors"].update(label={"class_path": MCM}), r"no detector may be called 'label'"),
        (lambda s: data(s).update(ood_shards={"near": []}), r"at least one set in id_shards and one in ood_shards"),
        (lambda s: data(s).update(id_shards=[]), r"at least one set in id_shards"),
        (lambda s: data(s)["encoder"]["init_args"].update(model="local-dir:none"), r"none holds no open_clip_config"),
        (
            lambda s: data(s)["encoder"]["init_args"].update(model="ViT-B-16", pretrained="openai"),
            r"ViT-B-16-quickgelu",
        ),
        (lambda s: model(s)["corpus"]["init_args"].update(path="none.txt"), r"word file none\.txt does not exist"),
        (lambda s: data(s)["id_shards"].append("gs://x/y.tar"), r"For gs: write a command that"),
        (lambda s: data(s).update(num_workers=-1), r"EvalFeatures: num_workers is -1, expected 0 to 1,024"),
        (lambda s: data(s).update(embed_batch_size=0), r"EvalFeatures: embed_batch_size is 0, expected 1 to 65,536"),
    ],
)
def test_what_is_wrong_with_an_evaluation(change: Change, words: str, eval_yaml: Path, refused: Callable[..., None]):
    refused(changed(eval_yaml, change), words)


def posmine(settings: dict[str, Any]) -> dict[str, Any]:
    init_args: dict[str, Any] = settings["trainer"]["callbacks"][1]["init_args"]["label_sets"]["posmine"]["init_args"]
    return init_args


def posmine_alone(settings: dict[str, Any]) -> dict[str, Any]:
    """The same, of a fit that makes no other label set."""
    del settings["trainer"]["callbacks"][1]["init_args"]["label_sets"]["labels"]
    return posmine(settings)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: data(s).update(n_neighbours=48), r"'train' has 48 pictures: too few for n_neighbours 48"),
        (lambda s: data(s).update(batch_size=52), r"too few for n_neighbours 4 and batch_size 52"),
        (lambda s: model(s).update(slices=3), r"slices 3 must be a power of two"),
        (lambda s: data(s).update(id_shards="none-{0..3}.tar"), r"no such shard: none-0\.tar.* and 1 more"),
        (lambda s: posmine_alone(s).update(min_images=49), r"no label set can be made: .*no word is the nearest of 49"),
    ],
)
def test_what_is_wrong_with_a_fit(change: Change, words: str, fit_yaml: Path, refused: Callable[..., None]):
    refused(changed(fit_yaml, change), words)


def test_a_label_set_made_with_other_prompts_is_refused(
    fit_yaml: Path, eval_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["fit", "--config", str(fit_yaml)]) == 0
    settings = yaml.safe_load(eval_yaml.read_text())
    settings["model"]["init_args"]["label_sets"]["clustermine"] = "run/fit/labels.json"
    eval_yaml.write_text(yaml.safe_dump(settings))
    capsys.readouterr()
    assert main(["test", "--config", str(eval_yaml)]) == 2
    assert "Name the same prompts in both" in capsys.readouterr().err
