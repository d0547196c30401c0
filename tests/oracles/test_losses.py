"""Every numeric case of ``losses.json`` against our losses.

One generic test: shapes, seeds, hyperparameters and the weights of modules come from the file. The methods are in
``cases.py`` and ``cases_mask.py``: ``METHODS`` maps a method to ``run(case, tensors) -> Computed``. How many cases of
each method ran is printed at the end (``tests/conftest.py``).
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from .cases import METHODS
from .cases_mask import METHODS as MASK_METHODS
from .draws import Case, build_arrays, case_parameters

NOT_TRIED_IN_FLOAT32 = ("ifvd", "emkd_rad")


@pytest.mark.parametrize("case", case_parameters("losses.json"))
def test_loss_equals_reference_in_float64(case: Case, record_property: Callable[[str, object], None]) -> None:
    record_property("oracle", case["method"])
    _compare(case, torch.float64, loss_tolerance=1e-7, gradient_tolerance=1e-6)


@pytest.mark.parametrize("case", case_parameters("losses.json"))
def test_loss_equals_reference_in_float32(case: Case) -> None:
    if case["method"] in NOT_TRIED_IN_FLOAT32:
        pytest.skip(f"the oracle promises nothing for {case['method']} in float32")
    _compare(case, torch.float32, loss_tolerance=1e-4, gradient_tolerance=1e-4)


def _compare(case: Case, dtype: torch.dtype, *, loss_tolerance: float, gradient_tolerance: float) -> None:
    methods = {**METHODS, **MASK_METHODS}
    assert case["method"] in methods, (
        f"no adapter for method {case['method']!r}; there are {', '.join(sorted(methods))}"
    )
    expected = case["expected"]
    tensors = {name: _tensor(array, dtype) for name, array in build_arrays(case["recipe"]).items()}
    learned = {name: tensors[name].requires_grad_() for name in expected.get("grad_norm", {})}

    computed = methods[case["method"]](case, tensors)
    gradients = torch.autograd.grad(computed.loss, list(learned.values()))

    assert computed.loss.dtype == dtype
    _close("loss", computed.loss, expected["loss"], loss_tolerance)
    for name, value in expected.get("terms", {}).items():
        _close(f"term {name}", computed.terms[name], value, loss_tolerance)
    for name, value in expected.get("outputs", {}).items():
        _close(f"output {name}", computed.outputs[name], value, loss_tolerance)
    for name, gradient in zip(learned, gradients, strict=True):
        _close(f"gradient norm of {name}", gradient.norm(), expected["grad_norm"][name], gradient_tolerance)


def _tensor(array: object, dtype: torch.dtype) -> Tensor:
    tensor = torch.as_tensor(array)
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _close(what: str, actual: Tensor, expected: object, tolerance: float) -> None:
    """Relative agreement of every element; an element of an output may differ by the tolerance of the largest."""
    wanted = torch.as_tensor(expected, dtype=torch.float64)
    slack = tolerance * float(wanted.abs().max()) if wanted.ndim else 0.0
    torch.testing.assert_close(
        actual.detach().double(), wanted, rtol=tolerance, atol=slack, msg=lambda text: f"{what}: {text}"
    )
