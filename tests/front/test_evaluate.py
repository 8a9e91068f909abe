"""The front for Python: five names, imported when they are used, and metrics of plain scores."""

import doctest
import subprocess
import sys

import numpy as np
import pytest
import torch

import ood_lightning
from ood_lightning import evaluate
from ood_lightning.errors import EmptySideError, NotFiniteScoresError
from ood_lightning.metrics.standard import STANDARD


@pytest.mark.slow
def test_the_package_imports_nothing_before_it_is_asked():
    code = (
        "import sys, ood_lightning; dir(ood_lightning); heavy = {'torch', 'numpy', 'PIL', 'lightning', 'pydantic'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "from ood_lightning import Corpus, Detector, LabelSet, mine;"  # parsers of settings look at these
        "assert 'torch' not in sys.modules;"
        "from ood_lightning import evaluate; assert 'torch' in sys.modules; assert 'lightning' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_name_is_there_and_no_other():
    assert all(getattr(ood_lightning, name) for name in ood_lightning.__all__)
    assert set(ood_lightning.__all__) <= set(dir(ood_lightning))
    with pytest.raises(AttributeError, match="module 'ood_lightning' has no attribute 'Detecter'"):
        _ = ood_lightning.Detecter  # type: ignore[attr-defined]


def test_lists_arrays_and_tensors_give_the_same_fractions():
    id_scores, ood_scores = np.linspace(-1, 3, 50), np.linspace(-3, 1, 40)
    expected = {
        name: float(metric(torch.tensor(id_scores), torch.tensor(ood_scores))) for name, metric in STANDARD.items()
    }
    assert evaluate(id_scores, ood_scores) == expected
    assert evaluate(id_scores.tolist(), torch.tensor(ood_scores)) == expected
    assert all(0 <= value <= 1 for value in expected.values())


def test_what_cannot_be_measured_is_said():
    with pytest.raises(EmptySideError, match="2 ID and 0 OOD scores"):
        evaluate([1.0, 2.0], [])
    with pytest.raises(NotFiniteScoresError):
        evaluate([1.0, float("nan")], [0.0])


def test_its_example_runs():
    import ood_lightning.front.evaluate as module

    assert doctest.testmod(module).failed == 0
