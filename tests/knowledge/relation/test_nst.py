import pytest
import torch
import torch.nn.functional as F

from preceptor.knowledge.relation.nst import selectivity_discrepancy


@pytest.mark.parametrize(("channels", "side"), [((3, 4), 4), ((20, 30), 4), ((20, 3), 4)])
def test_both_forms_are_the_kernels_definition(channels: tuple[int, int], side: int) -> None:
    student, teacher = (torch.randn(2, c, side, side, dtype=torch.float64) for c in channels)
    s, t = F.normalize(student.flatten(2), dim=2), F.normalize(teacher.flatten(2), dim=2)

    def kernel(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return ((first[:, :, None] * second[:, None]).sum(-1) ** 2).mean()

    expected = kernel(t, t) + kernel(s, s) - 2 * kernel(s, t)
    torch.testing.assert_close(selectivity_discrepancy(student, teacher), expected)
