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

from __future__ import annotations

import copy
import hashlib
from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ood_lightning.encoders.checkpoint import numbers_allowed, unsafe_pickle_message
from ood_lightning.encoders.openclip import OpenClip
from ood_lightning.errors import EncoderError
from ood_lightning.hashes import sha256_of
from ood_lightning.places import locate

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor

    from ood_lightning.encoders.base import Encoder

PROMPTS, N_PROMPTS = "prompt_no", 16
SAME = 0.01  # of a tensor's length; bfloat16 towers differ from their float32 checkpoint by 0.002


class NoTexts(OpenClip):
    """The run's encoder with CLIPN's "no" text tower in place of its own; pictures pass through the run's own tower.

    Args:
        yes: the run's encoder, the one that CLIPN was trained beside.
        checkpoint: CLIPN's, as `torch.save` wrote it, or its tensors as `.safetensors`.

    Raises:
        EncoderError: if the encoder is no model of open_clip, or there is no such file.
    """

    def __init__(self, yes: Encoder, checkpoint: str) -> None:
        if not isinstance(yes, OpenClip):
            raise EncoderError(f"CLIPN needs an encoder of open_clip, the run's is {yes.name!r}")
        super().__init__(**{field.name: getattr(yes, field.name) for field in fields(OpenClip) if field.init})
        self.yes, self.checkpoint = yes, locate(checkpoint)
        if not self.checkpoint.is_file():
            raise EncoderError(f"there is no CLIPN checkpoint {self.checkpoint}")

    @property
    def name(self) -> str:  # noqa: D102
        return f"{self.yes.name} 'no'"

    @cached_property
    def fingerprint(self) -> str:  # noqa: D102
        parts = f"{self.yes.fingerprint} {sha256_of(self.checkpoint)}"
        return hashlib.sha256(parts.encode()).hexdigest()[:16]

    def load(self, device: torch.device) -> None:  # noqa: D102
        if self._towers is None:
            model, transform, tokenizer = self.yes._loaded()
            self._towers = (_answering_no(model, self.checkpoint, self.yes.name), transform, tokenizer)
        self._towers[0].to(device)

    def _loaded(self) -> Any:
        if self._towers is None:
            self.load(next(self.yes._loaded()[0].parameters()).device)
        return self._towers


def _answering_no(model: Any, path: Path, name: str) -> Any:
    """The model with the checkpoint's "no" tower for its texts; shares the image tower."""
    own = model.state_dict()
    text = [key for key in own if not key.startswith(("visual.", "logit_"))]
    if "positional_embedding" not in text:  # others name their text tower's parts `text.`
        raise EncoderError(
            f"CLIPN's text tower is that of open_clip's plain CLIP models, such as ViT-B-16; {name!r} has another one"
        )
    found = _read(path)
    wanted = {_no(key): tuple(own[key].shape) for key in text}
    wanted[PROMPTS] = (N_PROMPTS, *own["positional_embedding"].shape)
    if lacking := [key for key in wanted if key not in found]:
        raise EncoderError(
            f"{path} is no CLIPN checkpoint: {len(lacking)} of the {len(wanted)} tensors of its 'no' tower are not in "
            f"it, {lacking[0]} for one. It holds {len(found)} tensors: {', '.join(list(found)[:3]) or 'none'}, ..."
        )
    for key, shape in wanted.items():
        if tuple(found[key].shape) != shape:
            raise EncoderError(
                f"{path}: {key} is {tuple(found[key].shape)}, expected {shape} under {name!r}: it was made for another "
                f"model"
            )
    _check_frozen(own, found, path, name)
    no = {key: found[_no(key)] for key in text}
    no["positional_embedding"] = no["positional_embedding"].float() + found[PROMPTS].float().mean(dim=0)
    tower = copy.deepcopy(model, {id(model.visual): model.visual})  # the memo: not copied again
    tower.load_state_dict(no, strict=False)  # what is not in it is the image tower
    return tower


def _no(key: str) -> str:
    """Where CLIPN keeps the "no" tower's twin of a tensor of the text tower."""
    part, dot, rest = key.partition(".")
    return f"{part}_no{dot}{rest}"


def _check_frozen(own: dict[str, Tensor], found: dict[str, Tensor], path: Path, name: str) -> None:
    """Refuse a checkpoint trained beside another encoder: its 'no' texts would lie in another space than the pictures.

    CLIPN trains the "no" tower alone, so what else a checkpoint holds must be the run's. Shapes cannot tell: the text
    towers of ViT-B-16 and ViT-B-32, and those of all data sets, have the same.
    """
    for key in own:
        if key not in found or key.startswith("logit_"):  # the scale is no part of a feature
            continue
        ours, theirs = own[key].cpu().float(), found[key].float()
        if ours.shape != theirs.shape or (ours - theirs).norm() > SAME * ours.norm():
            raise EncoderError(
                f"{path} was trained beside another encoder than {name!r}: its {key} differs. Name the one it "
                f"was trained beside; published ones go with model: ViT-B-16, pretrained: laion2b_s34b_b88k, or "
                f"ViT-B-32, laion2b_s34b_b79k"
            )


def _read(path: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint by name, without running anything that it holds."""
    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            held: Any = load_file(path)
        else:
            with numbers_allowed():
                held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no checkpoint raise whatever they are taken for, KeyError for one
        if words := unsafe_pickle_message(path, error, "clipn.pt"):
            raise EncoderError(words) from None
        raise EncoderError(
            f"{path} is damaged or no checkpoint ({type(error).__name__}): expected what `torch.save` or safetensors "
            f"wrote. A download page saved under this name looks like this; see its first bytes."
        ) from None
    if isinstance(held, dict):
        held = held.get("state_dict", held)
    entries = held.items() if isinstance(held, dict) else ()
    return {str(key).removeprefix("module."): value for key, value in entries if isinstance(value, torch.Tensor)}
