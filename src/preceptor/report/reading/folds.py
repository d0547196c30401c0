"""The folds of one seed as one run: every sample is tested once, by the networks that have not seen it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from preceptor.measures.measure import Measures, scores_of
from preceptor.measures.table import with_own
from preceptor.report.reading.runs import CHOSEN, RunRecord
from preceptor.report.reading.samples import answers_of
from preceptor.runs.predictions import Predictions
from preceptor.runs.result import RunResult, ScoresByNetwork


def pooled_folds(folds: Sequence[RunRecord]) -> RunRecord:
    """One run whose test samples are those of all ``folds``, finished runs in their order; a single one as it is.

    Test scores are those of all test samples together. Fidelity and validation scores are means over the folds,
    weighted by their test samples for fidelity, since neither can be had from what the runs keep. All else, such as
    costs, is that of the first fold.
    """
    if len(folds) == 1:
        return folds[0]
    results = [_with_chosen(fold) for fold in folds]
    run = replace(folds[0], folds=tuple(folds))
    answers = run.predictions
    sizes = [len(fold.predictions.ids) if fold.predictions else 1 for fold in folds]
    pooled = results[0].model_copy(
        update={
            "test": _scores(answers, with_own(run.task, run.own, folds[0].scored_classes)) if answers else {},
            "validation": _means([result.validation for result in results], [1] * len(folds)),
            "fidelity": _means([result.fidelity for result in results], sizes),
            "seconds": sum(result.seconds for result in results),
            "notes": tuple(dict.fromkeys(note for result in results for note in result.notes)),
        }
    )
    return replace(run, pooled=pooled)


def _with_chosen(fold: RunRecord) -> RunResult:
    """The result of a fold, with the scores of the network that it chose under that name too."""
    assert fold.result is not None, "folds are pooled when all are finished"
    own = {"validation": fold.validation, "fidelity": fold.fidelity}
    more = {key: {**scores, CHOSEN: scores[fold.chosen]} for key, scores in own.items() if fold.chosen in scores}
    return fold.result.model_copy(update=more)


def _scores(answers: Predictions, measures: Measures) -> ScoresByNetwork:
    return {name: scores_of(measures, answers_of(answers, name)) for name in answers.networks}


def _means(scores: Sequence[ScoresByNetwork], weights: Sequence[float]) -> ScoresByNetwork:
    """Of each network and metric that all have."""
    return {
        name: {
            metric: float(np.average([own[name][metric] for own in scores], weights=weights))
            for metric in metrics
            if all(metric in own[name] for own in scores)
        }
        for name, metrics in scores[0].items()
        if all(name in own for own in scores)
    }
