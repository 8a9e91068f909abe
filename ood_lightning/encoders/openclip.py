"""open_clip's door: any model by name and tag, by hub id (`hf-hub:org/name`) or from a folder (`local-dir:path`).

open_clip and torchvision are imported with the weights: a command that finds all features stored needs neither.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, cast

import torch
from PIL import Image
from torch import Tensor, nn

from ood_lightning.encoders.base import Column, Encoder, Precision, Preset, Resizing
from ood_lightning.encoders.checkpoint import check_sizes, read_model
from ood_lightning.encoders.fast_layout import fast_layout
from ood_lightning.encoders.hub import check_at_hand, commit_of, fetched
from ood_lightning.encoders.openclip_tags import (
    CONFIG,
    HUB,
    LOCAL,
    WEIGHTS,
    check_activation,
    content_of,
    hub_files,
    is_file,
    name_for_factory,
    pinned_name,
    widths,
)
from ood_lightning.encoders.soft_tokens import SoftTower
from ood_lightning.encoders.tokens import WORDS, check_words
from ood_lightning.encoders.vision import capture_intermediate
from ood_lightning.errors import EncoderError, first_line
from ood_lightning.functional.similarity import directions, unit
from ood_lightning.hashes import sha256_of
from ood_lightning.places import expanded
from ood_lightning.ranges import Range


class Towers(NamedTuple):
    """What open_clip makes of a name and weights."""

    model: Any
    transform: Callable[[Image.Image], Tensor]
    tokenizer: Any


@dataclass
class OpenClip(Encoder):
    """A model of open_clip, loaded by its own factory.

    Args:
        model: a name (`ViT-B-16-quickgelu`), `hf-hub:org/name`, `local-dir:folder`, or `builtin:pictograms/model`. Of
            `hf-hub:org/name` the commit that the hub's cache holds is taken, else the newest; of
            `hf-hub:org/name@revision` that branch, tag or commit. The commit is part of the fingerprint.
        pretrained: open_clip's tag or a checkpoint file; a hub id or folder brings its own weights.
        precision: of the towers; `auto` is bf16 on a GPU that computes in it, else fp32. Scores are computed in float32
            and float64 whatever is chosen here.
        feature_dtype: in which image features are stored.
        text_batch: texts in a batch.
        cache_dir: where the hub's files are kept; the hub's default if None.
        extra_features: further columns of features that detectors may read: `tower`, the pooled output before the
            visual projection; `patches`, GL-MCM's local features (196 vectors a picture for ViT-B/16).
        preprocess: the model's own, or that of a published code base, for models that take 224 x 224:
            `legacy-bilinear224` (NegLabel, CSP, MCM, GL-MCM) or `openood-256` (OpenOOD, InterNeg, ANTS).
        resize: `exact` is Pillow's, as published. `fast` is torchvision's: 1.4 to 1.7 times as many pictures in the
            same CPU time, and 0.4 % of the values differ by one level of 255. Features of the two are stored apart.
        compile: the image tower by `torch.compile`, which takes some time at the start of each process and rounds in
            another order: its features are stored apart. A tower that gives `tower` or `patches` is run as it is.
    """

    model: str
    pretrained: str | None = None
    precision: Precision = "auto"
    feature_dtype: Literal["float16", "float32"] = "float16"
    text_batch: Annotated[int, Range(1, 65_536)] = 512
    cache_dir: str | None = None
    extra_features: tuple[Column, ...] = ()
    preprocess: Preset = "model"
    resize: Resizing = "exact"
    compile: bool = False

    @property
    def name(self) -> str:  # noqa: D102
        return f"{self.model}/{self.pretrained}" if self.pretrained else self.model

    @cached_property
    def _name_for_factory(self) -> str:
        return name_for_factory(self.model, self.pretrained)

    @cached_property
    def _repository(self) -> tuple[str, str] | None:
        """Repository of the hub, and its commit; None for other models."""
        if not self._name_for_factory.startswith(HUB):
            return None

        repository, _, revision = self.model.removeprefix(HUB).partition("@")
        return repository, commit_of(repository, CONFIG, revision or None, self.cache_dir)

    @property
    def _file(self) -> Path | None:
        """The checkpoint file, if `pretrained` names one."""
        return expanded(self.pretrained) if self.pretrained and is_file(self.pretrained) else None

    @cached_property
    def fingerprint(self) -> str:  # noqa: D102
        stored = {"precision": self.tower_precision, "feature_dtype": self.feature_dtype}
        parts = {"name": self.model, "pretrained": self.pretrained, **stored}
        if self.preprocess != "model":
            parts["preprocess"] = self.preprocess
        if self.resize != "exact":
            parts["resize"] = self.resize
        if self.compile:
            parts["compile"] = "image tower"

        name = self._name_for_factory
        if name.startswith(LOCAL):  # by its content: the folder of this name may hold other weights later
            parts["name"] = content_of(name)
        elif self._repository:
            parts["name"] = HUB + "@".join(self._repository)
        elif self._file:
            parts["pretrained"] = sha256_of(self._file)

        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def check(self) -> str:  # noqa: D102
        return f"{super().check()}; weights {self._weights_at_hand()}"

    def _weights_at_hand(self) -> str:
        """Where the weights are, in words; refuses those of the hub that are not in its cache while nobody answers."""
        if self._repository:
            repository, commit = self._repository
            return check_at_hand(repository, WEIGHTS, commit, self.cache_dir)

        of_tag = None if self._file else hub_files(self.model, self.pretrained)
        return "on this machine" if of_tag is None else check_at_hand(*of_tag, None, self.cache_dir)

    def widths(self) -> dict[str, int]:  # noqa: D102
        return super().widths() | ({} if self._repository else widths(self._name_for_factory))

    def pinned(self) -> Encoder:  # noqa: D102
        model, weights = pinned_name(self.model, self._repository), self._file and str(self._file.absolute())
        return replace(self, model=model, pretrained=weights or self.pretrained, precision=self.tower_precision)

    @property
    def weights_folder(self) -> Path | None:  # noqa: D102
        name = self._name_for_factory
        return Path(name.removeprefix(LOCAL)) if name.startswith(LOCAL) else None

    def reading(self, folder: Path) -> Encoder:  # noqa: D102
        return replace(self, model=f"{LOCAL}{folder}")

    def load(self, device: torch.device) -> None:  # noqa: D102
        # the layout that GPUs convolve in; a processor's features keep their bits
        layout = torch.preserve_format if device.type == "cpu" else torch.channels_last
        self._towers.model.to(device, memory_format=layout)

    def lay_out_for_speed(self) -> None:  # noqa: D102
        self._towers.model.visual = fast_layout(self._towers.model.visual, self.image_shape)

    @cached_property
    def _towers(self) -> Towers:
        from ood_lightning.encoders.openclip_text import tokenizer_of
        from ood_lightning.encoders.preprocess import preset, with_fast_resize

        name = self._name_for_factory
        if self._repository:  # not by open_clip's own way, which takes the newest commit, whatever was embedded before
            repository, commit = self._repository
            name = f"{LOCAL}{fetched(repository, WEIGHTS, commit, self.cache_dir)}"

        self._weights_at_hand()
        weights = str(self._file) if self._file else self.pretrained
        hint = f". Is it whole, and a checkpoint of {self.model}?" if self._file else ""
        model, transform = read_model(name, weights, self.tower_precision, self.cache_dir, self.name, hint)
        tokenizer = tokenizer_of(name, self._repository, self.cache_dir, self.name)
        self._check(model, tokenizer)

        if self.preprocess != "model":
            transform = preset(self.preprocess, model.visual.image_size, self.name)
        if self.resize == "fast":
            transform = with_fast_resize(transform, self.name)

        return Towers(model.eval().requires_grad_(False), transform, tokenizer)

    def _check(self, model: Any, tokenizer: Any) -> None:
        """Refuse a model that is not the one that the weights were trained as."""
        if self._repository:
            is_quick = any(type(part).__name__ == "QuickGELU" for part in model.modules())
            check_activation(self.model, self._repository[0], is_quick)
        if self._file:
            check_sizes(self._file, model, self.model)

        embedding = getattr(getattr(model, "text", model), "token_embedding", None)
        check_words(tokenizer(list(WORDS)).tolist(), getattr(embedding, "num_embeddings", None), self.name)

    @contextmanager
    def _precision_errors(self) -> Iterator[None]:
        """Inside, errors of a tower that cannot compute in 16 bits say so.

        Some of open_clip's towers, CoCa's text tower for one, keep a part in float32 and add it to parts in 16 bits.
        """
        try:
            yield
        except RuntimeError as error:
            if self.tower_precision == "fp32" or "dtype" not in str(error):
                raise
            raise EncoderError(
                f"encoder {self.name!r}: open_clip cannot compute it in {self.tower_precision} ({first_line(error)}). "
                f"Use precision: fp32"
            ) from error

    @property
    def transform(self) -> Callable[[Image.Image], Tensor]:  # noqa: D102
        return self._towers.transform

    @cached_property
    def logit_scale(self) -> float:  # noqa: D102
        scale = self._towers.model.logit_scale
        # of models with timm's towers, SigLIP among them, open_clip rounds the scale too: in bfloat16, 100 becomes 99
        return float(scale.exp()) if scale.dtype.itemsize == 4 else self.in_fp32().logit_scale

    def encode_image(self, image: Tensor) -> Tensor:  # noqa: D102
        return unit(self._projected(image))

    def traceable_tower(self) -> nn.Module:  # noqa: D102
        self._check_fp32()
        return cast(nn.Module, self._towers.model.visual)

    @cached_property
    def _compiled(self) -> Callable[[Tensor], Tensor]:
        """The image tower, compiled when it first sees a batch of some size."""
        return cast(Callable[[Tensor], Tensor], torch.compile(self._towers.model.encode_image))

    def _projected(self, image: Tensor, *, hooked: bool = False) -> Tensor:
        """Image features of any length, (B, D) float32.

        Args:
            image: pictures (B, 3, H, W).
            hooked: parts of the tower have hooks, which a compiled one would pass over.
        """
        from open_clip import get_input_dtype

        model = self._towers.model
        forward = self._compiled if self.compile and not hooked else model.encode_image
        device = next(model.parameters()).device
        # not the first parameter's dtype: in half precision open_clip leaves norms and embeddings in float32
        dtype = get_input_dtype(self.tower_precision) or torch.float32

        with torch.inference_mode(), self._precision_errors():
            return cast(Tensor, forward(image.to(device, dtype)).float())

    def encode_columns(self, image: Tensor, extra_features: Sequence[str] = ()) -> dict[str, Tensor]:  # noqa: D102
        inside = [name for name in extra_features if name != "length"]  # of the tower
        with capture_intermediate(self._towers.model.visual, inside, self.name) as captured:
            projected = self._projected(image, hooked=bool(inside))

        columns = {"image": directions(projected), "length": projected.norm(dim=1, keepdim=True)}
        columns |= {
            name: directions(captured[name]) if name == "patches" else captured[name].float() for name in inside
        }
        return {name: columns[name] for name in ("image", *extra_features)}

    def encode_text(self, texts: Sequence[str], on_progress: Callable[[int], object] = lambda n: None) -> Tensor:  # noqa: D102
        from ood_lightning.encoders.openclip_text import encode_texts

        model, _, tokenizer = self._towers
        with torch.inference_mode(), self._precision_errors():
            return encode_texts(model, tokenizer, texts, self.text_batch, self.name, on_progress)

    @property
    def folds_case(self) -> bool:  # noqa: D102
        upper, lower = self._towers.tokenizer(["A Crane", "a crane"])
        return bool((upper == lower).all())

    @property
    def supports_soft_tokens(self) -> bool:  # noqa: D102
        from ood_lightning.encoders.openclip_text import causal_forward

        return causal_forward(self._towers.model) is not None

    def soft_tower(self) -> SoftTower:  # noqa: D102
        from ood_lightning.encoders.openclip_text import causal_forward

        model, _, tokenizer = self._towers
        forward = causal_forward(model)
        if forward is None:
            return super().soft_tower()
        return SoftTower(tokenizer, forward, getattr(model, "text", model).token_embedding.weight)
