"""Small modules that are part of a network itself."""

from torch import nn


def conv1x1_adapter(in_channels: int, out_channels: int) -> nn.Sequential:
    """Conv1x1 (no bias), BatchNorm, ReLU: brings a map to another number of channels, kept non-negative.

    Inside a teacher it is the sixth stage of Niyaz et al.'s table 6: the student's width, trained by the
    teacher's own task loss, so that teacher and student cannot agree on a constant map.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
