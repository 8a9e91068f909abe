"""open_clip's door: any model by name and tag, by hub id (`hf-hub:org/name`) or from a folder (`local-dir:path`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Literal

from safetensors import SafetensorError

from ood_lightning.encoders.base import Column, Encoder
from ood_lightning.encoders.blanks import Blanks
from ood_lightning.encoders.openclip_tags import LOCAL, check_hub, check_name, check_tag, is_file, tags
from ood_lightning.encoders.preprocess import Preset, Resizing, preset, with_fast_resize
from ood_lightning.encoders.truncation import cut, report_cut
from ood_lightning.encoders.vision import tapped
from ood_lightning.errors import EncoderError
from ood_lightning.hashes import sha256_of
from ood_lightning.places import BUILTIN, locate

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import Tensor


@dataclass
class OpenClip(Encoder):
    """A model of open_clip, loaded by its own factory.

    Args:
        model: a name (`ViT-B-16-quickgelu`), `hf-hub:org/name`, `local-dir:folder`, or `builtin:pictograms/model`.
        pretrained: open_clip's tag or a checkpoint file; not used with a hub id or folder.
        precision: of the towers. Scores are computed in float32 and float64 whatever is chosen here.
        feature_dtype: in which image features are stored.
        text_batch: texts in a batch.
        cache_dir: where the hub's files are kept; the hub's default if None.
        also: further columns of features that detectors may read: `tower`, the pooled output before the visual
            projection; `patches`, GL-MCM's local features (196 vectors a picture for ViT-B/16).
        preprocess: the model's own, or that of a published code base, for models that take 224 x 224:
            `legacy-bilinear224` (NegLabel, CSP, MCM, GL-MCM) or `openood-256` (OpenOOD, InterNeg, ANTS).
        resize: `exact` is Pillow's, as published; `fast` is torchvision's, about 1.5 times as many pictures in the
            same CPU time, and one level of 255 beside it in 0.4 % of the values. Features of the two are kept apart.
    """

    model: str
    pretrained: str | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    feature_dtype: Literal["float16", "float32"] = "float16"
    text_batch: int = 512
    cache_dir: str | None = None
    also: tuple[Column, ...] = ()
    preprocess: Preset = "model"
    resize: Resizing = "exact"
    _towers: Any = field(default=None, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:  # noqa: D102
        return f"{self.model}/{self.pretrained}" if self.pretrained else self.model

    @cached_property
    def _name_for_factory(self) -> str:
        """The name that open_clip's factory understands; refuses what would load something else in silence."""
        import open_clip

        if self.model.startswith((BUILTIN, LOCAL)):
            folder = locate(self.model.removeprefix(LOCAL))
            if not (folder / "open_clip_config.json").is_file():
                raise EncoderError(f"encoder {self.model!r}: {folder} holds no open_clip_config.json")
            return f"{LOCAL}{folder}"
        if self.model.startswith("hf-hub:"):
            return self.model
        check_name(self.model, open_clip.list_models())
        if self.pretrained is None:
            raise EncoderError(
                f"encoder {self.model!r} needs `pretrained`: one of {tags(self.model)}, or a checkpoint file"
            )
        check_tag(self.model, self.pretrained)
        return self.model

    @cached_property
    def fingerprint(self) -> str:  # noqa: D102
        parts = {
            "name": self.model,
            "pretrained": self.pretrained,
            "precision": self.precision,
            "feature_dtype": self.feature_dtype,
        }
        if self.preprocess != "model":
            parts["preprocess"] = self.preprocess
        if self.resize != "exact":
            parts["resize"] = self.resize
        name = self._name_for_factory
        if name.startswith(LOCAL):  # the same folder name may hold other weights tomorrow
            folder = locate(name.removeprefix(LOCAL))
            files = sorted(p for p in folder.iterdir() if p.name.startswith("open_clip_") and p.is_file())
            parts["name"] = json.dumps([(p.name, sha256_of(p)) for p in files])
        elif self.pretrained and is_file(self.pretrained):
            parts["pretrained"] = sha256_of(Path(self.pretrained))
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def load(self, device: torch.device) -> None:  # noqa: D102
        import open_clip

        if self._towers is None:
            name = self._name_for_factory
            try:
                # not create_model_and_transforms: without weights it warns and goes on with random ones
                model, transform = open_clip.create_model_from_pretrained(
                    name, pretrained=self.pretrained, precision=self.precision, cache_dir=self.cache_dir
                )
                tokenizer = open_clip.get_tokenizer(name)
            except (OSError, RuntimeError, ValueError, UnpicklingError, SafetensorError) as error:
                raise EncoderError(f"encoder {self.name!r} cannot be loaded: {error}") from error
            except KeyError as error:
                raise EncoderError(
                    f"encoder {self.name!r}: its config has no {error}. An encoder needs an image and a text tower."
                ) from error
            check_hub(self.model, model)
            if self.preprocess != "model":
                transform = preset(self.preprocess, model.visual.image_size, self.name)
            if self.resize == "fast":
                transform = with_fast_resize(transform, self.name)
            self._towers = (model.eval().requires_grad_(False), transform, tokenizer)
        self._towers[0].to(device)

    def _loaded(self) -> Any:
        if self._towers is None:
            import torch

            self.load(torch.device("cpu"))
        return self._towers

    @property
    def transform(self) -> Callable[[Image.Image], Tensor]:  # noqa: D102
        transform: Callable[[Image.Image], Tensor] = self._loaded()[1]
        return transform

    @property
    def logit_scale(self) -> float:  # noqa: D102
        return float(self._loaded()[0].logit_scale.exp())

    def encode_image(self, image: Tensor) -> Tensor:  # noqa: D102
        import open_clip
        import torch

        from ood_lightning.functional.similarity import unit

        model = self._loaded()[0]
        # not the first parameter's dtype: in half precision open_clip leaves norms and embeddings in float32
        dtype = open_clip.get_input_dtype(self.precision) or torch.float32
        with torch.inference_mode():
            return unit(model.encode_image(image.to(next(model.parameters()).device, dtype)).float())

    def encode_columns(self, image: Tensor, also: Sequence[str] = ()) -> dict[str, Tensor]:  # noqa: D102
        from ood_lightning.functional.similarity import unit

        if not also:
            return {"image": self.encode_image(image)}
        with tapped(self._loaded()[0].visual, also, self.name) as found:
            columns = {"image": self.encode_image(image)}
        columns |= {name: unit(found[name]) if name == "patches" else found[name].float() for name in also}
        return columns

    def encode_text(self, texts: Sequence[str], tick: Callable[[int], object] = lambda n: None) -> Tensor:  # noqa: D102
        import torch

        model, _, tokenizer = self._loaded()
        device = next(model.parameters()).device
        forward, trims = _text_tower(model)
        parts: list[tuple[Tensor, Tensor]] = []
        padding, too_long = int(tokenizer([""])[0, -1]), []
        with torch.inference_mode():
            for positions, tokens in _by_length(texts, tokenizer, self.text_batch):
                # a causal tower never looks past the end-of-text token, so shorter rows give the same features
                length = int(tokens.argmax(1).max()) + 1 if trims else tokens.shape[1]
                parts.append((positions, forward(tokens[:, :length].to(device)).float().cpu()))
                rows = positions.tolist()
                too_long += [rows[i] for i in cut([texts[row] for row in rows], tokens, tokenizer, padding)]
                tick(len(tokens))
        report_cut(texts, too_long, tokens.shape[1], self.name)
        features = torch.cat([part[1] for part in parts])
        return torch.empty_like(features).index_copy_(0, torch.cat([part[0] for part in parts]), features)

    @property
    def takes_vectors(self) -> bool:  # noqa: D102
        return _text_tower(self._loaded()[0])[1]

    def blanks(self, texts: Sequence[str]) -> Blanks:  # noqa: D102
        if not self.takes_vectors:
            return super().blanks(texts)
        model, _, tokenizer = self._loaded()
        embedding = getattr(model, "text", model).token_embedding
        return Blanks(texts, tokenizer, _text_tower(model)[0], embedding.embedding_dim, embedding.weight.device)


def _by_length(texts: Sequence[str], tokenizer: Any, size: int) -> Any:
    """Batches of (positions, tokens) of texts of like length; the order is a function of the texts alone."""
    import torch

    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
    chunk = 64 * size  # tokenised together, so that sorting by tokens works and memory stays flat
    for start in range(0, len(order), chunk):
        positions = torch.tensor(order[start : start + chunk])
        tokens = tokenizer([texts[i] for i in order[start : start + chunk]])
        sorting = tokens.argmax(1).argsort(stable=True)  # the end-of-text token has the largest id
        for rows in sorting.split(size):
            yield positions[rows], tokens[rows]


def _text_tower(model: Any) -> tuple[Callable[..., Tensor], bool]:
    """The text forward, and whether it may be given fewer tokens than the context holds, and vectors for tokens.

    Trimming is exact for causal towers that read the end-of-text token. SigLIP-style towers attend to their padding and
    keep it.
    """
    import torch
    from open_clip.model import CLIP
    from open_clip.transformer import TextTransformer, text_global_pool

    tower = model if isinstance(model, CLIP) else getattr(model, "text", None)
    if not isinstance(tower, CLIP | TextTransformer) or tower.attn_mask is None:
        return model.encode_text, False
    pool = tower.text_pool_type if isinstance(tower, CLIP) else tower.pool_type
    if pool != "argmax" or getattr(tower, "cls_emb", None) is not None:
        return model.encode_text, False

    def forward(tokens: Tensor, at: Tensor | None = None, vectors: Tensor | None = None) -> Tensor:
        """The tower's own forward, but for positions and mask of as many tokens as there are.

        Row i's token at place `at[i]` is embedded as `vectors[i]`.
        """
        n = tokens.shape[1]
        dtype = tower.transformer.get_cast_dtype()
        x = tower.token_embedding(tokens).to(dtype)
        if at is not None and vectors is not None:
            here = (at[:, None] == torch.arange(n, device=at.device))[..., None]
            x = torch.where(here, vectors[:, None].to(dtype), x)
        x = x + tower.positional_embedding[:n].to(dtype)
        x = tower.ln_final(tower.transformer(x, attn_mask=tower.attn_mask[:n, :n]))
        pooled: Tensor = text_global_pool(x, tokens, pool)
        projection = tower.text_projection
        if projection is None:
            return pooled
        projected: Tensor = projection(pooled) if callable(projection) else pooled @ projection
        return projected

    return forward, True
