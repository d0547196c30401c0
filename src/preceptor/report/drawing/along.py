"""Scores along an axis of numbers, such as shares of the labels: a line for each method."""

from collections import defaultdict
from typing import Any

from preceptor.plotting import COLOURS, as_svg, draw_key, panel, round_numbers, styled
from preceptor.report.names import network_name
from preceptor.report.reading.studies import CellRecord, StudyRecord
from preceptor.report.statistics import Statistics

_WIDTH, _HEIGHT = 346.0, 240.0
_APART = 1.03
"""Factor between the places of neighbouring lines, so that their intervals can be told apart."""


@styled()
def along(study: StudyRecord, statistics: Statistics) -> str | None:
    """Each method's mean over seeds with its interval, against the numbers of the first axis that has two or more."""
    found = _axis(study)
    if found is None:
        return None
    axis, numbers = found
    network, metric = study.network, study.metric
    factor, unit = study.as_printed(metric)
    lines: dict[str, list[tuple[float, CellRecord]]] = defaultdict(list)
    for cell in study.cells:
        if cell.kind != "teacher" and axis in cell.labels and statistics.spread(cell, network, metric):
            lines[_without(cell, axis)].append((numbers[cell.labels[axis]], cell))
    if not any(len(line) > 1 for line in lines.values()):
        return None
    axes = panel(_WIDTH, _HEIGHT)
    axes.set_xscale("log")
    names = {}
    for place, (name, line) in enumerate(lines.items()):
        line.sort(key=lambda point: point[0])
        shift = _APART ** (place - (len(lines) - 1) / 2)
        xs, ys = [number * shift for number, _ in line], []
        for x, (_, cell) in zip(xs, line, strict=True):
            spread, interval = statistics.spread(cell, network, metric), statistics.interval(cell, network, metric)
            assert spread is not None
            ys.append(factor * spread.mean)
            if interval:
                ends = [factor * interval.low, factor * interval.high]
                axes.plot([x, x], ends, color=COLOURS[place % len(COLOURS)], linewidth=1.2, alpha=0.6)
        look: dict[str, Any] = {"marker": "o", "markersize": 4.5, "markeredgewidth": 0}
        (names[name],) = axes.plot(xs, ys, color=COLOURS[place % len(COLOURS)], **look)
    shown = sorted(numbers.items(), key=lambda option: option[1])
    axes.set_xticks([number for _, number in shown], [text for text, _ in shown])
    axes.set_xticks([], minor=True)
    axes.set(xlabel=axis, ylabel=f"{study.label(metric)} of {network_name(network)}, test split{unit}")
    round_numbers(axes.yaxis)
    axes.grid()
    draw_key(axes, names)
    return as_svg(axes, "along")


def _axis(study: StudyRecord) -> tuple[str, dict[str, float]] | None:
    """The first axis all of whose options are numbers above 0, with or without %, and its options' numbers."""
    options: dict[str, set[str]] = defaultdict(set)
    for cell in study.cells:
        for axis, option in cell.labels.items():
            options[axis].add(option)
    for axis, texts in options.items():
        numbers = {text: _number(text) for text in texts}
        known = {text: number for text, number in numbers.items() if number is not None and number > 0}
        if len(known) == len(texts) > 1:
            return axis, known
    return None


def _number(text: str) -> float | None:
    try:
        return float(text.removesuffix("%"))
    except ValueError:
        return None


def _without(cell: CellRecord, axis: str) -> str:
    """The cell's title without its place on ``axis``."""
    return CellRecord(cell.kind, {name: value for name, value in cell.labels.items() if name != axis}, cell.jobs).title
