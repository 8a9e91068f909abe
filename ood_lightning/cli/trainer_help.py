"""The help of `fit` and `test`, on one screen: their own keys with their first sentences, read from the source.

Torch and Lightning, whose import takes seconds, are not needed for it; `--help-all` shows all that the parser knows.
"""

import ast
import re
from functools import partial
from importlib.resources import files
from textwrap import shorten
from typing import NamedTuple

WIDTH = 110  # columns
KEYS = 32  # of them for a key and its default


class Part(NamedTuple):
    """A class whose settings a command mostly takes.

    Attributes:
        key: of the config.
        file: below the package.
        name: of the class.
    """

    key: str
    file: str
    name: str

    @property
    def path(self) -> str:
        """The class path."""
        return f"ood_lightning.{self.file.removesuffix('.py').replace('/', '.')}.{self.name}"


PARTS = {
    "fit": (
        Part("model", "modules/temi.py", "TEMIModule"),
        Part("data", "datamodules/features.py", "TrainFeatures"),
    ),
    "test": (
        Part("model", "modules/detect.py", "DetectModule"),
        Part("data", "datamodules/features.py", "EvalFeatures"),
    ),
}
EXAMPLES = {
    "fit": (
        "fit --config configs/clustermine.yaml",
        "fit --config configs/clustermine.yaml --model.n_clusters 64 --model.n_heads 8",
    ),
    "test": (
        "test --config configs/eval.yaml",
        "test --config configs/eval.yaml --trainer.default_root_dir runs/second",
    ),
}
COMMON = (
    ("--config FILE", "YAML with all of the settings; a file that comes later wins, the command line over all"),
    ("--trainer.default_root_dir DIR", "the run's folder, where everything is written"),
    (
        "--trainer.max_epochs N",
        "of `fit`; --trainer.devices, .accelerator, .num_nodes: Lightning's, as all of .trainer",
    ),
    ("--trainer.callbacks", "what is done with what was found, such as writing label sets or results"),
    ("--names_check", "refuse (as usual), or warn of, names that are not those of the ID set"),
    ("--seed_everything N", "0 unless named"),
    ("--ckpt_path FILE", "to resume from; a fit finds its own by itself"),
    ("--print_config", "the full settings, and nothing is run"),
    ("--model.help, --data.help", "with a class path behind it: the settings of that class"),
    ("--help-all", "every key, of Lightning's Trainer and optimizers too: some 500 lines"),
)


class Setting(NamedTuple):
    """A setting of a class.

    Attributes:
        name: of it.
        default: as the source writes it; None where there is none.
        text: the first sentence of its description.
    """

    name: str
    default: str | None
    text: str


def settings_of(part: Part) -> list[Setting]:
    """The settings of a class, from its signature and its docstring as they are written."""
    tree = ast.parse((files("ood_lightning") / part.file).read_text(encoding="utf-8"))
    cls = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == part.name)
    init = next(node for node in cls.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")

    described = _described(ast.get_docstring(cls) or "")
    names = [argument.arg for argument in init.args.args[1:]]
    defaults: list[str | None] = [None] * (len(names) - len(init.args.defaults)) + [
        *map(ast.unparse, init.args.defaults)
    ]
    return [Setting(name, default, described[name]) for name, default in zip(names, defaults, strict=True)]


def _described(docstring: str) -> dict[str, str]:
    """What a docstring says of each argument."""
    arguments = docstring.partition("Args:\n")[2].partition("\n\n")[0]
    pairs = re.findall(r"(?m)^ {4}(\w+): (.+(?:\n {8,}.+)*)", arguments)
    return {name: " ".join(text.split()) for name, text in pairs}


def help_text(command: str, does: str) -> str:
    """The help of `fit` or `test`.

    Args:
        command: which.
        does: in a line.
    """
    line = partial(_line, width=WIDTH)
    lines = [
        f"usage: python -m ood_lightning {command} --config FILE [--KEY VALUE ...]",
        "",
        f"{does[0].upper()}{does[1:]}.",
        "",
    ]
    for example in EXAMPLES[command]:
        lines.append(f"  python -m ood_lightning {example}")

    for part in PARTS[command]:
        lines += ["", f"--{part.key}, of {part.path}:"]
        for setting in settings_of(part):
            is_shown = setting.default is not None and re.fullmatch(r"[\d.e-]+|True|False|'.*'", setting.default)
            default = f" ({setting.default})" if is_shown else ""
            lines.append(line(f"--{part.key}.{setting.name}{default}", setting.text))

    lines += ["", "of every run:", *(line(key, text) for key, text in COMMON)]
    return "\n".join(lines)


def _line(key: str, text: str, width: int) -> str:
    """A key and what it is, on one line of so many columns."""
    start = f"  {key:<{KEYS}}"
    start = start if start.endswith(" ") else f"{start}  "
    return start + shorten(text, max(width - len(start), 20), placeholder=" ...")
