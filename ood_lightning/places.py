"""Places that settings name: sources of sets and files, and files to be written.

Sources are local paths, brace lists, `folder:` for pictures, `builtin:` for the benchmark of a checkout, and remote
ones.
"""

import os
import re
from importlib import resources
from pathlib import Path

from ood_lightning.errors import SettingsError, SourceError

BUILTIN = "builtin:"
FOLDER = "folder:"  # before a folder of pictures, where it holds a set too
ASSETS_VARIABLE = "OOD_LIGHTNING_ASSETS"
FEATURES = ".cache/features"  # where all runs keep features, unless a config says otherwise
MAX_MEMBERS = 10_000_000  # of one brace list
REMOTE = ("https:", "http:", "hf:", "s3:", "pipe:")


def shipped(name: str) -> Path:
    """A folder that the project ships: inside the package where a wheel brought it, else beside it in a checkout."""
    package = Path(str(resources.files("ood_lightning")))
    in_package = package / name
    return in_package if in_package.is_dir() else package.parent / name


def shipped_config(name: str) -> Path | None:
    """A shipped config by its name; None where there is none.

    Args:
        name: `clustermine.yaml`, `encoders/pictograms.yaml`, or the same behind `configs/`.
    """
    configs = shipped("configs")
    path = configs / name.removeprefix("configs/")
    inside = Path(os.path.normpath(path)).is_relative_to(configs)
    return path if inside and path.is_file() else None


def assets_root() -> Path:
    """Folder of the built-in benchmark: `$OOD_LIGHTNING_ASSETS`, else `assets/` of the wheel or the checkout."""
    named = os.environ.get(ASSETS_VARIABLE)
    return Path(named) if named else shipped("assets")


def _builtin(name: str) -> Path:
    """A part of the built-in benchmark.

    Raises:
        SourceError: it is not there; wheels carry the drawing model and no pictures.
    """
    root = assets_root()
    path = root / name
    if not path.parent.is_dir():
        raise SourceError(
            f"{BUILTIN}{name} is not in {root}: the built-in pictures come with a checkout of the project, not with "
            f"the wheel. Clone the project and set {ASSETS_VARIABLE} to its assets/ folder."
        )
    return path


def is_remote(source: str) -> bool:
    """Whether shards are fetched from there; `data.remote` knows how."""
    return source.startswith(REMOTE)


def locate(source: str) -> Path:
    """Local path behind `source`; `builtin:x/y` lies below :func:`assets_root`, others are :func:`expanded`."""
    source = source.removeprefix(FOLDER)
    if source.startswith(BUILTIN):
        return _builtin(source.removeprefix(BUILTIN))
    scheme = re.match(r"[a-z][a-z0-9+]+:", source)
    if scheme and is_remote(source):
        raise SourceError(f"a {scheme[0]} source stands for shards, here only local paths and {BUILTIN} are read")
    if scheme:
        raise SourceError(
            f"{source!r}: of shards, local paths, {BUILTIN} and {' '.join(REMOTE)} are read. For {scheme[0]} write a "
            f"command that prints a tar, `pipe:COMMAND ...`, or copy the shards first."
        )
    return expanded(source)


def expanded(path: str | Path) -> Path:
    """The local path that a setting names, with `~` and variables of the environment put in.

    Raises:
        SettingsError: a variable is not set: a folder of its name would be made; or the text is empty, as a variable is
            that a shell puts in: the current folder would be taken.
    """
    if not str(path).strip():
        raise SettingsError("a path is empty: name a file or folder; `.` is the current one")

    def value(variable: re.Match[str]) -> str:
        name = variable[1] or variable[2]
        if name not in os.environ:
            raise SettingsError(f"the path {str(path)!r} names the variable {name}, which is not set: export it first")
        return os.environ[name]

    return Path(os.path.expanduser(re.sub(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", value, str(path))))


def expand(source: str) -> list[str]:
    """Paths that a brace list such as `train-{000..146}.tar` or `{a,b}/x.tar` stands for, in order.

    Braces without `..` or a comma stand for themselves, as in a shell.

    Example:
        >>> expand("t-{08..10}.tar")
        ['t-08.tar', 't-09.tar', 't-10.tar']
    """
    brace = re.search(r"\{(\d+\.\.\d+|[^{}]*,[^{}]*)\}", source)
    if not brace:
        return [source]

    if span := re.fullmatch(r"(\d+)\.\.(\d+)", brace.group(1)):
        first, last = span.groups()
        if int(last) - int(first) >= MAX_MEMBERS:
            raise SourceError(f"{source!r} names more than {MAX_MEMBERS:,} files: is its range as meant?")
        members = [f"{i:0{len(first)}d}" for i in range(int(first), int(last) + 1)]
    else:
        members = brace.group(1).split(",")

    before, after = source[: brace.start()], source[brace.end() :]
    return [path for member in members for path in expand(before + member + after)]


def check_out(out: str | None, *endings: str, key: str = "out") -> None:
    """Refuse a file that cannot be written, before the hours of work for it.

    Args:
        out: the file; nothing is checked if None.
        endings: of the forms that the command can write, such as `.json`.
        key: of the settings, that names it.
    """
    if out is None:
        return
    path = expanded(out)
    if path.suffix.lower() not in endings:
        raise SettingsError(f"{key} is {out!r}: expected a name ending in {' or '.join(endings)}")
    check_writable(path, key, folder=False)


def check_writable(path: str | Path, key: str, *, folder: bool) -> None:
    """Refuse a file or folder that cannot be made or written to.

    Args:
        path: of it; neither it nor the folders above need exist.
        key: of the settings, that names it.
        folder: it is one, or will be.

    Raises:
        SettingsError: a file is in the way, or the folder may not be written to.
    """
    absolute = expanded(str(path)).absolute()
    if folder and absolute.exists() and not absolute.is_dir():
        raise SettingsError(f"{key} is {str(path)!r}, which is a file: expected a folder")
    if not folder and absolute.is_dir():
        raise SettingsError(f"{key} is {str(path)!r}, which is a folder: expected a file")
    there = absolute if absolute.is_dir() else next(folder for folder in absolute.parents if os.path.exists(folder))
    if not there.is_dir():
        raise SettingsError(f"{key} is {str(path)!r}, which cannot be made in {there}: it is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise SettingsError(f"{key} is {str(path)!r}, which cannot be made in {there}: you may not write there")
