"""What the package itself brings: configs, the drawing model, and the built-in pictures of a checkout."""

import os
from pathlib import Path

import yaml

from ood_lightning.data.shards.read_manifest import read_manifest
from ood_lightning.errors import UserError
from ood_lightning.machine.line import Line
from ood_lightning.places import ASSETS_VARIABLE, assets_root, shipped
from ood_lightning.plurals import many

MODEL = ("open_clip_config.json", "open_clip_model.safetensors")
LEAST_BYTES = 1_000_000  # of its weights; what git-lfs leaves in the place of a file has some hundred
AGAIN = "install the package again, or check out the project anew"


def configs_line(folder: Path | None = None) -> Line:
    """Whether the shipped configs are there and can be read.

    Args:
        folder: of them; None: the package's.
    """
    folder = folder or shipped("configs")
    files = sorted(folder.rglob("*.yaml"))
    if not (folder / "clustermine.yaml").is_file():
        return Line.failed("configs", f"no clustermine.yaml in {folder}", AGAIN)

    for file in files:
        try:
            yaml.load(file.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (OSError, yaml.YAMLError) as error:
            return Line.failed("configs", f"{file} cannot be read: {str(error).splitlines()[0]}", AGAIN)
    return Line.passed("configs", f"{many(len(files), 'file')} in {folder}")


def model_line() -> Line:
    """Whether the drawing model of the built-in benchmark is there."""
    if fault := _misnamed("built-in model"):
        return fault

    folder = assets_root() / "pictograms" / "model"
    if missing := [name for name in MODEL if not (folder / name).is_file()]:
        return Line.failed("built-in model", f"no {' and no '.join(missing)} in {folder}", AGAIN)

    size = (folder / MODEL[1]).stat().st_size
    if size < LEAST_BYTES:
        mend = "`git lfs pull`, or copy the file whole"
        return Line.failed("built-in model", f"{folder / MODEL[1]} has {size:,} bytes", mend)
    return Line.passed("built-in model", f"{size / 1e6:,.1f} MB in {folder}")


def pictures_line() -> Line:
    """Whether the built-in pictures are there, of the sizes that their manifests state; wheels have none."""
    if fault := _misnamed("built-in pictures"):
        return fault

    folder = assets_root() / "pictograms" / "shards"
    manifests = sorted(folder.glob("*/manifest.json"))
    if not manifests:
        mend = f"for examples with builtin:, clone the project and let {ASSETS_VARIABLE} name its folder assets/"
        return Line.warned("built-in pictures", f"none in {folder}: a wheel brings none", mend)

    try:
        sets = [read_manifest(str(file)) for file in manifests]
    except UserError as error:
        return Line.failed("built-in pictures", str(error), AGAIN)
    n_pictures = sum(one.n_samples for one in sets)
    return Line.passed("built-in pictures", f"{many(len(sets), 'set')} with {many(n_pictures, 'picture')}")


def _misnamed(what: str) -> Line | None:
    """What is wrong with the variable that names another folder of assets; None if nothing."""
    named = os.environ.get(ASSETS_VARIABLE)
    if not named or Path(named).is_dir():
        return None
    state = f"{ASSETS_VARIABLE} is {named!r}, and there is no such folder"
    return Line.failed(what, state, "unset it, or let it name the folder assets/ of a checkout")
