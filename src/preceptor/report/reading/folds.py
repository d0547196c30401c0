"""The folds of one seed as one run: every sample is tested once, by the networks that have not seen it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from preceptor.measures import classification_scores, segmentation_scores
from preceptor.report.reading.runs import CHOSEN, Predictions, Run

Scores = dict[str, dict[str, float]]


def pooled(folds: Sequence[Run]) -> Run:
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
    result = {
        **results[0],
        "test": _scores(answers) if answers else {},
        "validation": _means([result.get("validation", {}) for result in results], [1] * len(folds)),
        "fidelity": _means([result.get("fidelity", {}) for result in results], sizes),
        "seconds": sum(result.get("seconds", 0.0) for result in results),
        "notes": list(dict.fromkeys(note for result in results for note in result.get("notes", ()))),
    }
    return replace(run, result=result)


def _with_chosen(fold: Run) -> dict[str, Any]:
    """The result of a fold, with the scores of the network that it chose under that name too."""
    result = dict(fold.result or {})
    for part in ("validation", "fidelity"):
        scores = result.get(part, {})
        if fold.chosen in scores:
            result[part] = {**scores, CHOSEN: scores[fold.chosen]}
    return result


def _scores(answers: Predictions) -> Scores:
    labels = answers.labels
    if labels is None:
        return {name: segmentation_scores(counts) for name, counts in answers.networks.items()}
    return {name: classification_scores(chances, labels) for name, chances in answers.networks.items()}


def _means(scores: Sequence[Mapping[str, Mapping[str, Any]]], weights: Sequence[float]) -> Scores:
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
