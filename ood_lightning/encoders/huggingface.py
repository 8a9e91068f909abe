"""transformers' door: any model of two towers, an image and a text one, by hub id or from a folder.

Pictures are prepared by the checkpoint's own processor, in its Pillow form wherever there is one: torchvision's form,
which is transformers' default, gives pixels that differ by a level of 255. Weights are read from safetensors files
only, and no code of a model's repository is run.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from ood_lightning.encoders.base import Encoder, Precision
from ood_lightning.encoders.hub import commit_of
from ood_lightning.encoders.huggingface_text import TextBatches
from ood_lightning.encoders.preprocess import of_processor
from ood_lightning.encoders.tokens import WORDS, check_words, report_cut
from ood_lightning.errors import EncoderError, first_line
from ood_lightning.functional.similarity import directions, unit
from ood_lightning.hashes import sha256_of
from ood_lightning.places import expanded
from ood_lightning.ranges import Range

READ = {".json", ".txt", ".model", ".safetensors"}  # files of a folder that can change features


class _Towers(NamedTuple):
    model: Any
    transform: Callable[[Image.Image], Tensor]
    texts: TextBatches
    logit_scale: float


@dataclass
class HuggingFace(Encoder):
    """A model of transformers with an image and a text tower, such as CLIP, SigLIP, ALIGN, AltCLIP or Chinese-CLIP.

    Args:
        model: id on the hub (`openai/clip-vit-base-patch16`), or a local folder.
        revision: branch, tag or commit of the hub's repository. Of a branch or tag, the commit that the cache holds is
            taken, else the newest; it is part of the fingerprint.
        precision: of the towers; `auto` is bf16 on a GPU that computes in it, else fp32. Scores are computed in float32
            and float64 whatever is chosen here.
        feature_dtype: in which image features are stored.
        text_batch: texts in a batch.
        cache_dir: where the hub's files are kept; the hub's default if None.
    """

    model: str
    revision: str | None = None
    precision: Precision = "auto"
    feature_dtype: Literal["float16", "float32"] = "float16"
    text_batch: Annotated[int, Range(1, 65_536)] = 512
    cache_dir: str | None = None

    @property
    def name(self) -> str:  # noqa: D102
        return f"{self.model}@{self.revision}" if self.revision else self.model

    @cached_property
    def _folder(self) -> Path | None:
        """The local folder, or None for a model of the hub."""
        folder = expanded(self.model)
        if not folder.is_dir():
            if self.model.startswith((".", "/", "~")) or self.model.count("/") != 1:
                raise EncoderError(
                    f"encoder {self.model!r}: there is no such folder. A model of the hub is named org/name"
                )
            return None

        if self.revision:
            raise EncoderError(f"encoder {self.model!r} is a folder, which has no revision {self.revision!r}")
        return folder

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

        parts = {
            "name": name,
            "precision": self.tower_precision,
            "feature_dtype": self.feature_dtype,
            "by": "transformers",
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def pinned(self) -> Encoder:  # noqa: D102
        if self._folder:
            return replace(self, model=str(self._folder.absolute()), precision=self.tower_precision)
        return replace(self, revision=self._commit, precision=self.tower_precision)

    @property
    def weights_folder(self) -> Path | None:  # noqa: D102
        return self._folder

    def reading(self, folder: Path) -> Encoder:  # noqa: D102
        return replace(self, model=str(folder))

    def load(self, device: torch.device) -> None:  # noqa: D102
        self._towers.model.to(device)

    @cached_property
    def _towers(self) -> _Towers:
        """All parts of the model; refuses what would compute something else without an error."""
        model, tokenizer, processor = self._read_parts()
        config = _text_config(model)
        check_words(tokenizer(list(WORDS), verbose=False)["input_ids"], getattr(config, "vocab_size", None), self.name)

        model.eval().requires_grad_(False)
        scale = float(model.logit_scale.exp() if hasattr(model, "logit_scale") else 1 / model.temperature)
        if model.config.model_type == "aimv2":
            # transformers 5.23: with SDPA, aimv2's texts are causal only in batches with padding
            model.set_attn_implementation("eager")
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.tower_precision]

        return _Towers(model.to(dtype), of_processor(processor, self.name), TextBatches(tokenizer, config), scale)

    def _read_parts(self) -> tuple[Any, Any, Any]:
        """Model in float32, tokenizer and image processor, as transformers reads them."""
        try:
            from transformers import AutoImageProcessor, AutoModel, AutoTokenizer
        except ImportError:
            raise EncoderError("HuggingFace needs transformers: pip install 'ood-lightning[transformers]'") from None

        name = str(self._folder or self.model)
        # for `main`, transformers may take safetensors from a robot's pull request instead; not for a commit
        revision = None if self._folder else self._commit
        options: dict[str, Any] = {"trust_remote_code": False, "cache_dir": self.cache_dir, "revision": revision}

        try:
            # read in float32: in 16 bits the scale's logarithm would be rounded, CLIP's 100 to 99
            model, report = AutoModel.from_pretrained(
                name, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **options
            )
            self._check(model, sorted(report["missing_keys"]))
            tokenizer = AutoTokenizer.from_pretrained(name, **options)
            return model, tokenizer, AutoImageProcessor.from_pretrained(name, backend="pil", **options)
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

    def _check(self, model: Any, missing: Sequence[str]) -> None:
        """Refuse a model without both towers and a scale, random weights, and a wrong activation.

        Args:
            model: as transformers made it.
            missing: names of its weights that the checkpoint does not hold.
        """
        has_towers = hasattr(model, "get_image_features") and hasattr(model, "get_text_features")
        has_scale = hasattr(model, "logit_scale") or hasattr(model, "temperature")  # the latter is ALIGN's
        if not has_towers or not has_scale:
            raise EncoderError(
                f"encoder {self.name!r} is a {type(model).__name__}: an encoder needs an image and a text tower with "
                f"features in one space and a scale, such as CLIPModel or SiglipModel have"
            )

        if missing:
            raise EncoderError(
                f"encoder {self.name!r}: {len(missing)} weights of {type(model).__name__} are not in the checkpoint, "
                f"{missing[0]} for one, and would be random"
            )

        if self._folder is None:
            from ood_lightning.encoders.openclip_tags import check_activation

            is_quick = getattr(_text_config(model), "hidden_act", None) == "quick_gelu"
            check_activation(self.name, self.model, is_quick)

    @property
    def transform(self) -> Callable[[Image.Image], Tensor]:  # noqa: D102
        return self._towers.transform

    @property
    def logit_scale(self) -> float:  # noqa: D102
        return self._towers.logit_scale

    def encode_image(self, image: Tensor) -> Tensor:  # noqa: D102
        return unit(self._projected(image))

    def traceable_tower(self) -> nn.Module:  # noqa: D102
        self._check_fp32()
        return _ImageSide(self._towers.model, self._vectors)

    def encode_columns(self, image: Tensor, extra_features: Sequence[str] = ()) -> dict[str, Tensor]:  # noqa: D102
        if extra_features:
            return super().encode_columns(image, extra_features)  # which refuses them
        return {"image": directions(self._projected(image))}

    def _projected(self, image: Tensor) -> Tensor:
        """Image features of any length, (B, D) float32."""
        model = self._towers.model
        with torch.inference_mode():
            return self._vectors(model.get_image_features(pixel_values=image.to(model.device, model.dtype)))

    @property
    def folds_case(self) -> bool:  # noqa: D102
        return self._towers.texts.folds_case

    def encode_text(self, texts: Sequence[str], on_progress: Callable[[int], object] = lambda n: None) -> Tensor:  # noqa: D102
        model, _, batches, _ = self._towers
        features: dict[int, Tensor] = {}  # by row
        cut: list[int] = []
        with torch.inference_mode():
            for batch in batches.of(texts, self.text_batch):
                tokens = {name: values.to(model.device) for name, values in batch.tokens.items()}
                vectors = self._vectors(model.get_text_features(**tokens)).cpu()  # (B, D)
                features |= zip(batch.rows, vectors, strict=True)
                cut += batch.cut
                on_progress(len(batch.rows))

        report_cut(texts, cut, batches.context, self.name)
        return torch.stack([features[row] for row in range(len(texts))])

    def _vectors(self, output: Any) -> Tensor:
        """Features (B, D) float32 of what a tower gives: a tensor, or since transformers 5 an output that holds it."""
        vectors: Tensor = getattr(output, "pooler_output", output)
        if vectors.ndim != 2:
            raise EncoderError(
                f"encoder {self.name!r}: {type(self._towers.model).__name__} gives features of shape "
                f"{tuple(vectors.shape)}, expected one vector for a picture or a text"
            )

        return vectors.float()


class _ImageSide(nn.Module):
    """The image side of a model of two towers, as a module."""

    def __init__(self, model: Any, vectors: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.model, self._vectors = model, vectors

    def forward(self, image: Tensor) -> Tensor:
        return self._vectors(self.model.get_image_features(pixel_values=image))


def _text_config(model: Any) -> Any:
    """The config of the text tower; of some models, that of the whole."""
    return getattr(model.config, "text_config", model.config)
