"""What losses are told of a teacher's features."""

import torch

from preceptor.training.statistics import Moments


def test_moments_of_parts_are_those_of_the_whole() -> None:
    features = 1e4 + torch.randn(37, 5)
    moments = Moments()
    for part in features.split(8):
        moments.add(part)
    torch.testing.assert_close(moments.mean, features.double().mean(0))
    torch.testing.assert_close(moments.deviation, features.double().std(0, correction=0))


def test_every_position_of_a_map_counts() -> None:
    maps = torch.randn(6, 3, 4, 2)
    moments = Moments()
    moments.add(maps)
    torch.testing.assert_close(moments.mean, maps.double().mean((0, 2, 3)))
    torch.testing.assert_close(moments.deviation, maps.double().std((0, 2, 3), correction=0))
