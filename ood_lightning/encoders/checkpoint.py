"""Checkpoint files: read without running anything that they hold, and refused in words that say what to do."""

import re
from contextlib import AbstractContextManager
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

from ood_lightning.encoders.base import TowerPrecision
from ood_lightning.encoders.openclip_tags import LOCAL
from ood_lightning.errors import EncoderError, first_line

MAX_LETTERS = 160  # of each line of a state dict's error, which names every tensor


def numbers_allowed() -> AbstractContextManager[Any]:
    """Inside, `torch.load` with `weights_only` takes NumPy's numbers too.

    open_clip's training, and CLIPN's with it, writes the optimiser's learning rate as such a number beside the weights.
    """
    scalar = np.float64(0).__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")  # before NumPy 2, and since
    known: list[Any] = [*((scalar, name) for name in names), np.dtype, type(np.dtype("f8"))]
    return torch.serialization.safe_globals(known)


def load_numbers(path: Path, device: str) -> Any:
    """What `torch.save` wrote, if it holds nothing but tensors and numbers."""
    with numbers_allowed():
        return torch.load(path, map_location=device, weights_only=True)


def unsafe_pickle_message(path: Path | str, error: Exception, name: str = "weights.pt") -> str | None:
    """What to say of a file that torch refused because reading it could run code; None for other errors.

    Args:
        path: of the file.
        error: torch's.
        name: of the file to which its tensors alone may be written.
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
    """Another library's error in a sentence or two; a state dict's, which may name every tensor, in three lines."""
    if isinstance(error, KeyError):  # of open_clip, for a part of the model
        return f"its config or weights have no {error}; an encoder needs an image and a text tower"

    if "state_dict" in str(error):
        lines = [line for line in str(error).splitlines() if line.strip()]
        return " ".join(shorten(line, MAX_LETTERS, placeholder=" ...") for line in lines[:3]).rstrip(". ")

    line = first_line(error)
    # errors other than torch's own come up when it takes the bytes for something that they are not
    if "Weights only" in line or isinstance(error, AttributeError | EOFError | StopIteration):
        return f"it is not what torch.save or safetensors wrote ({type(error).__name__})"

    return shorten(line, 2 * MAX_LETTERS, placeholder=" ...").rstrip(".! ")


def check_sizes(path: Path, model: Any, name: str) -> None:
    """Refuse a file some of whose tensors have other sizes than those of the model that was made of it.

    open_clip resizes position embeddings for another picture size or context, and says so in its log alone.

    Args:
        path: of the checkpoint.
        model: as open_clip made it.
        name: open_clip's of the model, for errors.

    Raises:
        EncoderError: names the tensors.
    """
    sizes = _sizes(path)
    resized = [
        f"{key} {sizes[key]}, expected {list(value.shape)}"
        for key, value in model.state_dict().items()
        # the scale and bias of the logits are numbers in some files, and lists of one number in others
        if key in sizes and sizes[key] != list(value.shape) and not key.startswith("logit_")
    ]
    if resized:
        raise EncoderError(
            f"{path} was made for another picture size or context than {name} has: {'; '.join(resized)}. open_clip "
            f"would resize it without an error: name the model that it was trained as"
        )


def _sizes(path: Path) -> dict[str, list[int]]:
    """Shapes of a checkpoint's tensors by name, read without the numbers themselves."""
    if path.suffix == ".safetensors":
        with safe_open(path, framework="pt") as file:
            return {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 (no mapping)
    if path.suffix in (".npz", ".npy"):  # of big_vision, with other names than open_clip's
        return {}

    content = load_numbers(path, "meta")
    weights = content.get("state_dict", content).items()
    return {key.removeprefix("module."): list(value.shape) for key, value in weights}


def read_model(
    name: str, weights: str | None, precision: TowerPrecision, cache_dir: str | None, encoder: str, hint: str
) -> tuple[Any, Any]:
    """A model and its preprocessing, as open_clip's factory makes them.

    Args:
        name: that the factory understands.
        weights: a tag or a checkpoint file; None: the folder of the name holds them.
        precision: of the towers.
        cache_dir: where the hub's files are kept; the hub's default if None.
        encoder: its name, for errors.
        hint: what an error says beside its reason.

    Raises:
        EncoderError: it cannot be loaded.
    """
    import open_clip

    try:
        # not create_model_and_transforms: without weights it warns and goes on with random ones
        with numbers_allowed():
            model, transform = open_clip.create_model_from_pretrained(
                name, pretrained=weights, precision=precision, cache_dir=cache_dir
            )
    except Exception as error:  # for files that are no weights, open_clip raises errors of any kind
        unsafe = unsafe_pickle_message(weights or name.removeprefix(LOCAL), error)
        raise EncoderError(f"encoder {encoder!r} cannot be loaded: {unsafe or short_error(error) + hint}") from error
    return model, transform
