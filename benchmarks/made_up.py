"""Made-up tables of scores: methods x seeds x groups of test samples, as arrays and as a study that a report reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preceptor.measures.measure import Measure, Paired
from preceptor.report.reading.runs import RunRecord
from preceptor.report.reading.studies import JobRecord, StudyRecord, TableLayout
from preceptor.runs.predictions import Predictions
from preceptor.runs.result import RunResult

SPREAD = 1.0
"""Of a method over seeds, in points, where seeds vary."""

SOURCES = {"seeds": (SPREAD, 0.0, 1.0), "patients": (0.1 * SPREAD, 3.0, 3.0), "both": (SPREAD, 3.0, 3.0)}
"""What varies, in points: a method's seeds, a method on a group of patients, and what is left of a seed on a group."""

NOISY, FACTOR = 3, 4.0
"""With unequal spread so many methods vary so much more over seeds."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class World:
    """What a table is drawn from."""

    source: str
    is_equal: bool
    methods: int
    seeds: int
    groups: int
    effect: float = 0.0

    def tables(self, count: int, generator: np.random.Generator) -> Array:
        """(count, methods, seeds, groups) scores in points; the first method is the students alone."""
        seed, group, rest = SOURCES[self.source]
        spread = np.full(self.methods, seed)
        if not self.is_equal:
            spread[-NOISY:] *= FACTOR
        scores = rest * generator.standard_normal((count, self.methods, self.seeds, self.groups))
        scores += group * generator.standard_normal((count, self.methods, 1, self.groups))
        scores += spread[:, None, None] * generator.standard_normal((count, self.methods, self.seeds, 1))
        scores[:, 1] += self.effect
        return scores


SCORE: Measure[Any] = Measure(
    name="score",
    label="score",
    task="classification",
    addends=lambda answers: np.stack([answers.probabilities[:, 0], np.ones(len(answers.labels))], axis=1),
    finish=lambda sums: sums[:, 0] / sums[:, 1],
    paired=Paired(test="permutation", label="score", values=lambda answers: answers.probabilities[:, 0]),
)
"""The mean over test samples; here each group is one sample, whose score stands in the place of a probability."""


def as_study(scores: Array) -> StudyRecord:
    """The study whose runs have these scores (methods, seeds, groups); method n is called ``n``."""
    jobs = []
    for method, of_method in enumerate(scores):
        kind = "run" if method else "baseline"
        for seed, of_seed in enumerate(of_method):
            run, labels = _run(of_seed / 100, seed), {"method": str(method)} if method else {}
            jobs.append(JobRecord(run.name, kind, labels, seed, "done", None, run))
    layout = TableLayout(rows=("method",), columns=(), networks=("S1",), metrics=(SCORE.name,))
    return StudyRecord(Path(), "made_up", "Made up", "classification", None, None, layout, None, tuple(jobs))


def _run(scores: Array, seed: int) -> RunRecord:
    """A finished run with a score of each group."""
    ids = np.array([f"group {number}" for number in range(len(scores))])
    result = RunResult(
        status="complete",
        task="classification",
        technique="baseline",
        seed=seed,
        chosen="S1",
        test={"S1": {SCORE.name: float(scores.mean())}},
        validation={"S1": {"accuracy": 0.5}},
        fidelity={},
        parameters={"S1": 1},
    )
    recipe = {"task": "classification", "seed": seed, "networks": {"student": {}, "count": 1}}
    run = RunRecord(Path(), f"seed{seed}", recipe, None, pooled=result, own=(SCORE,))
    # What it would read from its folder, were there one.
    vars(run)["predictions"] = Predictions(ids, np.zeros(len(ids), dtype=int), {"S1": scores[:, None]})
    vars(run)["group_of"] = {str(name): str(name) for name in ids}
    return run
