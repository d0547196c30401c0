"""The figures of a report, as SVG texts with no address in them.

One measured thing a figure, at the width of a phone, so that they flow side by side on a wide page.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from preceptor.measures import confusion_matrix, main_measure, reliability
from preceptor.report.drawing.chart import Axis, Chart, around, blend
from preceptor.report.names import network_name
from preceptor.report.reading.runs import Run
from preceptor.report.reading.studies import Cell, Study
from preceptor.report.statistics import Statistics

_COLOURS = {"T": "#444444", "S1": "#0072b2", "S2": "#d55e00", "ensemble": "#009e73", "ensemble_mean": "#cc79a7"}
_MORE = ("#56b4e9", "#e69f00", "#882255", "#117733", "#999933", "#332288")
"""The palette of Okabe & Ito, told apart by the colour-blind."""

_GREY = "#777777"
_SHAPES = {"T": "s", "ensemble": "^", "ensemble_mean": "v"}
_MOST_NUMBERS = 12  # classes up to which shares are written into a confusion matrix


def overview(study: Study, statistics: Statistics) -> str | None:
    """Each method's score with its interval and its seeds, beside the student alone; None where nothing is finished."""
    network, metric = study.network, study.metric
    found = [(cell, statistics.spread(cell, network, metric)) for cell in study.cells if cell.kind != "teacher"]
    shown = [(cell, spread.mean, statistics.interval(cell, network, metric)) for cell, spread in found if spread]
    if not shown:
        return None
    seeds = [[s for run in cell.runs.values() if (s := run.score(network, metric)) is not None] for cell, _, _ in shown]
    ends = [end for _, _, one in shown if one for end in (one.low, one.high)]
    values = [*ends, *(seed for own in seeds for seed in own)]
    x = around([100 * value for value in values], f"{study.label(metric)} of {network_name(network)}, test split, %")
    names = tuple((float(-row), _short(cell.title, 32)) for row, (cell, _, _) in enumerate(shown))
    chart = Chart(x, Axis(0.5 - len(shown), 0.5, names=names), width=346, height=14.5 * len(shown), grid="x")
    for row, (cell, mean, interval) in enumerate(shown):
        colour = _GREY if cell.kind == "baseline" else _COLOURS["S1"]
        if interval:
            chart.line([100 * interval.low, 100 * interval.high], [-row, -row], colour, width=4, opacity=0.35)
        for seed in seeds[row]:
            chart.dot(100 * seed, -row, colour, radius=4.5, shape="|")
        chart.dot(100 * mean, -row, colour, radius=2.7)
    alone = [mean for cell, mean, _ in shown if cell.kind == "baseline"]
    if len(alone) == 1:
        chart.place(100 * alone[0])
    return chart.svg()


def curves(cell: Cell, task: str) -> str | None:
    """The validation score of every network after each epoch, a line per seed; None without metrics."""
    main = main_measure(task)
    tables = [run.metrics for run in _begun(cell) if run.metrics is not None]
    parts = []
    for table in tables:
        rows = table[(table["split"] == "validation") & (table["metric"] == main.name)]
        parts.append(rows.assign(epoch=_epochs(rows, _stage_starts(table)), value=100 * rows["value"]))
    every = pd.concat(parts) if parts else pd.DataFrame()
    if every.empty:
        return None
    chart = Chart(
        around(every["epoch"], "epoch", whole=True),
        around(every["value"], f"validation {main.label}, %"),
        top=12,
    )
    _mark_stages(chart, _stage_starts(tables[0]))
    for part in parts:
        for network, rows in part.groupby("network", sort=False):
            colour = _colour(str(network))
            chart.line(rows["epoch"].tolist(), rows["value"].tolist(), colour, width=1.2, opacity=0.8)
            chart.key(str(network), colour)
    return chart.svg()


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
    means = rows.groupby(["metric", "epoch"], sort=False)["value"].mean()
    is_log = bool((means > 0).all()) and means.max() > 30 * means.min()
    chart = Chart(
        around(rows["epoch"], "epoch", whole=True),
        around(means, "training loss, weighted", is_log=is_log),
        top=12,
    )
    _mark_stages(chart, _stage_starts(tables[0]))
    for place, (name, mean) in enumerate(means.groupby("metric", sort=False)):
        term = str(name).removeprefix("loss:")
        is_task = term.endswith("/task")
        colour = _colour(term.split("/")[0]) if is_task else _MORE[place % len(_MORE)]
        dashes = "" if is_task else "4 2"
        epochs = mean.index.get_level_values("epoch")
        chart.line(epochs.tolist(), mean.tolist(), colour, dashes=dashes)
        chart.key(term.replace("->", "→"), colour, dashes=dashes)
    return chart.svg()


def reliabilities(cell: Cell, networks: Sequence[str]) -> str | None:
    """Accuracy against confidence on the test split, seeds together; None without predictions of classes."""
    chart = Chart(Axis(0, 102, "confidence, %"), Axis(0, 102, "accuracy, %"), height=170)
    chart.line([0, 100], [0, 100], "#bbbbbb", width=0.8)
    is_known = False
    for network in networks:
        chances, labels = _answers(cell, network)
        if chances is None or labels is None:
            continue
        found = reliability(chances, labels)
        filled = found.count > 0
        confidence, accuracy = (100 * values[filled] for values in (found.confidence, found.accuracy))
        colour, share = _colour(network), found.count[filled] / found.count.sum()
        chart.line(confidence.tolist(), accuracy.tolist(), colour, width=0.7, opacity=0.6)
        for x, y, part in zip(confidence, accuracy, share, strict=True):
            chart.dot(x, y, colour, radius=1 + 5 * part**0.5, opacity=0.75)
        chart.key(f"{network}, ECE {100 * found.gap:.1f}", colour, shape="o")
        is_known = True
    return chart.svg() if is_known else None


def confusion(cell: Cell, network: str) -> str | None:
    """Where each class of the test split goes, in percent of the class, seeds together; None without predictions."""
    chances, labels = _answers(cell, network)
    if chances is None or labels is None:
        return None
    classes = chances.shape[1]
    counts = confusion_matrix(labels, chances.argmax(axis=1), classes=classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    known = next((run.classes for run in cell.runs.values() if len(run.classes) == classes), ())
    names = [_short(name, 14) for name in known] or list(map(str, range(classes)))
    across = tuple((column + 0.5, name) for column, name in enumerate(names))
    down = tuple((-row - 0.5, name) for row, name in enumerate(names))
    chart = Chart(Axis(0, classes, "predicted", across), Axis(-classes, 0, "label", down), height=160)
    for row in range(classes):
        for column in range(classes):
            share = float(shares[row, column])
            chart.box((column, -row - 1), (column + 1, -row), blend(share))
            if classes <= _MOST_NUMBERS:
                colour = "white" if share > 0.45 else "#222222"
                chart.text(column + 0.5, -row - 0.5, f"{100 * share:.0f}", colour=colour)
    return chart.svg()


def cost(study: Study, statistics: Statistics, field: str, title: str, unit: float) -> str | None:
    """Each network's score against what it costs (``latency`` or a field of the result); None where that is not known.

    An ensemble costs what its students cost together.
    """
    metric = study.metric
    points = []
    for cell in study.cells:
        for network in dict.fromkeys(name for run in cell.runs.values() for name in run.test):
            found, price = statistics.spread(cell, network, metric), _price(cell, network, field)
            if found is not None and price is not None:
                points.append((network, price / unit, 100 * found.mean))
    prices = [price for _, price, _ in points]
    if len(set(prices)) < 2:
        return None
    better = " (less is better)" if not study.higher_is_better(metric) else ""
    chart = Chart(
        around(prices, title, is_log=max(prices) > 8 * min(prices)),
        around([score for _, _, score in points], f"test {study.label(metric)}, %{better}"),
        height=170,
        grid="xy",
    )
    for network, price, score in points:
        shape = _SHAPES.get(network, "o")
        chart.dot(price, score, _colour(network), shape=shape, opacity=0.75)
        chart.key(network, _colour(network), shape=shape)
    return chart.svg()


def _price(cell: Cell, network: str, field: str) -> float | None:
    run = next(iter(cell.runs.values()))
    known: Mapping[str, float] = _prices(run, field)
    if network.startswith("ensemble"):
        members = [value for name, value in known.items() if name != "T"]
        return float(sum(members)) if members else None
    return float(known[network]) if network in known else None


def _prices(run: Run, field: str) -> Mapping[str, float]:
    if field == "latency":
        return run.analysis.latency
    known = run.result
    return {} if known is None else {"parameters": known.parameters, "multiply_adds": known.multiply_adds}[field]


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


def _mark_stages(chart: Chart, starts: Mapping[str, int]) -> None:
    for name, start in list(starts.items())[1:]:
        chart.place(start + 0.5, name)


def _colour(network: str) -> str:
    return _COLOURS.get(network) or _MORE[sum(map(ord, network)) % len(_MORE)]


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
