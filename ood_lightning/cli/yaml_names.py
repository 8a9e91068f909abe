"""YAML as our parsers read it: files are UTF-8, whatever the locale, and a key is the text that is written there.

A file that is named and not there is looked for among the shipped configs: `encoder: encoders/pictograms.yaml` works in
a config of one's own.
"""

from collections.abc import Hashable
from typing import Any

import yaml
from jsonargparse import _paths, _typehints, _util, set_loader
from jsonargparse._loaders_dumpers import get_yaml_default_loader

from ood_lightning.places import shipped_config

TEXT, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


class TextKeys(get_yaml_default_loader()):  # type: ignore[misc]
    """jsonargparse's loader, in which `no`, `null` and `1e3` as keys are names like any other, and none comes twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping whose keys are texts.

        Raises:
            yaml.constructor.ConstructorError: a key comes twice; the last value alone would be kept.
        """
        names: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
                continue
            key.tag = TEXT
            if key.value in names:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} comes twice", key.start_mark
                )
            names.add(key.value)

        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def _load(stream: str) -> Any:
    """What a YAML text says; `{a,b}` and `a:` stay texts, as jsonargparse has it."""
    value = yaml.load(stream, Loader=TextKeys)
    if isinstance(value, dict) and value and all(item is None for item in value.values()):
        bare = stream.strip().removesuffix(":")
        if bare in value or set(stream.strip(" {}\n").replace(" ", "").split(",")) == set(value):
            return stream
    return value


def _open(path: str, mode: str = "r") -> Any:
    """A file as jsonargparse opens it, which alone would read names by the locale: `Grün` as `GrÃ¼n`."""
    if "b" in mode:
        return open(path, mode)
    return open(path, mode, encoding="utf-8-sig" if "r" in mode else "utf-8")


class _ShippedPath(_paths.Path):
    """A path to a part of a config, which is a shipped one where no file lies there."""

    def __init__(self, path: Any, mode: str = "fr", **options: Any) -> None:
        try:
            super().__init__(path, mode=mode, **options)
        except TypeError:
            part = _shipped_part(path)
            if part is None:
                raise
            super().__init__(part, mode=mode, **options)


def _shipped_part(name: Any) -> str | None:
    """The path of a shipped part, `detectors/mcm.yaml`; configs of whole commands lie above the parts' folders."""
    if not isinstance(name, str) or not name.endswith(".yaml") or "/" not in name.removeprefix("configs/"):
        return None
    part = shipped_config(name)
    return None if part is None else str(part)


_subconfig = _typehints.adapt_subconfig_path


def _shipped_subconfig(value: Any, kind: Any, options: Any) -> Any:
    """The same for a member of a list or a mapping, `detectors: {MCM: detectors/mcm.yaml}`."""
    adapted = _subconfig(value, kind, options)
    if adapted is not _typehints.not_a_subconfig_path:
        return adapted
    part = _shipped_part(value)
    return adapted if part is None else _subconfig(part, kind, options)


def use_for_all_parsers() -> None:
    """Let every parser read YAML so."""
    _typehints.adapt_subconfig_path = _shipped_subconfig
    _util.Path = _ShippedPath  # type: ignore[attr-defined, assignment]
    _paths.open = _open  # type: ignore[attr-defined]
    set_loader("yaml", _load, exceptions=(yaml.YAMLError,))
