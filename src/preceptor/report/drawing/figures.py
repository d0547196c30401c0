"""The figures of a report, as SVG texts with no address in them.

One measured thing a figure, at the width of a phone, so that they flow side by side on a wide page.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from preceptor.measures import confusion_matrix, main_measure, reliability
from preceptor.plotting import COLOURS, DIM, INK, as_svg, draw_key, panel, round_numbers, shades, styled, text_width
from preceptor.report.names import network_name
from preceptor.report.reading.runs import RunRecord
from preceptor.report.reading.studies import CellRecord, StudyRecord
from preceptor.report.statistics import Statistics

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_COLOURS = {"T": "#444444", "S1": "#0072b2", "S2": "#d55e00", "ensemble": "#009e73", "ensemble_mean": "#cc79a7"}
_MORE = tuple(colour for colour in COLOURS if colour not in _COLOURS.values())
_GREY = "#777777"
_SHAPES = {"T": "s", "ensemble": "^", "ensemble_mean": "v"}
_MOST_NUMBERS = 12  # classes up to which shares are written into a confusion matrix
_WIDTH = 260.0
"""Points of a figure of which several stand side by side."""


@styled()
def overview(study: StudyRecord, statistics: Statistics) -> str | None:
    """Each method's score with its interval and its seeds, beside the student alone; None where nothing is finished."""
    network, metric = study.network, study.metric
    found = [(cell, statistics.spread(cell, network, metric)) for cell in study.cells if cell.kind != "teacher"]
    shown = [(cell, spread.mean, statistics.interval(cell, network, metric)) for cell, spread in found if spread]
    if not shown:
        return None
    factor, unit = study.as_printed(metric)
    axes = panel(346, 36 + 14.5 * len(shown))
    for row, (cell, mean, interval) in enumerate(shown):
        colour = _GREY if cell.kind == "baseline" else _COLOURS["S1"]
        if interval:
            ends = [factor * interval.low, factor * interval.high]
            axes.plot(ends, [row, row], color=colour, linewidth=4, alpha=0.35, solid_capstyle="butt")
        seeds = [factor * seed for run in cell.runs.values() if (seed := run.score(network, metric)) is not None]
        axes.plot(seeds, [row] * len(seeds), "|", color=colour, markersize=9, markeredgewidth=1)
        axes.plot([factor * mean], [row], "o", color=colour, markersize=5.4, markeredgewidth=0)
    alone = [mean for cell, mean, _ in shown if cell.kind == "baseline"]
    if len(alone) == 1:
        _mark_place(axes, factor * alone[0])
    round_numbers(axes.xaxis)
    axes.set_yticks(range(len(shown)), [_short(cell.title, 32) for cell, _, _ in shown])
    axes.set(
        ylim=(len(shown) - 0.5, -0.5), xlabel=f"{study.label(metric)} of {network_name(network)}, test split{unit}"
    )
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return as_svg(axes, "overview")


@styled()
def curves(cell: CellRecord, task: str) -> str | None:
    """The validation score of every network after each epoch, a line per seed; None without metrics."""
    main = main_measure(task)
    factor, unit = (100.0, ", %") if main.is_share else (1.0, "")
    tables = [run.metrics for run in _begun(cell) if run.metrics is not None]
    parts = []
    for table in tables:
        rows = table[(table["split"] == "validation") & (table["metric"] == main.name)]
        parts.append(rows.assign(epoch=_epochs(rows, _stage_starts(table)), value=factor * rows["value"]))
    if not any(len(part) for part in parts):
        return None
    axes = panel(_WIDTH, 180)
    names: dict[str, Artist] = {}
    for part in parts:
        for network, rows in part.groupby("network", sort=False):
            (names[str(network)],) = _line(axes, rows["epoch"], rows["value"], color=_colour(str(network)), alpha=0.8)
    _finish_epochs(axes, f"validation {main.label}{unit}", _stage_starts(tables[0]))
    draw_key(axes, names)
    return as_svg(axes, f"curves {cell.title}", above=12)


@styled()
def terms(cell: CellRecord) -> str | None:
    """What each term of each network's loss was, epoch by epoch, averaged over seeds; None without metrics."""
    tables = [run.metrics for run in _begun(cell) if run.metrics is not None]
    parts = []
    for table in tables:
        rows = table[(table["split"] == "train") & table["metric"].str.startswith("loss:")]
        parts.append(rows.assign(epoch=_epochs(rows, _stage_starts(table))))
    rows = pd.concat(parts) if parts else pd.DataFrame()
    if rows.empty:
        return None
    means = rows.groupby(["metric", "epoch"], sort=False)["value"].mean()
    axes = panel(_WIDTH, 180)
    if bool((means > 0).all()) and means.max() > 30 * means.min():
        axes.set_yscale("log")
    names: dict[str, Artist] = {}
    for place, (name, mean) in enumerate(means.groupby("metric", sort=False)):
        term = str(name).removeprefix("loss:")
        is_task = term.endswith("/task")
        colour = _colour(term.split("/")[0]) if is_task else _MORE[place % len(_MORE)]
        dashes = "-" if is_task else (0, (4, 2))
        epochs = mean.index.get_level_values("epoch")
        (names[term.replace("->", "→")],) = _line(axes, epochs, mean, color=colour, linestyle=dashes)
    _finish_epochs(axes, "training loss, weighted", _stage_starts(tables[0]))
    draw_key(axes, names)
    return as_svg(axes, f"terms {cell.title}", above=12)


@styled()
def reliabilities(cell: CellRecord, networks: Sequence[str]) -> str | None:
    """Accuracy against confidence on the test split, seeds together; None without predictions of classes."""
    known = [(network, *mine) for network in networks if (mine := _answers(cell, network))]
    if not known:
        return None
    axes = panel(_WIDTH, 205)
    axes.plot([0, 100], [0, 100], color="#bbbbbb", linewidth=0.8)
    names: dict[str, Artist] = {}
    for network, chances, labels in known:
        found = reliability(chances, labels)
        filled = found.count > 0
        confidence, accuracy = (100 * values[filled] for values in (found.confidence, found.accuracy))
        colour, share = _colour(network), found.count[filled] / found.count.sum()
        axes.plot(confidence, accuracy, color=colour, linewidth=0.7, alpha=0.6)
        diameter = 2 + 10 * share**0.5
        dots = axes.scatter(confidence, accuracy, diameter**2, color=colour, alpha=0.75, linewidths=0)
        names[f"{network}, ECE {100 * found.gap:.1f}"] = dots
    axes.set(xlim=(0, 103), ylim=(0, 103), xlabel="confidence, %", ylabel="accuracy, %")
    draw_key(axes, names)
    return as_svg(axes, f"reliabilities {cell.title}")


@styled()
def confusion(cell: CellRecord, network: str) -> str | None:
    """Where each class of the test split goes, in percent of the class, seeds together; None without predictions."""
    answers = _answers(cell, network)
    if answers is None:
        return None
    chances, labels = answers
    classes = chances.shape[1]
    counts = confusion_matrix(labels, chances.argmax(axis=1), classes=classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    known = next((run.classes for run in cell.runs.values() if len(run.classes) == classes), ())
    names = [_short(name, 14) for name in known] or list(map(str, range(classes)))
    longest = max(map(text_width, names))
    is_upright = longest > 190 / classes
    below = 22 + (longest if is_upright else 7)
    axes = panel(_WIDTH, 166 + below)
    axes.pcolormesh(shares, vmin=0, vmax=1, cmap=shades("white", "#084594"), edgecolors="white", linewidth=1)
    for row, column in np.ndindex(classes, classes) if classes <= _MOST_NUMBERS else ():
        share = float(shares[row, column])
        colour = "white" if share > 0.45 else INK
        place = (column + 0.5, row + 0.5)
        axes.text(*place, f"{100 * share:.0f}", color=colour, ha="center", va="center", fontsize=7)
    middles = np.arange(classes) + 0.5
    axes.set_xticks(middles, names, rotation="vertical" if is_upright else "horizontal")
    axes.set_yticks(middles, names)
    axes.set(ylim=(classes, 0), xlabel="predicted", ylabel="label")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return as_svg(axes, f"confusion {network} {cell.title}", below=below)


@styled()
def cost(study: StudyRecord, statistics: Statistics, field: str, title: str, unit: float) -> str | None:
    """Each network's score against what it costs (``latency`` or a field of the result); None where that is not known.

    An ensemble costs what its students cost together.
    """
    metric = study.metric
    factor, unit_of_score = study.as_printed(metric)
    points = []
    for cell in study.cells:
        for network in dict.fromkeys(name for run in cell.runs.values() for name in run.test):
            found, price = statistics.spread(cell, network, metric), _price(cell, network, field)
            if found is not None and price is not None:
                points.append((network, price / unit, factor * found.mean))
    prices = [price for _, price, _ in points]
    if len(set(prices)) < 2:
        return None
    axes = panel(_WIDTH, 205)
    if max(prices) > 8 * min(prices):
        axes.set_xscale("log")
    names: dict[str, Artist] = {}
    for network, price, score in points:
        shape = _SHAPES.get(network, "o")
        look: dict[str, Any] = {
            "color": _colour(network),
            "marker": shape,
            "markersize": 6,
            "markeredgewidth": 0,
            "alpha": 0.75,
        }
        (names[network],) = axes.plot([price], [score], linestyle="", **look)
    better = " (less is better)" if not study.higher_is_better(metric) else ""
    axes.set(xlabel=title, ylabel=f"test {study.label(metric)}{unit_of_score}{better}")
    axes.margins(0.06)
    round_numbers(axes.xaxis)
    round_numbers(axes.yaxis)
    axes.grid()
    draw_key(axes, names)
    return as_svg(axes, f"cost {field}")


def _price(cell: CellRecord, network: str, field: str) -> float | None:
    run = next(iter(cell.runs.values()))
    known: Mapping[str, float] = _prices(run, field)
    if network.startswith("ensemble"):
        members = [value for name, value in known.items() if name != "T"]
        return float(sum(members)) if members else None
    return float(known[network]) if network in known else None


def _prices(run: RunRecord, field: str) -> Mapping[str, float]:
    if field == "latency":
        return run.analysis.latency
    known = run.result
    return {} if known is None else {"parameters": known.parameters, "multiply_adds": known.multiply_adds}[field]


def _answers(cell: CellRecord, network: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Probabilities and labels of all seeds one below the other."""
    found = [run.predictions for run in cell.runs.values()]
    mine = [one for one in found if one and one.labels is not None and network in one.networks]
    if not mine:
        return None
    labels = [one.labels for one in mine if one.labels is not None]
    return np.concatenate([one.networks[network] for one in mine]), np.concatenate(labels)


def _begun(cell: CellRecord) -> Iterable[RunRecord]:
    return (job.run for job in cell.jobs if job.run is not None)


def _stage_starts(table: pd.DataFrame) -> dict[str, int]:
    """Epochs of the stages before each; stages of one phase go on counting by themselves."""
    starts, done = {}, 0
    for stage, rows in table.groupby("stage", sort=False):
        first = int(rows["epoch"].min())
        starts[str(stage)] = done - (first - 1)
        done += int(rows["epoch"].max()) - first + 1
    return starts


def _epochs(rows: pd.DataFrame, starts: Mapping[str, int]) -> pd.Series:
    return rows["epoch"] + rows["stage"].map(starts)


def _line(axes: "Axes", xs: Iterable[float], ys: Iterable[float], **look: Any) -> "list[Line2D]":
    """A line through the points; a dot where there is but one."""
    xs, ys = list(xs), list(ys)
    return axes.plot(xs, ys, linewidth=1.3, marker="o" if len(xs) == 1 else "", markersize=4, **look)


def _mark_place(axes: "Axes", x: float) -> None:
    axes.axvline(x, color="#aaaaaa", linewidth=0.8, linestyle=(0, (1.5, 2)), zorder=1)


def _finish_epochs(axes: "Axes", label: str, starts: Mapping[str, int]) -> None:
    """Axes and the names of later stages, each above its begin where that has room beside the one before."""
    axes.set(xlabel="epoch", ylabel=label)
    low, high = axes.get_xlim()
    per_point = (high - low) / 200
    room = low
    for name, start in list(starts.items())[1:]:
        _mark_place(axes, start + 0.5)
        end = start + 0.5 + per_point * text_width(name, 7)
        if start + 0.5 >= room and end <= high:
            room = end + 4 * per_point
            axes.text(start + 0.5, 1.01, name, transform=axes.get_xaxis_transform(), color=DIM, fontsize=7)
    axes.set_xlim(low, high)
    round_numbers(axes.xaxis, whole=True)
    round_numbers(axes.yaxis)


def _colour(network: str) -> str:
    return _COLOURS.get(network) or _MORE[sum(map(ord, network)) % len(_MORE)]


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
