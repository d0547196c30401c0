"""Soft targets for every pixel."""

import math

import torch

from preceptor.knowledge.mask.seg_kd import SegKDLoss


def test_one_foreground_channel_by_hand() -> None:
    """A teacher at 3/4 foreground and an undecided student on half the pixels, agreement on the rest."""
    teacher = torch.zeros(1, 1, 2, 2)
    teacher[..., 0] = math.log(3.0)
    student = torch.zeros(1, 1, 2, 2)
    expected = 0.5 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))

    actual = SegKDLoss()(student, teacher, torch.zeros(1, 2, 2, dtype=torch.int64))

    torch.testing.assert_close(actual, torch.tensor(expected))


def test_one_channel_equals_the_pair() -> None:
    student, teacher, targets = torch.randn(2, 1, 4, 4), torch.randn(2, 1, 4, 4), torch.zeros(2, 4, 4)
    loss = SegKDLoss(temperature=3.0)
    pair = [torch.cat([torch.zeros_like(z), z], dim=1) for z in (student, teacher)]
    torch.testing.assert_close(loss(student, teacher, targets), loss(*pair, targets))


def test_a_student_of_half_the_size_is_resized() -> None:
    teacher = torch.full((1, 3, 8, 8), 2.0)
    assert SegKDLoss()(torch.full((1, 3, 4, 4), -1.0), teacher, torch.zeros(1, 8, 8)) == 0.0
