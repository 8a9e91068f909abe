"""Keys of `fit` and `test`, so that a misspelt one is told before torch and Lightning are imported.

The parser itself knows them only after those seconds. A test holds this table against it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ood_lightning.cli.parser_messages import SETS_NOTHING, unknown_key
from ood_lightning.errors import SettingsError

# of Lightning 2.6's Trainer; another release may have more, so they only make hints
TRAINER_KEYS = (
    *("accelerator", "strategy", "devices", "num_nodes", "precision", "logger", "callbacks", "fast_dev_run"),
    *("max_epochs", "min_epochs", "max_steps", "min_steps", "max_time", "limit_train_batches", "limit_val_batches"),
    *("limit_test_batches", "limit_predict_batches", "overfit_batches", "val_check_interval"),
    *("check_val_every_n_epoch", "num_sanity_val_steps", "log_every_n_steps", "enable_checkpointing"),
    *("enable_progress_bar", "enable_model_summary", "accumulate_grad_batches", "gradient_clip_val"),
    *("gradient_clip_algorithm", "deterministic", "benchmark", "inference_mode", "use_distributed_sampler"),
    *("profiler", "detect_anomaly", "barebones", "plugins", "sync_batchnorm"),
    *("reload_dataloaders_every_n_epochs", "default_root_dir", "enable_autolog_hparams", "model_registry"),
)
COMMON = (
    *("seed_everything", "trainer", "model", "data", "names_check"),
    *("optimizer", "lr_scheduler", "ckpt_path", "weights_only"),
)
TOP_KEYS = {"fit": COMMON, "test": (*COMMON, "verbose")}
OPTION = re.compile(r"--(?P<key>[A-Za-z_]\w*)(?P<below>(?:\.\w+)*)\+?(?:=.*)?", re.DOTALL)


def check_top_keys(command: str, words: Sequence[str], configs: Sequence[Mapping[Any, Any]]) -> None:
    """Refuse a key that `fit` or `test` does not have; those below the first level are left to the parser.

    Args:
        command: `fit` or `test`.
        words: of the command line, behind the command.
        configs: what its config files hold.

    Raises:
        SettingsError: names the key, and the nearest right one.
    """
    # of a key that is no text, such as `1:`, YAML knows better than we do what was written
    in_files = [key.partition(".")[0] for config in configs for key in config if isinstance(key, str)]
    options = [match for word in words if (match := OPTION.fullmatch(word))]
    on_line = {match["key"]: match["key"] + match["below"] for match in options}

    if {"-h", "--help"} & set(words):
        return  # the parser shows its help, whatever stands beside it

    top = TOP_KEYS[command]
    for first, key in [*((key, key) for key in in_files), *on_line.items()]:
        if first.removesuffix("+") not in (*top, *SETS_NOTHING):
            raise SettingsError(unknown_key(key, [*top, *(f"trainer.{name}" for name in TRAINER_KEYS)]))
