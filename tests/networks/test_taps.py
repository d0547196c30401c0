"""Stages among intermediate maps, by hand."""

import pytest
import torch

from preceptor.networks.taps import mean_over_positions, stage_indices


@pytest.mark.parametrize(
    ("reductions", "expected"),
    [
        ([2, 4, 8, 16, 32], [1, 2, 3, 4]),  # ResNet: the stem is no stage
        ([4, 8, 16, 32], [0, 1, 2, 3]),  # ConvNeXt, Swin
        ([2, 4, 8, 16, 16], [0, 1, 2, 4]),  # dilated: the last map of a size counts
        ([8, 16], [0, 1]),
        ([16] * 12, [2, 5, 8, 11]),  # ViT: evenly spaced, the last block included
        ([16] * 3, [0, 1, 2]),
        ([16], [0]),
        ([], []),
    ],
)
def test_stage_indices(reductions, expected):
    assert stage_indices(reductions) == expected


def test_pooled_is_the_mean_over_positions():
    feature_map = torch.arange(8.0).reshape(1, 2, 2, 2)
    torch.testing.assert_close(mean_over_positions(feature_map), torch.tensor([[1.5, 5.5]]))
