"""By which mean a network normalises, and the colour that becomes nothing then: what padding is made of."""

from collections.abc import Sequence

from preceptor.specs import Colour, NetworkSpec, Task


def mean_of(spec: NetworkSpec, task: Task) -> tuple[float, ...]:
    """The mean of each channel, for pixels in [0, 1], of the network that ``spec`` will become.

    Raises:
        UserError: unknown architecture, or a saved network that cannot be read.
    """
    if task == "segmentation":
        from preceptor.networks.build_segmenter import mean_of_segmenter

        return mean_of_segmenter(spec)
    from preceptor.networks.build_classifier import mean_of_classifier

    return mean_of_classifier(spec)


def padding_for(mean: Sequence[float]) -> Colour:
    """The colour with which timm's ``border`` fills for a model of this mean."""
    red, green, blue = (round(255 * value) for value in mean)
    return red, green, blue
