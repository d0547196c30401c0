"""The figures of a report, drawn by matplotlib as SVG texts with no address in them.

One measured thing a figure, at the width of a phone, so that they flow side by side on a wide page.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from preceptor.measures import confusion_matrix, reliability
from preceptor.report.names import main_metric, metric_name
from preceptor.report.runs import Run
from preceptor.report.statistics import LOWER_IS_BETTER, Statistics
from preceptor.report.studies import Cell, Study

_COLOURS = {"T": "#444444", "S1": "#0072b2", "S2": "#d55e00", "ensemble": "#009e73", "ensemble_mean": "#cc79a7"}
_MORE = ("#56b4e9", "#e69f00", "#882255", "#117733", "#999933", "#332288")
"""The palette of Okabe & Ito, told apart by the colour-blind."""

_STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
_WIDTH = 3.6  # inches


def overview(study: Study, statistics: Statistics) -> str | None:
    """Each method's score with its interval and its seeds, beside the student alone; None where nothing is finished."""
    network, metric = study.network, study.metric
    shown = [cell for cell in study.cells if cell.kind != "teacher" and statistics.spread(cell, network, metric)]
    if not shown:
        return None
    figure, axes = _figure(width=4.8, height=0.6 + 0.2 * len(shown), left=1.85, top=0.08)
    for row, cell in enumerate(shown):
        found, interval = statistics.spread(cell, network, metric), statistics.interval(cell, network, metric)
        assert found is not None
        colour = "#777777" if cell.kind == "baseline" else _COLOURS["S1"]
        if interval:
            axes.plot([100 * interval.low, 100 * interval.high], [row, row], color=colour, alpha=0.35, linewidth=4)
        seeds = [100 * score for run in cell.runs.values() if (score := run.score(network, metric)) is not None]
        axes.plot(seeds, [row] * len(seeds), "|", color=colour, markersize=9)
        axes.plot([100 * found.mean], [row], "o", color=colour, markersize=5)
    alone = [statistics.spread(cell, network, metric) for cell in shown if cell.kind == "baseline"]
    if len(alone) == 1 and alone[0]:
        axes.axvline(100 * alone[0].mean, color="#777777", linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(shown)), [_short(cell.title, 32) for cell in shown], fontsize=8)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel(f"{metric_name(metric)} of {network}, test split, %")
    axes.grid(axis="x", color="#e5e5e5", linewidth=0.6)
    return _svg(figure)


def curves(cell: Cell, task: str) -> str | None:
    """The validation score of every network after each epoch, a line per seed; None without metrics."""
    metric = main_metric(task)
    tables = [(run, run.metrics) for run in _begun(cell) if run.metrics is not None]
    parts = [table[(table["split"] == "validation") & (table["metric"] == metric)] for _, table in tables]
    if not any(len(part) for part in parts):
        return None
    figure, axes = _figure()
    labelled: set[str] = set()
    for (_, table), part in zip(tables, parts, strict=True):
        starts = _stage_starts(table)
        for network, rows in part.groupby("network", sort=False):
            name = str(network)
            axes.plot(
                _epochs(rows, starts),
                100 * rows["value"],
                color=_colour(name),
                linewidth=1.2,
                alpha=0.8,
                marker="o" if len(rows) == 1 else None,
                markersize=3,
                label=None if name in labelled else name,
            )
            labelled.add(name)
        _mark_stages(axes, starts)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set(xlabel="epoch", ylabel=f"validation {metric_name(metric)}, %")
    _legend(axes)
    return _svg(figure)


def terms(cell: Cell) -> str | None:
    """What each term of each network's loss was, epoch by epoch, averaged over seeds; None without metrics."""
    tables = [run.metrics for run in _begun(cell) if run.metrics is not None]
    parts = []
    for table in tables:
        rows = table[(table["split"] == "train") & table["metric"].str.startswith("loss:")]
        parts.append(rows.assign(epoch=_epochs(rows, _stage_starts(table))))
    rows = pd.concat(parts) if parts else pd.DataFrame()
    if rows.empty:
        return None
    names = list(dict.fromkeys(rows["metric"]))
    below = 0.5 + 0.165 * len(names)
    figure, axes = _figure(height=2.2 + below, bottom=below)
    for place, name in enumerate(names):
        mean = rows[rows["metric"] == name].groupby("epoch")["value"].mean()
        axes.plot(
            mean.index,
            mean,
            color=_colour(name.removeprefix("loss:").split("/")[0])
            if name.endswith("/task")
            else _MORE[place % len(_MORE)],
            linestyle="-" if name.endswith("/task") else "--",
            linewidth=1.3,
            marker="o" if len(mean) == 1 else None,
            markersize=3,
            label=name.removeprefix("loss:").replace("->", "→"),
        )
    if (rows["value"] > 0).all() and rows["value"].max() > 30 * rows["value"].min():
        _logarithmic(axes, axes.yaxis)
    _mark_stages(axes, _stage_starts(tables[0]))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set(xlabel="epoch", ylabel="training loss, weighted")
    _legend_below(figure, axes, columns=1)
    return _svg(figure)


def reliabilities(cell: Cell, networks: Sequence[str]) -> str | None:
    """Accuracy against confidence on the test split, seeds together; None without predictions of classes."""
    figure, axes = _figure(height=3.3, bottom=0.95)
    axes.plot([0, 100], [0, 100], color="#bbbbbb", linewidth=0.8)
    for network in networks:
        chances, labels = _answers(cell, network)
        if chances is None or labels is None:
            continue
        found = reliability(chances, labels)
        filled = found.count > 0
        confidence, accuracy = 100 * found.confidence[filled], 100 * found.accuracy[filled]
        colour, share = _colour(network), found.count[filled] / found.count.sum()
        axes.plot(confidence, accuracy, color=colour, linewidth=0.7, alpha=0.6)
        axes.scatter(confidence, accuracy, s=3 + 120 * share, color=colour, alpha=0.75, linewidth=0,
                     label=f"{network}, ECE {100 * found.gap:.1f}")  # fmt: skip
    if len(axes.lines) < 2:
        return None
    axes.set(xlabel="confidence, %", ylabel="accuracy, %", xlim=(0, 102), ylim=(0, 102))
    _legend_below(figure, axes, columns=2)
    return _svg(figure)


def confusion(cell: Cell, network: str) -> str | None:
    """Where each class of the test split goes, in percent of the class, seeds together; None without predictions."""
    chances, labels = _answers(cell, network)
    if chances is None or labels is None:
        return None
    classes = chances.shape[1]
    counts = confusion_matrix(labels, chances.argmax(axis=1), classes=classes)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = next((run.classes for run in cell.runs.values() if len(run.classes) == classes), ())
    names = tuple(_short(name, 14) for name in names) or tuple(map(str, range(classes)))
    margin = 0.35 + 0.075 * max(map(len, names))
    below = margin if classes > 3 else 0.45
    figure, axes = _figure(height=2.4 + below, left=margin, bottom=below, top=0.1)
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=100, edgecolors="white", linewidth=0.5)
    if classes <= 12:
        for row in range(classes):
            for column in range(classes):
                colour = "white" if shares[row, column] > 55 else "#222222"
                text = f"{shares[row, column]:.0f}"
                axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(np.arange(classes) + 0.5, names, rotation=90 if classes > 3 else 0)
    axes.set_yticks(np.arange(classes) + 0.5, names)
    axes.set_ylim(classes, 0)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted", labelpad=2)
    axes.set_ylabel("label", labelpad=2)
    return _svg(figure)


def cost(study: Study, statistics: Statistics, field: str, title: str, unit: float) -> str | None:
    """Each network's score against what it costs (``latency`` or a field of the result); None where that is not known.

    An ensemble costs what its students cost together.
    """
    metric = study.metric
    figure, axes = _figure(height=3.2, bottom=0.9)
    labelled: set[str] = set()
    costs = set()
    for cell in study.cells:
        for network in dict.fromkeys(name for run in cell.runs.values() for name in (run.result or {})["test"]):
            found, price = statistics.spread(cell, network, metric), _price(cell, network, field)
            if found is None or price is None:
                continue
            costs.add(price)
            axes.plot(
                [price / unit],
                [100 * found.mean],
                marker={"T": "s", "ensemble": "^", "ensemble_mean": "v"}.get(network, "o"),
                linestyle="none",
                markersize=5,
                alpha=0.75,
                color=_colour(network),
                label=None if network in labelled else network,
            )
            labelled.add(network)
    if len(costs) < 2:
        return None
    if max(costs) > 8 * min(costs):
        _logarithmic(axes, axes.xaxis)
    better = " (less is better)" if metric in LOWER_IS_BETTER else ""
    axes.set(xlabel=title, ylabel=f"test {metric_name(metric)}, %{better}")
    axes.grid(color="#e5e5e5", linewidth=0.6)
    _legend_below(figure, axes, columns=3)
    return _svg(figure)


def _price(cell: Cell, network: str, field: str) -> float | None:
    run = next(iter(cell.runs.values()))
    known: Mapping[str, float] = run.latency if field == "latency" else (run.result or {}).get(field) or {}
    if network.startswith("ensemble"):
        members = [value for name, value in known.items() if name != "T"]
        return float(sum(members)) if members else None
    return float(known[network]) if network in known else None


def _answers(cell: Cell, network: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Probabilities and labels of all seeds one below the other."""
    found = [run.predictions for run in cell.runs.values()]
    mine = [one for one in found if one and one.labels is not None and network in one.networks]
    if not mine:
        return None, None
    labels = [one.labels for one in mine if one.labels is not None]
    return np.concatenate([one.networks[network] for one in mine]), np.concatenate(labels)


def _begun(cell: Cell) -> Iterable[Run]:
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


def _mark_stages(axes: Axes, starts: Mapping[str, int]) -> None:
    for name, start in list(starts.items())[1:]:
        axes.axvline(start + 0.5, color="#aaaaaa", linewidth=0.8, linestyle=":")
        axes.text(
            start + 0.6, 1.0, name, transform=axes.get_xaxis_transform(), fontsize=7, color="#777777", va="bottom"
        )


def _colour(network: str) -> str:
    return _COLOURS.get(network) or _MORE[sum(map(ord, network)) % len(_MORE)]


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _figure(
    width: float = _WIDTH, height: float = 2.6, *, left: float = 0.62, bottom: float = 0.45, top: float = 0.2
) -> tuple[Figure, Axes]:
    """Axes with margins in inches; letting matplotlib find them would take as long as the drawing."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height))
        inside = (left / width, bottom / height, (width - left - 0.16) / width, (height - bottom - top) / height)
        return figure, figure.add_axes(inside)


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(handlelength=1.2, labelspacing=0.3, frameon=False, fontsize=8)


def _legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="lower left",
        ncols=columns,
        frameon=False,
        fontsize=8,
        handlelength=1.6,
        labelspacing=0.2,
        columnspacing=1.0,
        borderaxespad=0.1,
    )


def _logarithmic(axes: Axes, axis: XAxis | YAxis) -> None:
    (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": "preceptor"}):
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    _, tag, drawing = text.getvalue().partition("<svg ")  # without the address of its document type
    return tag + drawing
