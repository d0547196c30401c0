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
