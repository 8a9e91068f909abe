"""Help, shipped configs, and misspelt keys that name the nearest right one."""

import functools
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import yaml

from ood_lightning import __version__
from ood_lightning.cli.main import STEPS, TRAINER, main
from ood_lightning.cli.parser import run_step
from ood_lightning.corpora.prompts import Prompts
from ood_lightning.corpora.words import Corpus
from ood_lightning.detectors.base import Detector
from ood_lightning.detectors.stream import StreamDetector
from ood_lightning.encoders.base import Encoder
from ood_lightning.filtering.judges.base import Judge

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = sorted(CONFIGS.rglob("*.yaml"))
PARTS = {
    "encoders": Encoder,
    "detectors": Detector,
    "streams": StreamDetector,
    "corpora": Corpus,
    "prompts": Prompts,
    "judges": Judge,
}
WHOLE = [path for path in SHIPPED if path.parent.name not in PARTS]


def short(path: Path) -> str:
    return str(path.relative_to(CONFIGS).with_suffix(""))


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The one error on standard error."""
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    assert "Traceback" not in error
    return error[error.index("error: ") :]


def command_of(path: Path) -> list[str]:
    """The command that a config's first line gives, run from anywhere."""
    found = re.fullmatch(r"# python -m ood_lightning (.+)", path.read_text(encoding="utf-8").splitlines()[0])
    assert found, f"{path} does not begin with the command that runs it"
    return [part.replace("configs/", f"{CONFIGS}/") for part in shlex.split(found.group(1))]


@pytest.mark.parametrize("given", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(given: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(given) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^  {name} ", out, re.MULTILINE) for name in (*TRAINER, *STEPS))


def test_version(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(("given", "near"), [("fti", "fit"), ("tests", "test"), ("embedd", "embed"), ("zzz", None)])
def test_an_unknown_command_names_the_nearest(given: str, near: str | None, capsys: pytest.CaptureFixture[str]):
    assert main([given]) == 2
    error = said(capsys)
    assert f"there is no command {given!r}" in error
    assert (f"did you mean {near!r}?" in error) == (near is not None)


@pytest.mark.parametrize("key", ["judge", "encoder"])
def test_a_config_that_is_not_there_is_named_with_its_key(key: str, capsys: pytest.CaptureFixture[str]):
    assert main(["filter", "--config", str(CONFIGS / "filter.yaml"), f"--{key}", "configs/nope.yaml"]) == 2
    assert said(capsys).startswith(f"error: {key} is 'configs/nope.yaml': there is no such file")


@pytest.mark.parametrize("command", [*TRAINER, *STEPS])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "--config" in out
    assert "Traceback" not in out


@pytest.mark.parametrize("path", WHOLE, ids=short)
def test_every_shipped_config_parses_under_the_command_on_its_first_line(
    path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as stop:
        main([*command_of(path), "--print_config"])
    out = capsys.readouterr()
    assert stop.value.code == 0, out.err
    assert isinstance(yaml.safe_load(out.out), dict)


@pytest.mark.parametrize("path", [p for p in WHOLE if command_of(p)[0] in TRAINER], ids=short)
@pytest.mark.slow
def test_every_trainer_config_builds_trainer_data_and_model(path: Path, monkeypatch: pytest.MonkeyPatch):
    ran = []
    command = command_of(path)
    original = getattr(L.Trainer, command[0])

    @functools.wraps(original)
    def instead(self: L.Trainer, *args: Any, **options: Any) -> None:
        ran.append((self, options))

    monkeypatch.setattr(L.Trainer, command[0], instead)
    assert main([*command, "--trainer.accelerator", "cpu", "--trainer.devices", "1"]) == 0
    ((trainer, options),) = ran
    assert options["model"].__class__.__module__.startswith("ood_lightning.")
    assert options["datamodule"].__class__.__module__.startswith("ood_lightning.")
    assert trainer.default_root_dir.startswith("runs/")
    if hasattr(options["model"], "encoder"):  # the link: loaded once
        assert options["model"].encoder is options["datamodule"].encoder


@pytest.mark.parametrize("path", [p for p in SHIPPED if p.parent.name in PARTS], ids=short)
def test_every_shipped_part_builds(path: Path):
    built: list[object] = []
    kind = PARTS[path.parent.name]

    def build(part: Any) -> None:
        built.append(part)

    build.__annotations__["part"] = kind
    assert run_step(build, ["--part", str(path)], "build") == 0
    assert isinstance(built[0], kind)


@pytest.mark.parametrize("path", SHIPPED, ids=short)
def test_every_shipped_config_begins_with_a_comment(path: Path):
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_a_part_of_the_experiments_is_not_written_twice():
    """`detectors/NAME.yaml` holds what several experiments share."""
    contents = [
        yaml.safe_dump(yaml.safe_load(p.read_text(encoding="utf-8")), sort_keys=True)
        for p in SHIPPED
        if p.parent.name in PARTS
    ]
    assert len(set(contents)) == len(contents)


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


@pytest.mark.parametrize(("command", "key", "value", "near"), MISSPELT, ids=lambda part: str(part))
def test_a_misspelt_key_on_the_command_line_names_the_nearest(
    command: str, key: str, value: str, near: str, fit_yaml: Path, eval_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    config = fit_yaml if command == "fit" else eval_yaml
    assert main([command, "--config", str(config), f"--{key}", value]) == 2
    error = said(capsys)
    assert "there is no key" in error
    assert key.rpartition(".")[2] in error
    assert re.search(rf"did you mean '[\w.]*\b{near}'\?", error), error
    assert error.count("\n") == 1


def put(settings: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for name in path:
        settings = settings[name]
    settings[last] = value


@pytest.mark.parametrize(
    ("command", "key", "near"),
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
    command: str, key: str, near: str, fit_yaml: Path, eval_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    config = fit_yaml if command == "fit" else eval_yaml
    settings = yaml.safe_load(config.read_text())
    put(settings, key, {"temprature": 2.0} if key.endswith("MCM.init_args") else 3)
    config.write_text(yaml.safe_dump(settings))
    assert main([command, "--config", str(config)]) == 2
    error = said(capsys)
    assert re.search(rf"there is no key .*did you mean '[\w.]*\b{near}'\?", error), error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "near"),
    [
        (["embed", "--shard", "x"], "shards"),
        (["embed", "--encoder.modle", "x"], "model"),
        (["mine", "--min_image", "3"], "min_images"),
        (["predict", "--image", "x"], "images"),
        (["report", "x", "--naems", "y"], "names"),
    ],
    ids=lambda part: str(part),
)
def test_a_misspelt_key_of_a_step_names_the_nearest(given: list[str], near: str, capsys: pytest.CaptureFixture[str]):
    config = CONFIGS / f"{given[0]}.yaml"
    more = ["--config", str(config)] if config.is_file() else []
    assert main([given[0], *more, *given[1:]]) == 2
    error = said(capsys)
    assert re.search(rf"there is no key .*did you mean '[\w.]*\b{near}'\?", error), error


def test_a_misspelt_key_in_a_steps_yaml_names_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "embed.yaml").write_text("shard: [a]\n")
    assert main(["embed", "--config", str(tmp_path / "embed.yaml")]) == 2
    assert "did you mean 'shards'?" in said(capsys)


@pytest.mark.parametrize(
    ("given", "words"),
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
    given: list[str], words: str, fit_yaml: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([part.replace("{fit}", str(fit_yaml)) for part in given]) == 2
    assert words in said(capsys)


def test_help_says_what_may_stand_without_a_key(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["data", "pack", "--help"])
    assert "source folder, list file (.txt), .csv, .tsv," in " ".join(capsys.readouterr().out.split())


def imports(*given: str) -> set[str]:
    """Heavy modules that a command has imported when it ends; they are what takes seconds."""
    code = (
        "import sys\n"
        "from ood_lightning.cli.main import main\n"
        f"try: main({list(given)!r})\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'lightning', 'torchmetrics', 'open_clip', 'torchvision', 'webdataset', 'wandb', 'PIL'}\n"
        "print(*sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "given",
    [
        ["--help"],
        ["--version"],
        ["report", "--help"],
        ["report", "none"],
        ["fti"],
        ["embed", "--help"],
        ["filter", "--help"],
    ],
    ids=" ".join,
)
def test_light_commands_import_neither_torch_nor_lightning(given: list[str]):
    assert imports(*given) == set()


def test_a_config_may_be_read_from_any_folder(fit_yaml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Paths of parts are relative to the file that names them."""
    parts: Callable[[str, str], Any] = lambda name, text: (tmp_path / name).write_text(text)  # noqa: E731
    parts("words.txt", "a\nb\n")
    parts("encoder.yaml", "class_path: ood_lightning.encoders.openclip.OpenClip\ninit_args: {model: 'hf-hub:x/y'}\n")
    parts("embed.yaml", "encoder: encoder.yaml\nshards: [x]\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(SystemExit) as stop:
        main(["embed", "--config", "../embed.yaml", "--print_config"])
    assert stop.value.code == 0
