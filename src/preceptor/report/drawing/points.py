"""Figures of operating points: ROC with the chosen point, and calibration at the temperature."""

from typing import TYPE_CHECKING

import numpy as np

from preceptor.measures import reliability
from preceptor.plotting import COLOURS, as_svg, draw_key, panel, styled
from preceptor.report.operating import Operated

if TYPE_CHECKING:
    from matplotlib.artist import Artist

_WIDTH, _HEIGHT = 260.0, 205.0
_MOST = 8  # classes whose curves are told apart


@styled()
def roc(found: Operated, title: str) -> str:
    """Sensitivity against 1 - specificity on test, a curve for each class, with its point at the threshold."""
    axes = panel(_WIDTH, _HEIGHT)
    axes.plot([0, 100], [0, 100], color="#bbbbbb", linewidth=0.8)
    count, names = found.chances.shape[1], found.run.classes
    artists: dict[str, Artist] = {}
    for place in [1] if count == 2 else range(min(count, _MOST)):
        called, positive = found.called(place)
        if positive.all() or not positive.any() or np.isnan(found.thresholds[place]):
            continue
        hits = positive[np.argsort(-found.chances[:, place], kind="stable")]
        right, wrong = np.cumsum(hits) / hits.sum(), np.cumsum(~hits) / (~hits).sum()
        colour = COLOURS[place % len(COLOURS)]
        (line,) = axes.plot(100 * np.r_[0, wrong], 100 * np.r_[0, right], color=colour, linewidth=1)
        at = 100 * (called & ~positive).sum() / (~positive).sum(), 100 * (called & positive).sum() / positive.sum()
        axes.plot(*at, "o", color=colour, markersize=5)
        artists[names[place] if len(names) == count else str(place)] = line
    axes.set(xlim=(-2, 103), ylim=(-2, 103), xlabel="1 - specificity, %", ylabel="sensitivity, %")
    draw_key(axes, artists)
    return as_svg(axes, f"roc {title}")


@styled()
def calibrated(found: Operated, title: str) -> str:
    """Accuracy against confidence on test, at the temperature of validation."""
    bins = reliability(found.chances, found.labels)
    filled = bins.count > 0
    confidence, accuracy = (100 * values[filled] for values in (bins.confidence, bins.accuracy))
    axes = panel(_WIDTH, _HEIGHT)
    axes.plot([0, 100], [0, 100], color="#bbbbbb", linewidth=0.8)
    axes.plot(confidence, accuracy, color=COLOURS[0], linewidth=0.7, alpha=0.6)
    diameter = 2 + 10 * (bins.count[filled] / bins.count.sum()) ** 0.5
    dots = axes.scatter(confidence, accuracy, diameter**2, color=COLOURS[0], alpha=0.75, linewidths=0)
    axes.set(xlim=(0, 103), ylim=(0, 103), xlabel="confidence, %", ylabel="accuracy, %")
    draw_key(axes, {f"T {found.temperature:.2f}, ECE {100 * bins.gap:.1f}": dots})
    return as_svg(axes, f"calibrated {title}")
