"""The critical-difference diagram: average ranks on a line, and bars over methods that are not told apart."""

from preceptor.plotting import DIM, INK, as_svg, panel, styled
from preceptor.report.across import Across

_ROW = 15.0
_WIDTH = 346.0
_BAR = 0.55


@styled()
def rank_diagram(found: Across) -> str:
    """Best on top. A dot is a method's average rank; a grey bar joins methods that no test tells apart."""
    test = found.ranks
    order = found.order
    bars = test.alike if test.is_possible else []
    axes = panel(_WIDTH, 40 + _ROW * len(order))
    rows = {place: row for row, place in enumerate(order)}
    for place in order:
        rank = float(test.average_ranks[place])
        axes.plot([1, rank], [rows[place]] * 2, color=DIM, linewidth=0.8)
        axes.plot([rank], [rows[place]], "o", color="#0072b2", markersize=5.4, markeredgewidth=0)
    for number, members in enumerate(bars):
        at = len(found.methods) + 0.35 - 0.12 * number + 0.12 * len(bars)
        axes.plot([at] * 2, [rows[members[0]] - _BAR / 2, rows[members[-1]] + _BAR / 2], color=INK, linewidth=3)
    axes.set_yticks(range(len(order)), [_short(found.methods[place]) for place in order])
    axes.set(ylim=(len(order) - 0.5, -0.5), xlim=(0.9, len(order) + 0.5 + 0.12 * len(bars)))
    axes.set_xticks(range(1, len(order) + 1))
    axes.set_xlabel(f"average rank over {len(found.studies)} data sets; 1 is best")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return as_svg(axes, "ranks")


def _short(text: str, most: int = 32) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
