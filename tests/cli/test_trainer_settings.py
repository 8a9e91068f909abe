"""Settings of `fit` and `test` that would fail late, or do nothing: one message before any work."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ood_lightning.cli.trainer_settings import peer_error, trainer_error
from ood_lightning.errors import FeatureError

pytestmark = pytest.mark.slow  # whole commands

Refused = Callable[[list[str], str], None]


def test_a_config_of_the_other_command_is_refused_by_name(fit_yaml: Path, eval_yaml: Path, refused: Refused):
    refused(["fit", "--config", str(eval_yaml)], r"model.class_path is .*DetectModule, .*cannot fit: give .* to `test`")
    refused(["test", "--config", str(fit_yaml)], r"model.class_path is .*TEMIModule, .*cannot test: give .* to `fit`")
    data = ["--data", "ood_lightning.datamodules.features.TrainFeatures", "--data.id_shards", "x"]
    data += ["--data.encoder", "ood_lightning.encoders.openclip.OpenClip", "--data.encoder.model", "x"]
    refused(["test", "--config", str(eval_yaml), *data], r"data.class_path is .*TrainFeatures, which cannot test")
    assert not Path("cache").exists()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("accelerator=gpu", r"No supported gpu backend.*trainer.accelerator is 'gpu'; auto takes"),
        ("accelerator=abacus", r"invalid accelerator name.*trainer.accelerator is 'abacus'"),
        ("strategy=telepathy", r"the Trainer cannot be made with these settings: .*telepathy"),
        ("accelerator=tpu", r"the Trainer cannot be made with these settings: .*torch_xla"),
        ("devices=-5", r"the Trainer cannot be made with these settings: `devices`"),
        ("devices=x", r"the Trainer cannot be made with these settings: `devices`"),
        ("limit_test_batches=0", r"trainer.limit_test_batches is 0.*: an evaluation scores every picture"),
        ("limit_test_batches=0.5", r"trainer.limit_test_batches is 0.5: an evaluation scores every picture"),
        ("fast_dev_run=true", r"trainer.fast_dev_run is True: an evaluation scores every picture"),
        ("callbacks=null", r"trainer.callbacks names none that writes what `test` finds, .*ResultsWriter"),
    ],
)
def test_an_evaluation_that_cannot_run_or_would_do_nothing(
    setting: str, words: str, eval_yaml: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    refused(["test", "--config", str(eval_yaml), f"--trainer.{setting}"], words)
    assert not Path("cache").exists()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("max_epochs=0", r"trainer.max_epochs is 0: nothing would be trained"),
        ("max_epochs=-1", r"trainer.max_epochs is -1, or left out beside max_steps or max_time: name how many"),
        ("precision=transformer-engine", r"the Trainer cannot be made with these settings: .*transformer_engine"),
        ("precision=16-true", r"trainer.precision is 16-true: features, votes and losses are float32"),
        ("max_steps=0", r"trainer.max_steps is 0: nothing would be trained"),
        ("limit_train_batches=0", r"trainer.limit_train_batches is 0.*: nothing would be trained"),
        ("callbacks=null", r"trainer.callbacks names none that writes what `fit` finds, .*LabelSetWriter"),
    ],
)
def test_a_fit_that_would_train_or_keep_nothing(setting: str, words: str, fit_yaml: Path, refused: Refused):
    refused(["fit", "--config", str(fit_yaml), f"--trainer.{setting}"], words)
    assert not Path("cache").exists()


@pytest.mark.parametrize("setting", ["accumulate_grad_batches=0", "limit_train_batches=0.0001"])
def test_what_lightning_refuses_later_is_one_line_too(setting: str, fit_yaml: Path, refused: Refused):
    words = "the Trainer cannot work with these settings: .*" + setting.partition("=")[0]
    refused(["fit", "--config", str(fit_yaml), f"--trainer.{setting}"], words)


@pytest.mark.parametrize("seed", ["-1", "5000000000"])
def test_a_seed_that_no_generator_takes(seed: str, eval_yaml: Path, refused: Refused):
    words = rf"seed_everything: {seed} is not in bounds"
    refused(["test", "--config", str(eval_yaml), f"--seed_everything={seed}"], words)


@pytest.mark.slow
def test_a_checkpoint_that_is_not_there_or_is_none(fit_yaml: Path, eval_yaml: Path, refused: Refused):
    Path("junk.ckpt").write_text("junk")
    for command in (["fit", "--config", str(fit_yaml)], ["test", "--config", str(eval_yaml)]):
        for name in ("none.ckpt", "best", "last"):
            refused([*command, "--ckpt_path", name], f"ckpt_path is '{name}', and there is no such file: name a")
        refused([*command, "--ckpt_path", "junk.ckpt"], r"junk\.ckpt is damaged, .*: name another ckpt_path, or leave")
    assert not Path("cache").exists()


@pytest.mark.slow
def test_a_file_in_the_place_of_a_folder_is_found_before_any_work(eval_yaml: Path, refused: Refused):
    Path("taken").write_text("")
    words = "is 'taken', which is a file: expected a folder"
    refused(["test", "--config", str(eval_yaml), "--trainer.default_root_dir=taken"], f"default_root_dir {words}")
    refused(["test", "--config", str(eval_yaml), "--data.cache_dir=taken"], f"cache_dir {words}")
    refused(["test", "--config", str(eval_yaml), "--model.cache_dir=taken"], f"cache_dir {words}")
    refused(["test", "--config", str(eval_yaml), "--trainer.default_root_dir="], "a path is empty: name a file")
    assert not Path("cache").exists()


def test_a_process_that_dies_is_named_as_the_cause():
    gone = RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:80")
    assert str(peer_error(gone)).startswith("another process of this run has ended")
    assert peer_error(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert peer_error(FeatureError("set 'gloo' holds no pictures")) is None


def test_advice_on_the_accelerator_only_where_one_was_chosen():
    assert "accelerator" not in str(trainer_error(ValueError("bad precision"), "auto"))
