"""Settings of `fit` and `test` that would fail late, or do nothing: one message before any work."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ood_lightning.cli.trainer_settings import peer_error, trainer_error
from ood_lightning.errors import FeatureError

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
        ("max_steps=0", r"trainer.max_steps is 0: nothing would be trained"),
        ("limit_train_batches=0", r"trainer.limit_train_batches is 0.*: nothing would be trained"),
        ("callbacks=null", r"trainer.callbacks names none that writes what `fit` finds, .*LabelSetWriter"),
    ],
)
def test_a_fit_that_would_train_or_keep_nothing(setting: str, words: str, fit_yaml: Path, refused: Refused):
    refused(["fit", "--config", str(fit_yaml), f"--trainer.{setting}"], words)
    assert not Path("cache").exists()


def test_a_process_that_dies_is_named_as_the_cause():
    gone = RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:80")
    assert str(peer_error(gone)).startswith("another process of this run has ended")
    assert peer_error(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert peer_error(FeatureError("set 'gloo' holds no pictures")) is None


def test_advice_on_the_accelerator_only_where_one_was_chosen():
    assert "accelerator" not in str(trainer_error(ValueError("bad precision"), "auto"))
