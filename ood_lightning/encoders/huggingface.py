"""transformers' door: any model of two towers, an image and a text one, by hub id or from a folder.

Pictures are prepared by the checkpoint's own processor, in its Pillow form wherever there is one: torchvision's, which
transformers takes unless told otherwise, moves pixels by a level. Weights come from safetensors alone, and no code of a
model's repository is run.

Differs: the texts of SigLIP are lower-cased, as in its training; some of its tokenizers on the hub do not do it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ood_lightning.encoders.base import Encoder
from ood_lightning.encoders.hub import commit_of
from ood_lightning.encoders.openclip_tags import trained_as
from ood_lightning.encoders.preprocess import of_processor
from ood_lightning.encoders.truncation import report_cut
from ood_lightning.encoders.vocabulary import WORDS, check_words
from ood_lightning.errors import EncoderError, first_line
from ood_lightning.hashes import sha256_of

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import Tensor

READ = {".json", ".txt", ".model", ".safetensors"}  # what of a folder can change features
SIGLIP = ("siglip_text_model", "siglip2_text_model")  # attend to their padding, and read the last token
# Towers that are causal and read the end-of-text token, or that mask their padding: a row is padded to its batch alone.
TRIMS = {
    f"{family}_text_model"
    for family in ("aimv2", "align", "altclip", "chinese_clip", "clip", "clipseg", "groupvit", "metaclip_2")
}


class _Towers(NamedTuple):
    model: Any
    transform: Callable[[Image.Image], Tensor]
    tokenizer: Any
    logit_scale: float


@dataclass
class HuggingFace(Encoder):
    """A model of transformers with an image and a text tower, such as CLIP, SigLIP, ALIGN, AltCLIP or Chinese-CLIP.

    Args:
        model: id on the hub (`openai/clip-vit-base-patch16`), or a local folder.
        revision: branch, tag or commit of the hub's repository. Unless it is a commit, the one that the cache holds is
            taken, or the newest; which one is part of the fingerprint.
        precision: of the towers. Scores are computed in float32 and float64 whatever is chosen here.
        feature_dtype: in which image features are stored.
        text_batch: texts in a batch.
        cache_dir: where the hub's files are kept; the hub's default if None.
    """

    model: str
    revision: str | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    feature_dtype: Literal["float16", "float32"] = "float16"
    text_batch: int = 512
    cache_dir: str | None = None
    _towers: _Towers | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:  # noqa: D102
        return f"{self.model}@{self.revision}" if self.revision else self.model

    @cached_property
    def _folder(self) -> Path | None:
        """The local folder, or None for a model of the hub."""
        folder = Path(self.model).expanduser()
        if folder.is_dir():
            if self.revision:
                raise EncoderError(f"encoder {self.model!r} is a folder, which has no revision {self.revision!r}")
            return folder
        if self.model.startswith((".", "/", "~")) or self.model.count("/") != 1:
            raise EncoderError(f"encoder {self.model!r}: there is no such folder. A model of the hub is named org/name")
        return None

    @cached_property
    def _commit(self) -> str:
        """Of the hub's repository."""
        return commit_of(self.model, "config.json", self.revision, self.cache_dir)

    @cached_property
    def fingerprint(self) -> str:  # noqa: D102
        if self._folder is None:
            name = f"{self.model}@{self._commit}"
        else:
            files = sorted(path for path in self._folder.iterdir() if path.suffix in READ and path.is_file())
            name = json.dumps([(path.name, sha256_of(path)) for path in files])
        parts = {"name": name, "precision": self.precision, "feature_dtype": self.feature_dtype, "by": "transformers"}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def load(self, device: torch.device) -> None:  # noqa: D102
        if self._towers is None:
            self._towers = self._read()
        self._towers.model.to(device)

    def _read(self) -> _Towers:
        try:
            from transformers import AutoImageProcessor, AutoModel, AutoTokenizer
        except ImportError:
            raise EncoderError("HuggingFace needs transformers: pip install 'ood-lightning[transformers]'") from None
        import torch

        place = self.model if self._folder is None else str(self._folder)
        given: dict[str, Any] = {"trust_remote_code": False, "cache_dir": self.cache_dir}
        if self._folder is None:
            given["revision"] = self._commit  # a commit, also because weights of `main` may be a robot's conversion
        try:
            # read in float32: in 16 bits the scale's logarithm would be rounded, CLIP's 100 to 99
            model, about = AutoModel.from_pretrained(
                place, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **given
            )
            self._check(model, sorted(about["missing_keys"]))
            tokenizer = AutoTokenizer.from_pretrained(place, **given)
            processor = AutoImageProcessor.from_pretrained(place, backend="pil", **given)
        except EncoderError:
            raise
        except ImportError as error:
            raise EncoderError(
                f"encoder {self.name!r}: {first_line(error)} pip install 'ood-lightning[transformers]'"
            ) from error
        except Exception as error:  # of a broken file, its tokenizers raise an Exception and nothing finer
            raise EncoderError(
                f"encoder {self.name!r} cannot be loaded: {first_line(error).rstrip('.')}. Name a model with "
                f"safetensors weights, a tokenizer and an image processor (some repositories of the hub have "
                f"safetensors in another revision alone); models that bring code of their own are not run."
            ) from error
        vectors = getattr(getattr(model.config, "text_config", model.config), "vocab_size", None)
        check_words(tokenizer(list(WORDS), verbose=False)["input_ids"], vectors, self.name)
        model.eval().requires_grad_(False)
        if model.config.model_type == "aimv2":
            # transformers 5.23: under SDPA its texts are causal only beside padding
            model.set_attn_implementation("eager")
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]
        scale = float(model.logit_scale.exp() if hasattr(model, "logit_scale") else 1 / model.temperature)
        return _Towers(model.to(dtype), of_processor(processor, self.name), tokenizer, scale)

    def _check(self, model: Any, missing: Sequence[str]) -> None:
        """Refuse what has not both towers and a scale, random weights, and another activation than was trained with."""
        towers = hasattr(model, "get_image_features") and hasattr(model, "get_text_features")
        if not towers or not (hasattr(model, "logit_scale") or hasattr(model, "temperature")):  # ALIGN's
            raise EncoderError(
                f"encoder {self.name!r} is a {type(model).__name__}: an encoder needs an image and a text tower with "
                f"features in one space and a scale, such as CLIPModel or SiglipModel have"
            )
        if missing:
            raise EncoderError(
                f"encoder {self.name!r}: {len(missing)} weights of {type(model).__name__} are not in the checkpoint, "
                f"{missing[0]} for one, and would be random"
            )
        known = trained_as(self.model) if self._folder is None else None
        if known and known[2] != (getattr(model.config, "text_config", model.config).hidden_act == "quick_gelu"):
            raise EncoderError(
                f"the config of {self.name!r} is wrong about QuickGELU, so its weights would give wrong features "
                f"without an error. Use ood_lightning.encoders.openclip.OpenClip, model: {known[0]}, pretrained: "
                f"{known[1]}"
            )

    def _loaded(self) -> _Towers:
        if self._towers is None:
            self._towers = self._read()
        return self._towers

    @property
    def transform(self) -> Callable[[Image.Image], Tensor]:  # noqa: D102
        return self._loaded().transform

    @property
    def logit_scale(self) -> float:  # noqa: D102
        return self._loaded().logit_scale

    def encode_image(self, image: Tensor) -> Tensor:  # noqa: D102
        import torch

        from ood_lightning.functional.similarity import unit

        model = self._loaded().model
        with torch.inference_mode():
            return unit(self._vectors(model.get_image_features(pixel_values=image.to(model.device, model.dtype))))

    def encode_text(self, texts: Sequence[str], on_progress: Callable[[int], object] = lambda n: None) -> Tensor:  # noqa: D102
        import torch

        model = self._loaded().model
        found: dict[int, Tensor] = {}
        too_long: list[int] = []
        with torch.inference_mode():
            for rows, cut, tokens in self._batches(texts):
                features = self._vectors(model.get_text_features(**tokens)).cpu()
                found.update(zip(rows, features, strict=True))
                too_long += cut
                on_progress(len(rows))
        report_cut(texts, too_long, self._context, self.name)
        return torch.stack([found[row] for row in range(len(texts))])

    def _vectors(self, output: Any) -> Tensor:
        """Features (B, D) float32 of what a tower gives: a tensor, or since transformers 5 an output that holds it."""
        vectors: Tensor = getattr(output, "pooler_output", output)
        if vectors.ndim != 2:
            kind = type(self._loaded().model).__name__
            raise EncoderError(
                f"encoder {self.name!r}: {kind} gives features of shape {tuple(vectors.shape)}, expected one vector "
                f"for a picture or a text"
            )
        return vectors.float()

    @cached_property
    def _text(self) -> Any:
        """The config of the text tower."""
        config = self._loaded().model.config
        return getattr(config, "text_config", config)

    @cached_property
    def _context(self) -> int:
        """Tokens that the text tower reads."""
        kind, places = self._text.model_type, int(self._text.max_position_embeddings)
        if kind in SIGLIP:
            return places
        if "roberta" in kind or kind == "altclip_text_model":  # the first places are those of padding
            places -= self._text.pad_token_id + 1
        return min(places, int(self._loaded().tokenizer.model_max_length))

    def _batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], list[int], dict[str, Tensor]]]:
        """Batches of texts of like length: their rows, the rows that were cut, and what the tower is given."""
        tokenizer, siglip = self._loaded().tokenizer, self._text.model_type in SIGLIP
        order = sorted(range(len(texts)), key=lambda row: (len(texts[row]), row))
        chunk = 64 * self.text_batch  # tokenised together, so that sorting by tokens works and memory stays flat
        for start in range(0, len(order), chunk):
            held = {row: texts[row].lower() if siglip else texts[row] for row in order[start : start + chunk]}
            ids = dict(zip(held, tokenizer(list(held.values()), verbose=False)["input_ids"], strict=True))
            long = {row: held[row] for row in held if len(ids[row]) > self._context}
            if long:
                short = tokenizer(list(long.values()), truncation=True, max_length=self._context)
                ids.update(zip(long, short["input_ids"], strict=True))
            by_tokens = sorted(held, key=lambda row: len(ids[row]))
            for at in range(0, len(by_tokens), self.text_batch):
                rows = by_tokens[at : at + self.text_batch]
                yield rows, [row for row in rows if row in long], self._padded([ids[row] for row in rows])

    def _padded(self, ids: Sequence[Sequence[int]]) -> dict[str, Tensor]:
        """Tokens padded on the right, and a mask of them; SigLIP is given none, as in its training."""
        import torch

        model, tokenizer = self._loaded().model, self._loaded().tokenizer
        width = max(map(len, ids)) if self._text.model_type in TRIMS else self._context
        padding = next((int(i) for i in (tokenizer.pad_token_id, tokenizer.eos_token_id) if i is not None), 0)
        tokens = torch.tensor([[*some, *[padding] * (width - len(some))] for some in ids], device=model.device)
        if self._text.model_type in SIGLIP:
            return {"input_ids": tokens}
        lengths = torch.tensor([len(some) for some in ids], device=model.device)
        mask = torch.arange(width, device=model.device) < lengths[:, None]
        return {"input_ids": tokens, "attention_mask": mask.long()}
