"""What open_clip knows of its models and weights: which names exist, and which activation a tag was trained with."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from ood_lightning.errors import EncoderError

LOCAL, HUB = "local-dir:", "hf-hub:"


def is_file(name: str) -> bool:
    """Whether a `pretrained` value names a file rather than one of open_clip's tags."""
    return "/" in name or "." in name  # no tag of open_clip has either


def tags(model: str) -> str:
    """Tags of a model, for a sentence."""
    import open_clip

    return ", ".join(open_clip.list_pretrained_tags_by_model(model)) or "none known"


def _quick(about: dict[str, Any] | None) -> bool:
    """Whether a model's config, or a row of open_clip's table of tags, says QuickGELU."""
    return bool((about or {}).get("quick_gelu", False))


def _fits(model: str, tag: str) -> bool:
    """Whether a model has the activation that a tag's weights were trained with."""
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    return _quick(open_clip.get_model_config(model)) == _quick(get_pretrained_cfg(model, tag))


def check_name(model: str, known: list[str]) -> None:
    """Refuse a name that open_clip does not know.

    Raises:
        EncoderError: naming the nearest ones.
    """
    if model not in known:
        spelt = {name.lower(): name for name in known}
        near = [spelt[name] for name in difflib.get_close_matches(model.lower(), spelt, n=3)]
        raise EncoderError(
            f"open_clip has no model {model!r}" + (f"; near ones: {', '.join(near)}" if near else "") + ". A folder is "
            f"named {LOCAL}path, a hub model hf-hub:org/name; a model of transformers is loaded by "
            f"ood_lightning.encoders.huggingface.HuggingFace."
        )


def check_tag(model: str, tag: str) -> None:
    """Refuse a tag under a model whose activation it was not trained with: open_clip only warns and computes on.

    Source: open_clip's own table of tags (openai, dfn and metaclip weights were trained with QuickGELU).
    """
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    if is_file(tag):
        if not Path(tag).expanduser().is_file():
            raise EncoderError(f"there is no checkpoint file {tag}")
        return
    about, own = get_pretrained_cfg(model, tag), open_clip.list_pretrained_tags_by_model(model)
    if about and tag not in own:  # open_clip passes over capitals and dashes; features and published figures go by name
        (right,) = difflib.get_close_matches(tag.lower().replace("-", "_"), own, n=1, cutoff=0.0)
        raise EncoderError(f"open_clip calls the weights {tag!r} {right!r}: use pretrained: {right}")
    if not about:
        others = [other for other in open_clip.list_pretrained_models_by_tag(tag) if _fits(other, tag)]
        near = difflib.get_close_matches(model, others, n=3, cutoff=0.0)
        raise EncoderError(
            f"open_clip has no weights {tag!r} for {model!r}; it has {tags(model)}"
            + (f". Models with {tag!r}: {', '.join(near)}" if near else "")
        )
    if not _fits(model, tag):
        trained_with = _quick(about)
        right = f"{model}-quickgelu" if trained_with else model.removesuffix("-quickgelu")
        raise EncoderError(
            f"the weights {tag!r} were trained {'with' if trained_with else 'without'} QuickGELU: under {model!r} they "
            f"give wrong features without an error. Use model: {right}"
        )


def trained_as(repository: str) -> tuple[str, str, bool] | None:
    """Model, tag, and whether it was trained with QuickGELU, of a repository of the hub, as far as open_clip knows it.

    Source: open_clip's table of tags, which says from which repository each tag comes.
    """
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    for name, tag in open_clip.list_pretrained():
        about = get_pretrained_cfg(name, tag) or {}
        if about.get("hf_hub", "").strip("/") == repository and _fits(name, tag):
            return name, tag, _quick(about)
    return None


def check_hub(model: str, towers: Any) -> None:
    """Refuse a repository of the hub whose config names another activation than its weights were trained with."""
    known = trained_as(model.removeprefix("hf-hub:").partition("@")[0]) if model.startswith("hf-hub:") else None
    if known and known[2] != any(type(part).__name__ == "QuickGELU" for part in towers.modules()):
        raise EncoderError(
            f"the config of {model!r} is wrong about QuickGELU, so its weights would give wrong features without an "
            f"error. Use model: {known[0]}, pretrained: {known[1]}"
        )
