"""CLIPN's "no" text tower: a checkpoint's weights in a copy of the run's own text tower.

    z_no(t) = ( ln_no( T_no( e_no(t) + position_no + mean_r prompt_r ) )  at the end-of-text token ) @ projection_no

Layout: the state dict of open_clip's plain CLIP, where each part of the text tower stands twice, the second time with
    `_no` after its name (`transformer_no.resblocks.0...`, `token_embedding_no.weight`, `positional_embedding_no`,
    `ln_final_no...`, `text_projection_no`), and `prompt_no` (16, context, width); bare or under `state_dict`, each
    name perhaps after `module.`.
Source: Wang et al., ICCV 2023, https://arxiv.org/abs/2308.12213; names, shapes and order of additions as its code
    (github.com/xmed-lab/CLIPN, a45efd0) declares and loads them.
Differs: prompts are added to the positions once instead of to every text, which changes roundings alone. The image and
    "yes" text towers that a checkpoint also holds are compared with the run's and not used. No published checkpoint was
    at hand: what stands beside its `state_dict` is taken to be what open_clip's training saves (epoch, optimizer).
"""

import copy
import hashlib
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from ood_lightning.encoders.base import Encoder
from ood_lightning.encoders.checkpoint import load_numbers, unsafe_pickle_message
from ood_lightning.encoders.openclip import OpenClip, Towers
from ood_lightning.errors import EncoderError
from ood_lightning.hashes import sha256_of
from ood_lightning.places import locate

PROMPTS, N_PROMPTS = "prompt_no", 16
TOLERANCE = 0.01  # of a tensor's length; bfloat16 towers differ from their float32 checkpoint by 0.002


class NoTexts(OpenClip):
    """The run's encoder with CLIPN's "no" text tower in place of its own text tower; it shares the image tower.

    Args:
        yes: the run's encoder, the one that CLIPN was trained beside.
        checkpoint: CLIPN's, as `torch.save` wrote it, or its tensors as `.safetensors`.

    Raises:
        EncoderError: if the encoder is no model of open_clip, or there is no such file.
    """

    def __init__(self, yes: Encoder, checkpoint: str) -> None:
        if not isinstance(yes, OpenClip):
            raise EncoderError(f"CLIPN needs an encoder of open_clip, the run's is {yes.name!r}")
        super().__init__(**{field.name: getattr(yes, field.name) for field in fields(OpenClip)})
        self.yes = yes
        self.checkpoint = locate(checkpoint)
        if not self.checkpoint.is_file():
            raise EncoderError(f"there is no CLIPN checkpoint {self.checkpoint}")

    @property
    def name(self) -> str:  # noqa: D102
        return f"{self.yes.name} 'no'"

    @cached_property
    def fingerprint(self) -> str:  # noqa: D102
        return hashlib.sha256(f"{self.yes.fingerprint} {sha256_of(self.checkpoint)}".encode()).hexdigest()[:16]

    @cached_property
    def _towers(self) -> Towers:
        model, transform, tokenizer = self.yes._towers
        return Towers(_with_no_texts(model, self.checkpoint, self.yes.name), transform, tokenizer)


def _with_no_texts(model: Any, path: Path, name: str) -> Any:
    """The model with the checkpoint's "no" tower for its texts; shares the image tower.

    Args:
        model: the run's.
        path: of the checkpoint.
        name: of the run's encoder, for errors.
    """
    weights = model.state_dict()
    text_keys = [key for key in weights if not key.startswith(("visual.", "logit_"))]
    if "positional_embedding" not in text_keys:  # other models name their text tower's parts `text.`
        raise EncoderError(
            f"CLIPN's text tower is that of open_clip's plain CLIP models, such as ViT-B-16; {name!r} has another one"
        )

    checkpoint = _read(path)
    shapes = {_no(key): tuple(weights[key].shape) for key in text_keys}
    shapes[PROMPTS] = (N_PROMPTS, *weights["positional_embedding"].shape)
    _check_shapes(checkpoint, shapes, path, name)
    _check_frozen(weights, checkpoint, path, name)

    no_weights = {key: checkpoint[_no(key)] for key in text_keys}
    prompt = checkpoint[PROMPTS].float().mean(dim=0)  # (context, width)
    no_weights["positional_embedding"] = no_weights["positional_embedding"].float() + prompt

    tower = copy.deepcopy(model, {id(model.visual): model.visual})  # the memo: the image tower is not copied
    tower.load_state_dict(no_weights, strict=False)  # without the image tower
    return tower


def _no(key: str) -> str:
    """CLIPN's name of the "no" tower's copy of a tensor of the text tower."""
    part, dot, rest = key.partition(".")
    return f"{part}_no{dot}{rest}"


def _check_shapes(checkpoint: dict[str, Tensor], shapes: dict[str, tuple[int, ...]], path: Path, name: str) -> None:
    """Refuse a checkpoint that does not hold all tensors of the "no" tower, in the shapes of the run's encoder."""
    if missing := [key for key in shapes if key not in checkpoint]:
        raise EncoderError(
            f"{path} is no CLIPN checkpoint: {len(missing)} of the {len(shapes)} tensors of its 'no' tower are not in "
            f"it, {missing[0]} for one. It holds {len(checkpoint)} tensors: "
            f"{', '.join(list(checkpoint)[:3]) or 'none'}, ..."
        )

    for key, shape in shapes.items():
        if tuple(checkpoint[key].shape) != shape:
            raise EncoderError(
                f"{path}: {key} is {tuple(checkpoint[key].shape)}, expected {shape} for {name!r}: it was made for "
                f"another model"
            )


def _check_frozen(weights: dict[str, Tensor], checkpoint: dict[str, Tensor], path: Path, name: str) -> None:
    """Refuse a checkpoint trained beside another encoder: its 'no' texts would lie in another space than the pictures.

    CLIPN trains the "no" tower alone, so all other tensors of a checkpoint must be the run's. Shapes cannot tell: the
    text towers of ViT-B-16 and ViT-B-32, and those of all training sets, have the same.
    """
    frozen = [key for key in weights if key in checkpoint and not key.startswith("logit_")]  # features have no scale
    for key in frozen:
        ours = weights[key].cpu().float()
        theirs = checkpoint[key].float()
        if ours.shape != theirs.shape or (ours - theirs).norm() > TOLERANCE * ours.norm():
            raise EncoderError(
                f"{path} was trained beside another encoder than {name!r}: its {key} differs. Name the one it "
                f"was trained beside; published ones go with model: ViT-B-16, pretrained: laion2b_s34b_b88k, or "
                f"ViT-B-32, laion2b_s34b_b79k"
            )


def _read(path: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint by name, without running anything that it holds."""
    try:
        content: Any = load_file(path) if path.suffix == ".safetensors" else load_numbers(path, "cpu")
    except Exception as error:  # for bytes that are no checkpoint, torch raises errors of any kind, KeyError for one
        raise EncoderError(
            unsafe_pickle_message(path, error, "clipn.pt")
            or f"{path} is damaged or no checkpoint ({type(error).__name__}): expected what `torch.save` or "
            f"safetensors wrote. Perhaps it is a download page that was saved under this name: look at its first bytes."
        ) from None

    weights = content.get("state_dict", content) if isinstance(content, dict) else content
    entries = weights.items() if isinstance(weights, dict) else ()
    return {str(key).removeprefix("module."): value for key, value in entries if isinstance(value, torch.Tensor)}
