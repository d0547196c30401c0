"""The colour that normalising makes nothing of: what padding is made of."""

from collections.abc import Sequence

from preceptor.specs import Colour


def padding_for(mean: Sequence[float]) -> Colour:
    """The colour with which timm's ``border`` fills for a model of this mean."""
    return tuple(round(255 * value) for value in mean)


def in_channels(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """A mean or deviation of red, green and blue for images of other channels.

    One channel gets their average; more than three get them again in turn, as timm repeats the weights of the first
    convolution.
    """
    if len(values) == channels:
        return tuple(values)
    if channels == 1:
        return (sum(values) / len(values),)
    return tuple(values[place % len(values)] for place in range(channels))
