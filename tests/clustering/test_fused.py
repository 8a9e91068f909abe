"""Compiled kernels: the same numbers, and plain ones where compiling fails."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch

from ood_lightning.clustering.fused import fused
from ood_lightning.functional.temi_gradient import losses_and_gradient, teaching


def test_a_processor_compiles_nothing():
    assert fused(teaching, "cpu") is teaching


def test_what_cannot_be_compiled_runs_plain_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch,
):
    def without_compiler(function: Callable[..., Any]) -> Callable[..., Any]:
        def fail(*args: Any) -> None:
            raise torch._dynamo.exc.BackendCompilerFailed(function, RuntimeError("no compiler"), [])

        return fail

    monkeypatch.setattr(torch, "compile", without_compiler)
    double = fused(lambda x: 2 * x, "cuda")
    with pytest.warns(UserWarning, match="torch.compile failed, plain kernels are used") as said:
        assert [float(double(torch.tensor(3.0))) for _ in range(2)] == [6.0, 6.0]
    assert len(said) == 1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++ on a processor")
def test_compiled_kernels_give_the_numbers_of_plain_ones():
    draw = torch.Generator().manual_seed(0)
    student, teacher = (5 * torch.randn(3, 14, 33, generator=draw) for _ in range(2))
    plain = teaching(teacher.clone())
    compiled = fused(teaching, "cuda")(teacher.clone())  # compiled for the device of its tensors, a processor here
    for value, expected in zip(compiled, plain, strict=True):
        torch.testing.assert_close(value, expected)

    arguments = student, plain.log_probabilities, plain.agreement / 3, torch.full((3, 33), -3.5), 0.6
    for value, expected in zip(
        fused(losses_and_gradient, "cuda")(*arguments), losses_and_gradient(*arguments), strict=True
    ):
        torch.testing.assert_close(value, expected, atol=1e-6, rtol=1e-5)
