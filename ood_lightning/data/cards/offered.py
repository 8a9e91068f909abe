"""The shipped encoders: licence, size and place in the papers, from `encoders/offered.yaml`. Needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from ood_lightning.data.artifacts.typed import NOT_EMPTY, STRICT, Count, Text, decode_plain
from ood_lightning.errors import SettingsError

T = TypeVar("T")

TABLE = "encoders/offered.yaml"
BYTES_A_PARAMETER = 4  # the repositories whose listings we saw hold float32

InFigure = Literal["certain", "nearly certain", "inferred"]


@dataclass(frozen=True, kw_only=True)
class Licence:
    """Terms of weights.

    Args:
        text: what the weights' repository states.
        free: it allows use without asking anybody.
    """

    __pydantic_config__: ClassVar = STRICT

    text: Text
    free: bool


@dataclass(frozen=True, kw_only=True)
class _Row:
    """An encoder as the table's file states it; the licence by its key. See :class:`Offered`."""

    __pydantic_config__: ClassVar = STRICT

    name: Text
    licence: Text
    family: Text
    dim: Count
    pixels: Count
    params: float
    default: Literal["cuda", "cpu"] | None = None
    figure: InFigure | None = None


@dataclass(frozen=True, kw_only=True)
class _Table:
    """The table's file."""

    __pydantic_config__: ClassVar = STRICT

    licences: dict[str, Licence]
    families: dict[str, Text]
    encoders: Annotated[list[_Row], NOT_EMPTY]


@dataclass(frozen=True, kw_only=True)
class Offered:
    """A shipped encoder.

    Args:
        name: of its config, `configs/encoders/NAME.yaml`.
        licence: of its weights, as their repository states it.
        free: the licence allows use without asking.
        family: with which it is listed, in words.
        dim: numbers of a feature.
        pixels: height and width that it takes.
        params: parameters of both towers, in millions.
        default: the kind of device on which it is taken unasked.
        figure: how sure it is that ClusterMine's figure over twelve encoders has it; None: it has not.
    """

    name: str
    licence: str
    free: bool
    family: str
    dim: int
    pixels: int
    params: float
    default: Literal["cuda", "cpu"] | None
    figure: InFigure | None

    @property
    def gigabytes(self) -> float:
        """What is fetched, in 10^9 bytes: calculated, for weights that are stored in float32."""
        return self.params * BYTES_A_PARAMETER / 1000


@cache
def offered() -> tuple[Offered, ...]:
    """The table of shipped encoders.

    Raises:
        SettingsError: see :func:`read_table`.
    """
    import yaml

    return read_table(yaml.safe_load(resources.files("ood_lightning").joinpath(TABLE).read_text(encoding="utf-8")))


def read_table(content: Any) -> tuple[Offered, ...]:
    """The table of its file's content.

    Raises:
        SettingsError: a field is missing, unknown or wrong; names it.
    """
    table = decode_plain(content, _Table, TABLE, SettingsError)
    rows = []
    for number, row in enumerate(table.encoders):
        where = f"{TABLE}: encoders.{number}"
        licence = _named(table.licences, row.licence, f"{where}.licence")
        family = _named(table.families, row.family, f"{where}.family")
        rows.append(Offered(**{**vars(row), "licence": licence.text, "free": licence.free, "family": family}))
    return tuple(rows)


def _named(entries: Mapping[str, T], key: str, where: str) -> T:
    if key not in entries:
        raise SettingsError(f"{where} is {key!r}, which is none of {', '.join(entries)}")
    return entries[key]
