"""How every figure looks and is written: with matplotlib, which is imported only once something is drawn."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import ceil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#999933", "#882255", "#117733", "#332288")
"""Told apart by the colour-blind: the palette of Okabe & Ito, and four of Tol's."""

INK, DIM, GRID = "#222222", "#777777", "#e5e5e5"

SMALL = 8.0
"""Points of what is written but for the labels of axes."""

_LETTER = 0.58  # mean width of a letter of DejaVu Sans, in sizes of the font
_LINE = 11.5  # points from one line of a key to the next

_STYLE: dict[Any, Any] = {
    # all as wide as the first, by which room is measured, or narrower
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Helvetica", "Arial"],
    "font.size": SMALL,
    "axes.labelsize": 9.0,
    "axes.labelpad": 3.0,
    "axes.linewidth": 0.7,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "text.parse_math": False,  # a name with two dollar signs is no formula
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "svg.fonttype": "none",  # texts stay texts: small, found by a search, read aloud
}


@contextmanager
def styled() -> Iterator[None]:
    """What is drawn and written within it, or in a function it decorates, looks alike whatever matplotlib is told."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def panel(width: float, height: float) -> "Axes":
    """The axes of a new figure of one panel, in points."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 72, height / 72), dpi=72).add_axes((0, 0, 1, 1))


def round_numbers(axis: "Axis", *, most: int = 6, whole: bool = False) -> None:
    """Marks at multiples of 1, 2 or 5 times a power of ten, written short."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

    if axis.get_scale() == "log":
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=most))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10], integer=whole))
    axis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))


def draw_key(axes: "Axes", handles: Mapping[str, "Artist"]) -> None:
    """What colours and marks mean, below everything; the figure grows by its lines."""
    if not handles:
        return
    figure = _figure_of(axes)
    width, height = figure.get_size_inches()
    columns = max(1, int(72 * width // (27 + max(map(text_width, handles)))))
    taken = ceil(len(handles) / columns) * _LINE / 72
    figure.set_size_inches(width, height + taken)
    axes.set_position((0, taken / (height + taken), 1, height / (height + taken)))
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="lower left",
        ncols=columns,
        handlelength=1.6,
        handletextpad=0.5,
        columnspacing=1.0,
        labelspacing=0.3,
        borderpad=0.2,
        borderaxespad=0.0,
    )


def text_width(text: str, size: float = SMALL) -> float:
    """About how wide a text is, in points."""
    return _LETTER * size * len(text)


def shades(low: str, high: str) -> "Colormap":
    """From one colour to the other."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(f"{low} to {high}", [low, high])


def as_svg(axes: "Axes", name: str, *, below: float = 31.0, above: float = 6.0) -> str:
    """The figure of ``axes`` as an SVG element without date, author or outside reference.

    Args:
        name: from which the names of its parts are made, so that figures on one page share none.
        below, above: points around the panel for what is written there.
    """
    import matplotlib

    figure, text = _figure_of(axes), io.StringIO()
    _give_room(axes, below, above)
    nobody = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(text, format="svg", metadata=nobody)
    written = text.getvalue()
    return written[written.index("<svg") :]  # what stands before names the address of a grammar


def as_png(figure: "Figure") -> bytes:
    """A picture of what is drawn, without margins."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130, bbox_inches="tight", metadata={"Software": None})
    return content.getvalue()


def _give_room(axes: "Axes", below: float, above: float) -> None:
    """Shrink the panel by what stands around it; a layout of matplotlib's measures every text four times over."""
    width, height = (72 * size for size in _figure_of(axes).get_size_inches())
    taken = axes.yaxis.get_tightbbox()
    left = 3 - (taken.x0 if taken else 0.0)
    bottom = below + height * axes.get_position().y0
    axes.set_position((left / width, bottom / height, (width - left - 10) / width, (height - bottom - above) / height))


def _figure_of(axes: "Axes") -> "Figure":
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes of a figure"
    return figure
