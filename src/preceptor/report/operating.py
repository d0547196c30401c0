"""Operating points of the networks of a report: fitted on validation, told on test."""

from dataclasses import dataclass

import numpy as np

from preceptor.measures.arrays import Flags, Float64, Int64
from preceptor.measures.not_worse import MARGIN, words_on
from preceptor.measures.points import FEWEST, called_rates, chosen_threshold, threshold_interval
from preceptor.measures.temperature import fitted_temperature, softmax
from preceptor.measures.uncertainty import Interval, Resampler, percentile_interval
from preceptor.report.drawing.grid import Datum, Grid, label
from preceptor.report.reading.runs import CHOSEN, RunRecord
from preceptor.report.reading.samples import groups_of, stacked
from preceptor.report.reading.studies import CellRecord, StudyRecord
from preceptor.runs.predictions import Predictions, read_predictions


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What a network said of a part of the data.

    Args:
        chances: (N, C) at the temperature of validation.
        groups: (N,) patient, lesion or slide; None where they are not known.
    """

    chances: Float64
    labels: Int64
    groups: list[str] | None


@dataclass(frozen=True, slots=True, eq=False)
class Operated:
    """A network of a run at its operating point.

    Args:
        thresholds: (C,) fitted on validation; NaN for a class that is missing there.
        validation: on what they were fitted.
        chances, labels, groups: of test.
    """

    run: RunRecord
    temperature: float
    thresholds: Float64
    validation: Said
    chances: Float64
    labels: Int64
    groups: list[str] | None

    def threshold(self, label: int) -> Interval:
        """That of a class, with its interval over the validation samples or groups."""
        of = self.validation
        return threshold_interval(of.chances[:, label], of.labels == label, of.groups)

    def called(self, label: int) -> tuple[Flags, Flags]:
        """Whether each test sample is called a class, and whether it is of it."""
        return self.chances[:, label] >= self.thresholds[label], self.labels == label


def operated(cell: CellRecord, network: str) -> Operated | None:
    """Of the first finished seed; None for masks, too few validation images, or predictions that are gone."""
    found = _answers(cell, network)
    if found is None or _images(found[2]) < FEWEST:
        return None
    run, name, fitting, test = found
    assert fitting.labels is not None
    assert test.labels is not None
    before, after = (np.log(np.maximum(one.networks[name], 1e-12)) for one in (fitting, test))
    temperature = fitted_temperature(before, fitting.labels)
    chances = softmax(before / temperature, axis=1)
    thresholds = [chosen_threshold(chances[:, c], fitting.labels == c) for c in range(chances.shape[1])]
    groups = [groups_of([run], [str(one) for one in part.ids]) for part in (fitting, test)]
    return Operated(
        run,
        temperature,
        np.array(thresholds),
        Said(chances, fitting.labels, groups[0]),
        softmax(after / temperature, axis=1),
        test.labels,
        groups[1],
    )


def rates(study: StudyRecord) -> Grid | None:
    """Sensitivity and specificity of classes on test, at thresholds of validation; None where nothing classifies."""
    rows, few = [], {}
    for cell in study.cells:
        network = "T" if cell.kind == "teacher" else study.network
        answers = _answers(cell, network)
        if answers is not None and (count := _images(answers[2])) < FEWEST:
            few[cell.title] = count
        if found := operated(cell, network):
            rows += _rates(cell.title, found)
    caption = (
        f"Of the first seed of each method, on test, in percent with 95 % intervals over {study.units}. "
        "A class is called where its probability, at the temperature of validation, is at the threshold of the largest "
        "Youden index of validation or above; the threshold's interval is over the validation part."
    )
    if few and rows:
        caption += f" None for {', '.join(few)}: validation has fewer than {FEWEST} images."
    elif few:
        said = f"none: validation has {max(few.values())} images, none are fitted on fewer than {FEWEST}"
        rows = [(label("every method"), label(said), *[Datum("–")] * 3)]
    if not rows:
        return None
    heads = ("method", "class", "threshold", "sensitivity", "specificity")
    return Grid("operating", "Operating points", (heads,), tuple(rows), 2, caption)


def _rates(title: str, found: Operated) -> list[tuple[Datum, ...]]:
    """A row for each class that both parts have."""
    rows: list[tuple[Datum, ...]] = []
    for place, fitted in enumerate(found.thresholds):
        called, positive = found.called(place)
        if np.isnan(fitted) or positive.all() or not positive.any():
            continue
        threshold = found.threshold(place)
        ends = f"{threshold.low:.3f}–{threshold.high:.3f}"
        pair = called_rates(called, positive, found.groups)
        hits, spared = int((called & positive).sum()), int((~called & ~positive).sum())
        name = found.run.classes[place] if len(found.run.classes) > place else str(place)
        rows.append(
            (
                label(title),
                label(name),
                Datum(f"{threshold.value:.3f}", threshold.value, beside=(ends,)),
                _rate(pair[0], hits, int(positive.sum())),
                _rate(pair[1], spared, int((~positive).sum())),
            )
        )
    return rows


def _answers(cell: CellRecord, network: str) -> tuple[RunRecord, str, Predictions, Predictions] | None:
    """The first finished seed, the name of the network in it, and what it said of validation and of test."""
    run = next(iter(cell.runs.values()), None)
    if run is None or run.finished is None or run.folds:
        return None
    fitting, test = read_predictions(run.finished, "validation"), run.predictions
    name = run.chosen if network == CHOSEN else network
    if fitting is None or test is None or fitting.labels is None or test.labels is None:
        return None
    if name is None or name not in fitting.networks or name not in test.networks:
        return None
    return run, name, fitting, test


def _images(said: Predictions) -> int:
    """How many images were answered: tiles bear the name of theirs."""
    return len({str(name).split("@")[0] for name in said.ids})


def good_enough(study: StudyRecord, margin: float = MARGIN) -> Grid | None:
    """Whether each student may take its teacher's place, in words; None where nobody has a teacher."""
    measure = study.measures.get(study.metric)
    if measure is None or measure.addends is None or not measure.higher_is_better:
        return None
    rows = []
    for cell in study.cells:
        if cell.kind != "run":
            continue
        gap = gap_between(study, cell, study.network, "T")
        if gap is None:
            continue
        groups = groups_of(list(cell.runs.values()), _ids(cell))
        drawn = "samples" if groups is None else study.units
        words = words_on("the student", "its teacher", study.label(study.metric), gap, margin, drawn)
        ends = f"{100 * gap.low:+.2f} to {100 * gap.high:+.2f}"
        gap_in_points = Datum(f"{100 * gap.value:+.2f}", gap.value, beside=(ends,))
        rows.append((label(cell.title), gap_in_points, label(words[0].upper() + words[1:])))
    if not rows:
        return None
    caption = (
        "Student minus teacher on test, in points, mean over seeds, with paired 95 % bootstrap intervals. Not worse by "
        f"more than {100 * margin:g} points: where the lower end says so."
    )
    return Grid(
        "good-enough", "Student in its teacher's place", (("method", "gap", "in words"),), tuple(rows), 1, caption
    )


def gap_between(study: StudyRecord, cell: CellRecord, first: str, second: str) -> Interval | None:
    """Score of the first network minus that of the second on test, mean over seeds, with its paired interval.

    None where it cannot be drawn: a network is missing, or the study's measure does not add up over samples.
    """
    measure = study.measures.get(study.metric)
    if measure is None or measure.addends is None or not cell.runs:
        return None
    sides = [stacked(cell.runs, network, {study.metric: measure}) for network in (first, second)]
    if any(side is None for side in sides):
        return None
    (ids, own), (_, others) = (side for side in sides if side is not None)
    resampler = Resampler(len(ids), groups=groups_of(list(cell.runs.values()), ids))
    sums = [[resampler.sums(blocks[measure.addends]) for blocks in pair] for pair in zip(own, others, strict=True)]
    gap = np.mean([measure.finished(one) - measure.finished(other) for (one, _), (other, _) in sums])
    again = np.mean([measure.resampled(one) - measure.resampled(other) for (_, one), (_, other) in sums], axis=0)
    return percentile_interval(float(gap), again[~np.isnan(again)], resampler.units)


def _ids(cell: CellRecord) -> list[str]:
    return [str(name) for run in cell.runs.values() if run.predictions for name in run.predictions.ids]


def _rate(found: Interval, count: int, of: int) -> Datum:
    ends = f"{100 * found.low:.1f}–{100 * found.high:.1f}" if found.units > 1 else "all of one group: no interval"
    return Datum(f"{100 * found.value:.1f}", found.value, beside=(f"{count} of {of}", ends))
