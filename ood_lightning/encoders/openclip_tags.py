"""What open_clip knows of its models and weights: which names exist, and which activation a tag was trained with.

open_clip is imported where its tables are asked, and not before: that takes seconds, and folders need none of them.
"""

import difflib
import json
from pathlib import Path
from typing import Any

from ood_lightning.errors import EncoderError
from ood_lightning.hashes import sha256_of
from ood_lightning.places import BUILTIN, expanded, locate

LOCAL, HUB = "local-dir:", "hf-hub:"
CONFIG = "open_clip_config.json"
READ = {".json", ".txt", ".model", ".safetensors", ".bin", ".pth"}  # files of a folder that can change features
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")  # of a repository, in open_clip's order


def _tables() -> Any:
    """open_clip, for what it says of models and tags."""
    import open_clip

    return open_clip


def name_for_factory(model: str, pretrained: str | None) -> str:
    """The name of a model that open_clip's factory understands.

    Args:
        model: open_clip's name, `hf-hub:org/name`, or a folder after `local-dir:` or `builtin:`.
        pretrained: open_clip's tag, or a checkpoint file.

    Raises:
        EncoderError: there is no such model, or open_clip would load something else without an error.
    """
    if model.startswith((BUILTIN, LOCAL, HUB)):
        if pretrained is not None:
            raise EncoderError(
                f"encoder {model!r} brings its own weights, so pretrained: {pretrained} would not be used: leave it "
                f"out, or set it to null"
            )
        if model.startswith(HUB):
            return model

        folder = locate(model.removeprefix(LOCAL))
        if not (folder / CONFIG).is_file():
            raise EncoderError(f"encoder {model!r}: {folder} holds no {CONFIG}")
        return f"{LOCAL}{folder}"

    check_name(model)
    if pretrained is None:
        raise EncoderError(f"encoder {model!r} needs `pretrained`: one of {tags(model)}, or a checkpoint file")
    check_tag(model, pretrained)
    return model


def content_of(name: str) -> str:
    """Names and hashes of a folder's files that can change features.

    Args:
        name: `local-dir:folder`.
    """
    folder = locate(name.removeprefix(LOCAL))
    files = sorted(path for path in folder.iterdir() if path.suffix in READ and path.is_file())
    return json.dumps([(path.name, sha256_of(path)) for path in files])


def pinned_name(model: str, repository: tuple[str, str] | None) -> str:
    """The name under which the very same model is found from everywhere.

    Args:
        model: as of :func:`name_for_factory`.
        repository: of the hub, and its commit; None for other models.
    """
    if repository is not None:
        return HUB + "@".join(repository)
    return f"{LOCAL}{locate(model.removeprefix(LOCAL)).absolute()}" if model.startswith(LOCAL) else model


def hub_files(model: str, pretrained: str | None) -> tuple[str, list[str]] | None:
    """Repository of the hub that open_clip fetches a tag's weights from, and the files that it looks for, if any."""
    address = (_tables().get_pretrained_cfg(model, pretrained) or {}).get("hf_hub") if pretrained else None
    if not address:
        return None
    repository, _, file = address.rpartition("/")
    return repository, [file] if file else list(WEIGHTS)


def widths(name: str) -> dict[str, int]:
    """Numbers that are stored of an image, by column, as a model's config has them; empty where it does not say.

    Args:
        name: open_clip's, or `local-dir:folder`.
    """
    if name.startswith(LOCAL):
        content = json.loads((Path(name.removeprefix(LOCAL)) / CONFIG).read_bytes())
        config = content.get("model_cfg", content)
    else:
        config = _tables().get_model_config(name) or {}

    vision = config.get("vision_cfg", {})
    dim, width, size, patch = (
        config.get("embed_dim"),
        vision.get("width"),
        vision.get("image_size"),
        vision.get("patch_size"),
    )
    if not isinstance(dim, int):
        return {}

    known = {"image": dim}
    if all(isinstance(number, int) and number for number in (width, size, patch)):  # configs of timm's towers lack them
        known |= {"tower": width, "patches": (size // patch) ** 2 * dim}
    return known


def is_model(name: str) -> bool:
    """Whether open_clip has a model of that name."""
    return name in _tables().list_models()


def is_file(name: str) -> bool:
    """Whether a `pretrained` value names a file rather than one of open_clip's tags."""
    return "/" in name or "." in name  # no tag of open_clip has either


def tags(model: str) -> str:
    """Tags of a model, for a sentence."""
    return ", ".join(_tables().list_pretrained_tags_by_model(model)) or "none known"


def _is_quick(config: dict[str, Any] | None) -> bool:
    """Whether a model's config, or a row of open_clip's table of tags, says QuickGELU."""
    return bool((config or {}).get("quick_gelu", False))


def _has_activation_of(model: str, tag: str) -> bool:
    """Whether a model has the activation that a tag's weights were trained with."""
    return _is_quick(_tables().get_model_config(model)) == _is_quick(_tables().get_pretrained_cfg(model, tag))


def check_name(model: str) -> None:
    """Refuse a name that open_clip does not know.

    Raises:
        EncoderError: names similar ones.
    """
    known = _tables().list_models()
    if model in known:
        return

    spelling = {name.lower(): name for name in known}
    similar = [spelling[name] for name in difflib.get_close_matches(model.lower(), spelling, n=3)]
    hint = f"; near ones: {', '.join(similar)}" if similar else ""
    raise EncoderError(
        f"open_clip has no model {model!r}{hint}. A folder is named {LOCAL}path, a hub model {HUB}org/name; a model of "
        f"transformers is loaded by ood_lightning.encoders.huggingface.HuggingFace."
    )


def check_tag(model: str, tag: str) -> None:
    """Refuse a tag for a model whose activation it was not trained with: open_clip only warns and computes on.

    Source: open_clip's own table of tags (openai, dfn and metaclip weights were trained with QuickGELU).

    Raises:
        EncoderError: names the right model or tag.
    """
    if is_file(tag):
        if not expanded(tag).is_file():
            raise EncoderError(f"there is no checkpoint file {tag}")
        return

    config = _tables().get_pretrained_cfg(model, tag)
    if not config:
        others = [name for name in _tables().list_pretrained_models_by_tag(tag) if _has_activation_of(name, tag)]
        similar = difflib.get_close_matches(model, others, n=3, cutoff=0.0)
        hint = f". Models with {tag!r}: {', '.join(similar)}" if similar else ""
        raise EncoderError(f"open_clip has no weights {tag!r} for {model!r}; it has {tags(model)}{hint}")

    # open_clip ignores capitals and dashes in tags; stored features and published figures go by the exact name
    exact_tags = _tables().list_pretrained_tags_by_model(model)
    if tag not in exact_tags:
        (right,) = difflib.get_close_matches(tag.lower().replace("-", "_"), exact_tags, n=1, cutoff=0.0)
        raise EncoderError(f"open_clip calls the weights {tag!r} {right!r}: use pretrained: {right}")

    if not _has_activation_of(model, tag):
        trained_quick = _is_quick(config)
        right = f"{model}-quickgelu" if trained_quick else model.removesuffix("-quickgelu")
        raise EncoderError(
            f"the weights {tag!r} were trained {'with' if trained_quick else 'without'} QuickGELU: {model!r} would "
            f"give wrong features without an error. Use model: {right}"
        )


def check_activation(encoder: str, repository: str, is_quick: bool) -> None:
    """Refuse a repository of the hub whose config names another activation than its weights were trained with.

    Source: open_clip's table of tags, which names repositories of the hub; others pass.

    Args:
        encoder: its name, for errors.
        repository: org/name.
        is_quick: whether the model, made as the config says, computes QuickGELU.
    """
    for model, tag in _tables().list_pretrained():
        config = _tables().get_pretrained_cfg(model, tag) or {}
        is_this = config.get("hf_hub", "").strip("/") == repository and _has_activation_of(model, tag)
        if is_this and _is_quick(config) != is_quick:
            raise EncoderError(
                f"the config of {encoder!r} is wrong about QuickGELU, so its weights would give wrong features without "
                f"an error. Use ood_lightning.encoders.openclip.OpenClip, model: {model}, pretrained: {tag}"
            )


def imagenet_names() -> list[tuple[str, str]]:
    """Synset and CLIP's cleaned name of ImageNet's 1,000 classes, in the order of their numbers."""
    from timm.data.imagenet_info import ImageNetInfo

    return list(zip(ImageNetInfo("imagenet-1k").label_names(), _tables().IMAGENET_CLASSNAMES, strict=True))
