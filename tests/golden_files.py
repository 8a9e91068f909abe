"""Files with outputs of published implementations: where they lie, which form each one has, what is in it.

A file is named by its form and, where there are several of a form, a seed: `temi_17.npz` is of the form `temi`.
"""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

FOLDER = Path(os.environ.get("GOLDEN_DIR") or Path(__file__).parents[2] / "shared" / "golden")
COMPARED: set[str] = set()  # forms that a test reads, by `for_each_file` and `for_each_case`


def form_of(path: Path) -> str:
    """The name without its seed."""
    return re.sub(r"_\d+$", "", path.stem)


def all_files(folder: Path = FOLDER) -> list[Path]:
    return sorted(folder.rglob("*.npz"))


def files(form: str, folder: Path = FOLDER) -> list[Path]:
    """All files of a form in the folder and its subfolders."""
    return [path for path in all_files(folder) if form_of(path) == form]


def name_of(path: Path) -> str:
    return str(path.relative_to(FOLDER).with_suffix(""))


def load(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """The arrays whose names begin with the prefix, under the rest of their names."""
    with np.load(path, allow_pickle=False) as arrays:
        return {
            name.removeprefix(prefix): torch.from_numpy(np.asarray(arrays[name]))
            for name in arrays
            if name.startswith(prefix) and arrays[name].dtype.kind != "U"  # text is no tensor
        }


def for_each_file(form: str) -> pytest.MarkDecorator:
    """Run a test with `path`, for each file of a form."""
    COMPARED.add(form)
    return pytest.mark.parametrize("path", files(form), ids=name_of)


def for_each_case(form: str, marker: str, prefix: str = "") -> pytest.MarkDecorator:
    """Run a test with `case`, the arrays of one case, for each case of each file of a form.

    Args:
        form: of the files.
        marker: what follows the case in the name of one of its arrays, such as `_score`.
        prefix: what precedes the case in the names of its arrays.
    """
    COMPARED.add(form)
    cases, names = [], []
    for path in files(form):
        for array in load(path, prefix):
            if array.endswith(marker):
                case = array.removesuffix(marker)
                cases.append((path, f"{prefix}{case}_"))
                names.append(f"{name_of(path)} {prefix}{case}")
    return pytest.mark.parametrize(("path", "prefix"), cases, ids=names)
