"""The colour that normalising makes nothing of: what padding is made of."""

from collections.abc import Sequence

from preceptor.specs import Colour


def padding_for(mean: Sequence[float]) -> Colour:
    """The colour with which timm's ``border`` fills for a model of this mean."""
    red, green, blue = (round(255 * value) for value in mean)
    return red, green, blue
