"""Which encoder a command takes that is given none, or only a name; and what its licence asks.

The table of the shipped encoders is `encoders/offered.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from ood_lightning.data.artifacts.typed import STRICT, decode_plain
from ood_lightning.errors import EncoderError, SettingsError
from ood_lightning.places import expanded, shipped_config

if TYPE_CHECKING:
    from ood_lightning.encoders.base import Encoder

TABLE = "encoders/offered.yaml"
WAYS_OUT = (
    "name a folder that holds a model (`--encoder local-dir:FOLDER` of open_clip, or a folder of transformers), or, "
    "for drawings only, the model that comes along (`--encoder pictograms`)"
)


@dataclass(frozen=True)
class Offered:
    """A shipped encoder.

    Args:
        name: of its config, `configs/encoders/NAME.yaml`.
        licence: of its weights, as their repository states it.
        free: the licence allows use without asking.
        default: the kind of device on which it is taken unasked.
    """

    __pydantic_config__: ClassVar = STRICT

    name: str
    licence: str
    free: bool
    default: Literal["cuda", "cpu"] | None = None


class Choice(NamedTuple):
    """An encoder that is not loaded yet.

    Attributes:
        encoder: the encoder.
        reason: in words, which it is, why, and under which licence.
    """

    encoder: Encoder
    reason: str


def offered() -> list[Offered]:
    """The table of shipped encoders."""
    import yaml

    text = resources.files("ood_lightning").joinpath(TABLE).read_text(encoding="utf-8")
    return decode_plain(yaml.safe_load(text), list[Offered], TABLE, SettingsError)


def choose_encoder(name: str | None, device: str, accept_license: bool) -> Choice:
    """The encoder of a name, or the one that suits the device; its weights are at hand or can be fetched.

    Args:
        name: of a shipped config; a YAML file; `MODEL/TAG`, `hf-hub:ORG/NAME` or `local-dir:FOLDER` of open_clip; an id
            or a folder of transformers. None: by the device.
        device: its kind, `cuda` or `cpu`.
        accept_license: the person has read the licence of weights that are not free to use.

    Raises:
        SettingsError: there is no such encoder, or its licence was not accepted.
        EncoderError: its weights are not on this machine and cannot be fetched; says the ways out.
    """
    from ood_lightning.encoders.hub import NotAtHandError

    table = {one.name: one for one in offered()}
    unasked = next(one.name for one in table.values() if one.default == device)
    known = table.get(name or unasked)
    if name and known is None and not _is_local(name) and not {"/", ":"} & {*name}:
        raise _no_encoder(name)

    if not accept_license and (known is None or not known.free) and not _is_local(name or ""):
        licence = known.licence if known else "not known here"
        raise SettingsError(
            f"encoder {name!r}: the licence of its weights is {licence}. Read it, then say --accept-license; these are "
            f"free to use: {', '.join(one.name for one in table.values() if one.free)}"
        )

    encoder = _encoder(name or unasked)
    try:
        encoder.check()
    except NotAtHandError as error:
        away = f"the weights of {name or unasked} are not on this machine and cannot be fetched ({error.reason})"
        raise EncoderError(f"{away}: {WAYS_OUT}") from None

    licence = known.licence if known else "one's own folder" if _is_local(name or "") else "accepted unseen"
    why = "" if name else f", for this machine's {'GPU' if device == 'cuda' else 'processor'}"
    return Choice(encoder, f"{name or unasked}{why} (licence: {licence})")


def _is_local(name: str) -> bool:
    """Whether the weights lie in a folder or file of one's own: whoever has them knows their licence."""
    folder = name.removeprefix("local-dir:")
    return bool(folder) and (name.endswith(".yaml") or expanded(folder).exists())


def _encoder(name: str) -> Encoder:
    """The encoder of a name; see :func:`choose_encoder`."""
    from ood_lightning.cli.parser import parsed

    config = shipped_config(f"encoders/{name}.yaml") or (Path(name) if name.endswith((".yaml", ".yml")) else None)
    if config is not None:
        encoder: Encoder = parsed(_takes_encoder, ["--encoder", str(config)], "encoder")["encoder"]
        return encoder

    model, slash, tag = name.rpartition("/")
    if name.startswith(("hf-hub:", "local-dir:", "builtin:")):
        from ood_lightning.encoders.openclip import OpenClip

        return OpenClip(name)
    if slash and "/" not in model:
        from ood_lightning.encoders.openclip import OpenClip
        from ood_lightning.encoders.openclip_tags import is_model

        if is_model(model):
            return OpenClip(model, tag)
    if slash or expanded(name).is_dir():
        from ood_lightning.encoders.huggingface import HuggingFace

        return HuggingFace(name)
    raise _no_encoder(name)


def _no_encoder(name: str) -> SettingsError:
    from difflib import get_close_matches

    shipped = [one.name for one in offered()]
    similar = get_close_matches(name, shipped, n=1)
    hint = f"did you mean {similar[0]!r}? " if similar else ""
    return SettingsError(
        f"there is no encoder {name!r}: {hint}Shipped are {', '.join(shipped)}; others are MODEL/TAG or "
        f"hf-hub:ORG/NAME of open_clip, local-dir:FOLDER, or ORG/NAME of transformers"
    )


def _takes_encoder(encoder: Encoder) -> int:
    """A function whose settings the parser reads.

    Args:
        encoder: frozen image-text towers.
    """
    return 0
