"""Several studies in one: how the methods that all of them have compare over their data sets."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from preceptor.measures.across import RankTest, interquartile_mean, normalised, rank_test
from preceptor.measures.significance import p_text
from preceptor.measures.uncertainty import Interval
from preceptor.report.drawing.grid import Datum, Grid, label, text_of
from preceptor.report.names import network_name
from preceptor.report.reading.studies import CellRecord, StudyRecord


@dataclass(frozen=True, slots=True)
class Across:
    """Methods over data sets.

    Args:
        methods: their names.
        studies: one a data set.
        scores: of each study and method, a score for each seed; the more the better.
        shown: the same as they are read, the mean of each.
    """

    methods: tuple[str, ...]
    studies: tuple[StudyRecord, ...]
    scores: tuple[tuple[tuple[float, ...], ...], ...]

    @property
    def means(self) -> list[list[float]]:
        """(D, M) over seeds."""
        return [[float(np.mean(seeds)) for seeds in of_set] for of_set in self.scores]

    @property
    def order(self) -> list[int]:
        """The methods by average rank, the best first."""
        return [int(place) for place in np.argsort(self.ranks.average_ranks, kind="stable")]

    @property
    def ranks(self) -> RankTest:
        """Whether they differ."""
        return rank_test(np.array(self.means))

    @property
    def typical(self) -> list[Interval]:
        """The interquartile mean of each method's normalised scores."""
        of_sets = normalised(self.scores)
        return [interquartile_mean([one[place] for one in of_sets]) for place in range(len(self.methods))]


def across(studies: Sequence[StudyRecord]) -> Across | None:
    """The methods that all studies have finished, teachers apart; None for fewer than two studies or methods."""
    found = [_scores(study) for study in studies]
    if len(found) < 2:
        return None
    methods = tuple(title for title in found[0] if all(title in one for one in found))
    if len(methods) < 2:
        return None
    return Across(methods, tuple(studies), tuple(tuple(one[title] for title in methods) for one in found))


def _scores(study: StudyRecord) -> dict[str, tuple[float, ...]]:
    """Method -> score of each seed, in the study's main metric; empty seeds apart."""
    sign = 1.0 if study.higher_is_better(study.metric) else -1.0
    each = {cell.title: _of_cell(study, cell) for cell in study.cells if cell.kind != "teacher"}
    return {title: tuple(sign * score for score in scores) for title, scores in each.items() if scores}


def _of_cell(study: StudyRecord, cell: CellRecord) -> list[float]:
    found = (run.score(study.network, study.metric) for run in cell.runs.values())
    return [score for score in found if score is not None]


def rank_table(found: Across) -> Grid:
    """A row for each method, best first: its mean on each data set, average rank, and what a typical run comes to."""
    test, typical, means = found.ranks, found.typical, np.array(found.means)
    rows = []
    for place in found.order:
        rank, middle = float(test.average_ranks[place]), typical[place]
        ends = f"{middle.low:z.2f} to {middle.high:z.2f}"
        rows.append(
            (
                label(found.methods[place]),
                Datum(f"{rank:.2f}", rank, numbers={"": rank}),
                Datum(
                    f"{middle.value:z.2f}",
                    middle.value,
                    beside=(ends,),
                    numbers={"": middle.value, "low": middle.low, "high": middle.high},
                ),
                *(_mean(study, mean) for study, mean in zip(found.studies, means[:, place].tolist(), strict=True)),
                label(", ".join(found.methods[other] for other in found.order if _differ(test, place, other))),
            )
        )
    heads = ("method", "average rank", "interquartile mean", *map(_head, found.studies), "differs from")
    return Grid("ranks", "Over all data sets", (heads,), tuple(rows), 1, _caption(found))


def _mean(study: StudyRecord, value: float) -> Datum:
    text = text_of(abs(value), is_share=study.is_share(study.metric))
    return Datum(text, abs(value), numbers={"": study.as_printed(study.metric)[0] * abs(value)})


def _differ(test: RankTest, one: int, other: int) -> bool:
    return one != other and test.differ(one, other)


def _head(study: StudyRecord) -> str:
    return f"{study.title} · {study.label(study.metric)} of {network_name(study.network)}"


def _caption(found: Across) -> str:
    percent = " in percent" if all(study.is_share(study.metric) for study in found.studies) else ""
    return (
        f"Mean over seeds{percent}, of the methods that all studies have. Rank 1 is the best of a data set. "
        "Friedman's test, then Wilcoxon's signed-rank test of each pair over data sets, corrected by Holm's method "
        "(Demšar 2006; Benavoli, Corani & Mangili 2016). Interquartile mean: of the middle half of all runs, scores "
        "normalised so that on each data set the worst method's mean is 0 and the best's 1, with a 95 % bootstrap "
        "interval that draws seeds within each data set (Agarwal et al. 2021)."
    )


def sentences(found: Across) -> list[str]:
    """What may be said, and why not more."""
    test, sets = found.ranks, len(found.studies)
    words = []
    if not test.is_possible:
        words.append(
            f"No verdict is possible with {sets} data sets: of {len(found.methods)} methods none could be told from "
            f"another, however large the differences, before there are {test.needed}."
        )
    elif test.friedman > 0.05:
        words.append(f"Over {sets} data sets the methods are not told apart (Friedman, {p_text(test.friedman)}).")
    else:
        pairs = sum(test.differ(*pair) for pair in test.corrected)
        words.append(
            f"Over {sets} data sets the methods are not all alike (Friedman, {p_text(test.friedman)}); "
            f"{pairs} of {len(test.corrected)} pairs are told apart."
        )
    if shared := _sharing(found.studies):
        words.append(f"{shared} stand on the same images and are no data sets of their own: too much is claimed.")
    if left := _left_out(found):
        words.append(f"Left out, since not every study has finished them: {left}.")
    return words


def _sharing(studies: Sequence[StudyRecord]) -> str:
    """The studies whose data another one has, too."""
    whose: dict[str, list[str]] = {}
    for study in studies:
        data = next((run.recipe.get("data") or {} for run in study.finished), {})
        place = json.dumps([data.get(key) for key in ("source", "path", "options")], sort_keys=True, default=str)
        whose.setdefault(place, []).append(study.title)
    return ", ".join(title for titles in whose.values() if len(titles) > 1 for title in titles)


def _left_out(found: Across) -> str:
    every = dict.fromkeys(cell.title for study in found.studies for cell in study.cells if cell.kind != "teacher")
    return ", ".join(title for title in every if title not in found.methods)
