"""Help, and misspelt keys and wrong values that name what was meant."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import CONFIGS, said
from old_names import old_options

from ood_lightning import __version__
from ood_lightning.cli.main import GROUPS, STEPS, TRAINER, main

COMMANDS = [[name] for name in (*TRAINER, *STEPS)] + [[group, step] for group in GROUPS for step in GROUPS[group]]


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], *([group] for group in GROUPS if group not in STEPS)])
def test_help_lists_every_command(argv: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^  {' '.join(words)} ", out, re.MULTILINE) for words in COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("fti", "fit"),
        ("tests", "test"),
        ("embedd", "embed"),
        ("data pak", "data pack"),
        ("zzz", None),
    ],
)
def test_an_unknown_command_names_the_nearest(wrong: str, nearest: str | None, capsys: pytest.CaptureFixture[str]):
    assert main(wrong.split()) == 2
    error = said(capsys)
    assert f"there is no command {wrong!r}" in error
    assert (f"did you mean {nearest!r}?" in error) == (nearest is not None)


@pytest.mark.parametrize("key", ["judge", "encoder"])
def test_a_config_that_is_not_there_is_named_with_its_key(key: str, capsys: pytest.CaptureFixture[str]):
    assert main(["filter", "--config", str(CONFIGS / "filter.yaml"), f"--{key}", "configs/nope.yaml"]) == 2
    assert said(capsys).startswith(f"error: {key} is 'configs/nope.yaml': there is no such file")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_without_old_names(command: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "--config" in out
    assert "Traceback" not in out
    assert old_options(out) == set()


MISSPELT = [
    ("fit", "trainer.max_epoch", "3", "trainer.max_epochs"),
    ("fit", "trainer.acelerator", "cpu", "trainer.accelerator"),
    ("fit", "model.n_cluster", "3", "n_clusters"),
    ("fit", "model.init_args.n_cluster", "3", "n_clusters"),
    ("fit", "data.n_neighbors", "3", "n_neighbours"),
    ("fit", "data.init_args.batchsize", "3", "batch_size"),
    ("fit", "sed_everything", "3", "seed_everything"),
    ("test", "data.init_args.odd_shards", '{"near": []}', "ood_shards"),
    ("test", "model.init_args.detector", '{"A": 3}', "detectors"),
]


@pytest.mark.parametrize(("command", "key", "value", "nearest"), MISSPELT, ids=lambda part: str(part))
def test_a_misspelt_key_on_the_command_line_names_the_nearest(
    command: str,
    key: str,
    value: str,
    nearest: str,
    fit_yaml: Path,
    eval_yaml: Path,
    capsys: pytest.CaptureFixture[str],
):
    config = fit_yaml if command == "fit" else eval_yaml
    assert main([command, "--config", str(config), f"--{key}", value]) == 2
    error = said(capsys)
    assert "there is no key" in error
    assert key.rpartition(".")[2] in error
    assert re.search(rf"did you mean '[\w.]*\b{nearest}'\?", error), error
    assert error.count("\n") == 1


def put(settings: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for name in path:
        settings = settings[name]
    settings[last] = value


@pytest.mark.parametrize(
    ("command", "key", "nearest"),
    [
        ("fit", "trainer.max_epoch", "max_epochs"),
        ("fit", "model.init_args.n_cluster", "n_clusters"),
        ("fit", "data.init_args.n_neighbors", "n_neighbours"),
        ("fit", "data.init_args.encoder.init_args.modle", "model"),
        ("fit", "trainr", "trainer"),
        ("test", "model.init_args.detectors.MCM.init_args", "temperature"),
        ("test", "model.init_args.label_sets.names.init_args.nmes", "names"),
        ("test", "model.init_args.prompts.template", "templates"),
    ],
    ids=lambda part: str(part),
)
def test_a_misspelt_key_in_yaml_names_the_nearest(
    command: str, key: str, nearest: str, fit_yaml: Path, eval_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    config = fit_yaml if command == "fit" else eval_yaml
    settings = yaml.safe_load(config.read_text())
    put(settings, key, {"temprature": 2.0} if key.endswith("MCM.init_args") else 3)
    config.write_text(yaml.safe_dump(settings))
    assert main([command, "--config", str(config)]) == 2
    error = said(capsys)
    assert re.search(rf"there is no key .*did you mean '[\w.]*\b{nearest}'\?", error), error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "nearest"),
    [
        (["embed", "--shard", "x"], "shards"),
        (["embed", "--encoder.modle", "x"], "model"),
        (["mine", "--vote", "x"], "votes"),
        (["predict", "x", "--detectr", "x"], "detector"),
        (["report", "x", "--naems", "y"], "names"),
    ],
    ids=lambda part: str(part),
)
def test_a_misspelt_key_of_a_step_names_the_nearest(argv: list[str], nearest: str, capsys: pytest.CaptureFixture[str]):
    command, *settings = argv
    config = CONFIGS / f"{command}.yaml"
    shipped = ["--config", str(config)] if config.is_file() else []
    assert main([command, *shipped, *settings]) == 2
    error = said(capsys)
    assert re.search(rf"there is no key .*did you mean '[\w.]*\b{nearest}'\?", error), error


def test_a_misspelt_key_in_a_steps_yaml_names_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "embed.yaml").write_text("shard: [a]\n")
    assert main(["embed", "--config", str(tmp_path / "embed.yaml")]) == 2
    assert "did you mean 'shards'?" in said(capsys)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["fit", "--config", "none.yaml"], "none.yaml"),
        (["embed", "--config", "none.yaml"], "none.yaml"),
        (["fit", "--config", "{fit}", "--model.n_clusters", "many"], "n_clusters"),
        (["fit", "--config", "{fit}", "--model", "ood_lightning.modules.temi.TEMI"], "TEMI"),
        (["fit", "--config", "{fit}", "--data.encoder.init_args.precision", "fp8"], "fp8"),
        (["embed"], "encoder"),
        (
            ["data", "list", "classic"],
            "'classic' stands alone: a setting is given as --KEY VALUE, and the keys here are",
        ),
        (["data", "list", "classic"], "keys here are --group\n"),
        (["embed", "sets/a", "--shards", "x", "--encoder", f"{CONFIGS}/encoders/pictograms.yaml"], "'sets/a' stands"),
        (["embed", "--encoder", "no.yaml", "--shards", "x"], "encoder is 'no.yaml': there is no such file"),
        (["data", "pack", "x", "--out=y", "--name=z", "--role=train"], "role is 'train': expected one of 'id', "),
        (
            ["test", "--config", f"{CONFIGS}/eval.yaml", "--data.ood_shards", "[a]"],
            "expected a mapping, `{KEY: VALUE}`",
        ),
        (["test", "--config", f"{CONFIGS}/pictograms/with_label_free.yaml"], "--config FIRST --config SECOND"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_wrong_values_and_missing_files_are_one_error(
    argv: list[str], words: str, fit_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([word.replace("{fit}", str(fit_yaml)) for word in argv]) == 2
    assert words in said(capsys)


def test_help_says_what_may_stand_without_a_key(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["data", "pack", "--help"])
    assert "source folder, list file (.txt), .csv, .tsv," in " ".join(capsys.readouterr().out.split())


def imports(*argv: str) -> set[str]:
    """Heavy modules that a command has imported when it ends; they are what takes seconds."""
    code = (
        "import sys\n"
        "from ood_lightning.cli.main import main\n"
        f"try: main({list(argv)!r})\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'lightning', 'torchmetrics', 'open_clip', 'torchvision', 'webdataset', 'wandb', 'PIL'}\n"
        "heavy |= {'numpy', 'pyarrow', 'scipy', 'transformers', 'nltk'}\n"
        "print(*sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.slow
@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["--version"],
        ["fit", "--help"],
        ["test", "--config", "none.yaml", "-h"],
        ["report", "--help"],
        ["report", "none"],
        ["fti"],
        ["embed", "--help"],
        ["filter", "--help"],
        ["mine", "--help"],
        ["predict", "--help"],
        ["save-detector", "--help"],
        ["predict", "--nix", "x"],
        ["labels", "show", "--help"],
        ["data", "list", "--help"],
        ["fit", "--config", "none.yaml"],
        ["fit", "--config", f"{CONFIGS}/embed.yaml"],  # has keys that `fit` has not
        ["fit", "--modell", "x"],
        ["test", "--config", f"{CONFIGS}/eval.yaml", "--trainr.max_epochs", "1"],
        ["validate", "test", "--config", "none.yaml"],
    ],
    ids=" ".join,
)
def test_light_commands_import_neither_torch_nor_lightning(argv: list[str]):
    assert imports(*argv) == set()


def test_a_config_may_be_read_from_any_folder(fit_yaml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Paths of parts are relative to the file that names them."""
    encoder = {"class_path": "ood_lightning.encoders.openclip.OpenClip", "init_args": {"model": "hf-hub:x/y"}}
    (tmp_path / "encoder.yaml").write_text(yaml.safe_dump(encoder))
    (tmp_path / "embed.yaml").write_text("encoder: encoder.yaml\nshards: [x]\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(SystemExit) as stop:
        main(["embed", "--config", "../embed.yaml", "--print_config"])
    assert stop.value.code == 0


@pytest.mark.parametrize("command", ["run", "predict", "embed", "data check"])
def test_a_help_is_plain_text(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    text = capsys.readouterr().out
    assert "--print_config[=flags]" in text
    assert text.replace("\n", "").isprintable()
    assert "\\x" not in text
