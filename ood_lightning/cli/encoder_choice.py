"""Which encoder a command takes that is given none, or only a name; and what its licence asks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ood_lightning.data.cards.offered import Offered, offered
from ood_lightning.errors import EncoderError, SettingsError
from ood_lightning.places import expanded, shipped_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ood_lightning.encoders.base import Encoder

N_NAMED = 4  # in a message
WAYS_OUT = (
    "name a folder that holds a model (`--encoder local-dir:FOLDER` of open_clip, or a folder of transformers), or, "
    "for drawings only, the model that comes along (`--encoder pictograms`)"
)


class Choice(NamedTuple):
    """An encoder that is not loaded yet.

    Attributes:
        encoder: the encoder.
        name: by which it is chosen again, on any machine.
        reason: in words, which it is, why, and under which licence.
    """

    encoder: Encoder
    name: str
    reason: str


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
            f"encoder {name!r}: the licence of its weights is {licence}. Read it, then say --accept-license; free to "
            f"use are {_some([one for one in table.values() if one.free])}"
        )

    encoder = _encoder(name or unasked)
    try:
        encoder.check()
    except NotAtHandError as error:
        away = f"the weights of {name or unasked} are not on this machine and cannot be fetched ({error.reason})"
        raise EncoderError(f"{away}: {WAYS_OUT}") from None

    licence = known.licence if known else "one's own folder" if _is_local(name or "") else "accepted unseen"
    why = "" if name else f", for this machine's {'GPU' if device == 'cuda' else 'processor'}"
    return Choice(encoder, name or unasked, f"{name or unasked}{why} (licence: {licence})")


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

    similar = get_close_matches(name, [one.name for one in offered()])
    hint = f"did you mean {' or '.join(map(repr, similar))}? " if similar else ""
    return SettingsError(
        f"there is no encoder {name!r}: {hint}Shipped are {_some(offered())}; others are MODEL/TAG or "
        f"hf-hub:ORG/NAME of open_clip, local-dir:FOLDER, or ORG/NAME of transformers"
    )


def _some(encoders: Sequence[Offered]) -> str:
    """The first few of the table by name, and how many there are more."""
    named = [one.name for one in encoders[:N_NAMED]]
    return f"{', '.join(named)} and {len(encoders) - len(named)} more (configs/encoders, one file each)"


def _takes_encoder(encoder: Encoder) -> int:
    """A function whose settings the parser reads.

    Args:
        encoder: frozen image-text towers.
    """
    return 0
