"""What the networks of runs say of single test samples, seed by seed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from preceptor.measures.arrays import Float64
from preceptor.measures.measure import Answers, ClassAnswers, MaskAnswers, Measures
from preceptor.report.reading.runs import RunRecord
from preceptor.runs.predictions import Predictions

Blocks = Mapping[Callable[[Any], Float64], Float64]
"""The addends of measures -> (N, M) of each sample, or (B, M) sums of them."""


def answers_of(found: Predictions, network: str) -> Answers:
    """What a network says, as measures take it; of masks it is not kept how they agree with the teacher's."""
    said = found.networks[network]
    if found.labels is None:
        return MaskAnswers(said, surfaces=found.surfaces.get(network))
    teacher = found.networks.get("T") if network != "T" else None
    return ClassAnswers(said, found.labels, teacher)


def groups_of(runs: Sequence[RunRecord], ids: Sequence[str]) -> list[str] | None:
    """The group of every sample, by the runs' ``split.csv``; None where a group is not known."""
    known: dict[str, str] = {}
    for run in runs:
        if run.group_of is None:
            return None
        known |= run.group_of
    return [known[name] for name in ids] if all(name in known for name in ids) else None


def stacked(runs: Mapping[int, RunRecord], network: str, measures: Measures) -> tuple[list[str], list[Blocks]] | None:
    """Addends of every sample, seed by seed.

    Where each seed has a split of its own, a sample that a seed does not test adds nothing to it.

    Returns:
        sample ids, the blocks of each seed; None where a run says nothing of the network.
    """
    answers = [answer for run in runs.values() if (answer := run.predictions) and network in answer.networks]
    if len(answers) < len(runs):
        return None
    ids = list(dict.fromkeys(str(name) for answer in answers for name in answer.ids))
    place = {name: row for row, name in enumerate(ids)}
    seeds: list[Blocks] = []
    for answer in answers:
        rows = [place[str(name)] for name in answer.ids]
        said = answers_of(answer, network)
        blocks: dict[Callable[[Any], Float64], Float64] = {}
        for measure in measures.values():
            if measure.addends is not None and measure.addends not in blocks and measure.is_known_of(said):
                values = measure.rows(said)
                blocks[measure.addends] = np.zeros((len(ids), values.shape[1]))
                blocks[measure.addends][rows] = values
        seeds.append(blocks)
    return ids, seeds
