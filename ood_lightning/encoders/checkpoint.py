"""Checkpoint files: read without running anything that they hold, and refused in words that say what to do."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path
from textwrap import shorten
from typing import Any

from ood_lightning.errors import first_line

LINE = 160  # letters of each line of a state dict's complaint, which names every tensor


def numbers_allowed() -> AbstractContextManager[Any]:
    """Inside, `torch.load` with `weights_only` takes NumPy's numbers too.

    open_clip's training, CLIPN's with it, writes the optimiser's learning rate as one beside the weights.
    """
    import numpy as np
    import torch

    scalar = np.float64(0).__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")  # before NumPy 2, and since
    known: list[Any] = [*((scalar, name) for name in names), np.dtype, type(np.dtype("f8"))]
    return torch.serialization.safe_globals(known)


def unsafe_pickle_message(path: Path | str, error: Exception, name: str = "weights.pt") -> str | None:
    """What to say of a file that was refused since reading it could run code; None: the error says something else.

    Args:
        path: of the file.
        error: torch's.
        name: under which the tensors alone may be written.
    """
    if kind := re.search(r"GLOBAL (\S+) was not", str(error)):
        return (
            f"{path} holds more than numbers ({kind.group(1)}), which could run code when it is read: refused. If "
            f"you trust it, write its tensors alone once, in Python: torch.save({{'state_dict': "
            f"torch.load({str(path)!r}, weights_only=False)['state_dict']}}, {name!r})"
        )
    if "TorchScript" in str(error):
        return (
            f"{path} is a TorchScript archive, which could run code when it is read: refused. OpenAI's own files are "
            f"such archives; open_clip has their tensors under the tag openai (model: ViT-B-16-quickgelu, pretrained: "
            f"openai)"
        )
    return None


def short_error(error: Exception) -> str:
    """Another library's error in a sentence or two: of a state dict's, one tensor of each kind of trouble will do."""
    if isinstance(error, KeyError):
        return f"its config or weights have no {error}; an encoder needs an image and a text tower"
    if "state_dict" in str(error):
        lines = [line for line in str(error).splitlines() if line.strip()]
        return " ".join(shorten(line, LINE, placeholder=" ...") for line in lines[:3]).rstrip(". ")
    line = first_line(error)
    if "Weights only" in line or isinstance(error, AttributeError | EOFError | StopIteration):  # it read them as others
        return f"it is not what torch.save or safetensors wrote ({type(error).__name__})"
    return shorten(line, 2 * LINE, placeholder=" ...").rstrip(".! ")


def resized_parameters(path: Path, model: Any) -> list[str]:
    """Tensors that had another number of elements in the file than they have in the model that was made of it.

    open_clip stretches position embeddings of another picture size or context, and only its log tells.
    """
    import torch
    from safetensors import safe_open

    if path.suffix == ".safetensors":
        with safe_open(path, framework="pt") as held:
            sizes = {key: held.get_slice(key).get_shape() for key in held.keys()}  # noqa: SIM118 (no mapping)
    elif path.suffix in (".npz", ".npy"):  # of big_vision, under other names
        return []
    else:
        with numbers_allowed():
            found = torch.load(path, map_location="meta", weights_only=True)
        found = found.get("state_dict", found)
        sizes = {key.removeprefix("module."): list(value.shape) for key, value in found.items()}
    own = {key: list(value.shape) for key, value in model.state_dict().items()}
    return [
        f"{key} {sizes[key]}, expected {size}"
        for key, size in own.items()
        if key in sizes and sizes[key] != size and not key.startswith("logit_")  # a number, or a list of one
    ]
