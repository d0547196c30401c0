"""Double similarity distillation."""

import torch

from preceptor.knowledge.mask.dsd import class_similarity_distance, pixel_similarity_distance, residual_attention


def one_hot_map(place: int, *, size: int = 2, value: float = 3.0) -> torch.Tensor:
    """(1, 1, size, size), active at one place."""
    return value * torch.eye(size * size)[place].view(1, 1, size, size)


def test_residual_of_two_places_by_hand() -> None:
    """Attention moves from the first place to the second: (-1, 1, 0, 0) / √2."""
    (residual,) = residual_attention([one_hot_map(0), one_hot_map(1)])
    torch.testing.assert_close(residual, torch.tensor([[-1.0, 1.0, 0.0, 0.0]]) / 2**0.5)


def test_opposite_moves_by_hand() -> None:
    """Residuals r and -r: |2r|² = 4, averaged over four places."""
    there, back = [one_hot_map(0), one_hot_map(1)], [one_hot_map(1), one_hot_map(0)]
    torch.testing.assert_close(pixel_similarity_distance(there, back), torch.tensor(1.0))


def test_three_stages_make_three_pairs() -> None:
    assert residual_attention([torch.randn(2, 3, 4, 4) for _ in range(3)]).shape == (3, 2, 16)


def test_stages_of_several_sizes_meet_at_the_smallest() -> None:
    maps = [torch.randn(2, 3, 4, 4), torch.randn(2, 5, 16, 16)]
    assert residual_attention(maps).shape == (1, 2, 16)


def test_stages_that_agree_have_no_residual() -> None:
    """Not the direction of a rounding error, and no gradient from it."""
    same = torch.rand(1, 4, 8, 8, requires_grad=True)
    loss = pixel_similarity_distance([same, 3.0 * same], [torch.rand(1, 4, 8, 8), torch.rand(1, 2, 8, 8)])
    loss.backward()
    assert not residual_attention([same, 3.0 * same]).any()
    assert same.grad is not None
    assert not same.grad.any()


def test_sign_and_size_of_maps_do_not_matter() -> None:
    student = [torch.randn(2, 3, 4, 4), torch.randn(2, 5, 4, 4)]
    teacher = [torch.randn(2, 3, 4, 4), torch.randn(2, 5, 4, 4)]
    plain = pixel_similarity_distance(student, teacher)
    torch.testing.assert_close(plain, pixel_similarity_distance([-student[0], 1e3 * student[1]], teacher))


def test_class_overlap_by_hand() -> None:
    """Two classes, two blocks: the teacher's look at one block each, the student's at both alike."""
    teacher = (
        torch.tensor([[100.0, 0.0], [0.0, 100.0]]).view(1, 2, 1, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    )
    actual = class_similarity_distance(torch.zeros(1, 2, 2, 4), teacher, temperature=1.0)
    torch.testing.assert_close(actual, torch.tensor(0.25))  # all four entries: (1/2 - 1)² or (1/2 - 0)²
