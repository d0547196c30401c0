"""Measures of the user's own in the report of runs that were scored by them."""

import json

import pytest

from preceptor.errors import UserError
from preceptor.report.own_measures import with_own_measures
from preceptor.report.reading.find import find_studies
from preceptor.report.reading.runs import read_run
from preceptor.report.statistics import Statistics
from preceptor.report.verdict import study_verdict

from .folders import ALONE, make_study, technique

ERROR = """
from preceptor.measures import Measure, Paired, counted, ratio


def wrong(answers):
    return (answers.predictions != answers.labels) * 1.0


ERROR = Measure(
    name="error",
    label="Error rate",
    task="classification",
    addends=lambda answers: counted(wrong(answers)),
    finish=ratio,
    higher_is_better=False,
    paired=Paired(test="mcnemar", label="error rate", values=wrong),
)
"""
FACTS = {"name": "error", "label": "Error rate", "task": "classification", "higher_is_better": False}


@pytest.fixture
def folder(tmp_path):
    """A study in which distillation is far better, and whose table shows the share of errors."""
    layout = {"rows": ["technique"], "columns": [], "networks": ["S1"], "metrics": ["error", "accuracy"]}
    jobs = [
        (kind, cell, seed, "done", None, {"chosen": chosen, "skill": skill, "samples": 120})
        for seed in range(2)
        for kind, cell, chosen, skill in (
            ("baseline", {}, ALONE, 0.5),
            ("run", {"technique": "kd_offline"}, technique("kd_offline"), 0.9),
        )
    ]
    out = make_study(tmp_path / "study", jobs, layout=layout)
    for run in (out / "runs").iterdir():
        (run / "own").mkdir()
        (run / "own" / "error.py").write_text(ERROR)
        result = json.loads((run / "result.json").read_text())
        result |= {"measures": {"error": {"file": "own/error.py", "entry": "ERROR", **FACTS}}, "chosen": "S1"}
        for scores in result["test"].values():
            scores["error"] = 1 - scores["accuracy"]
        (run / "result.json").write_text(json.dumps(result))
    return out


def statistics_of(folder, *, trust, note=lambda line: None):
    (study,) = find_studies([folder])
    return Statistics(with_own_measures(study, note, trust=trust))


def test_less_is_better_in_intervals_tests_and_words(folder):
    said = []
    statistics = statistics_of(folder, trust=True, note=said.append)
    assert "Python code of your own is run: error from " in said[0]
    distilled = statistics.study.cells[-1]
    interval, rate = (statistics.interval(distilled, "S1", name) for name in ("error", "accuracy"))
    assert (interval.low, interval.value, interval.high) == pytest.approx((1 - rate.high, 1 - rate.value, 1 - rate.low))
    assert statistics.study.metric == "error"
    assert statistics.best("S1", "error") is distilled is statistics.best("S1", "accuracy")
    found = statistics.against_baseline(distilled, "S1", "error")
    assert (found.word, found.comparison.difference < 0) == ("better", True)
    assert "is better than student alone: error rate of S1 -" in found.words
    words = study_verdict(statistics.study, statistics)
    assert "better than the student alone in Error rate of S1" in words.headline
    assert words.sentences[0].startswith("Lowest test Error rate of S1: kd_offline, 10.00")


def test_without_trust_there_are_name_and_score_alone(folder):
    said = []
    statistics = statistics_of(folder, trust=False, note=said.append)
    assert "error has no intervals and tests" in said[0]
    distilled = statistics.study.cells[-1]
    assert statistics.spread(distilled, "S1", "error") is not None
    assert statistics.interval(distilled, "S1", "error") is None
    assert statistics.study.label("error") == "Error rate"
    assert statistics.study.metric == "accuracy"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ([], "'measures' is missing or of another kind"),
        ({"error": 3}, "'measures.error' is missing or of another kind"),
        ({"error": {**FACTS, "label": 3}}, "measure 'error': label wants a text, got 3"),
        ({"error": {**FACTS, "colour": "red"}}, "a measure has no 'colour'"),
    ],
)
def test_a_result_that_says_something_else_is_refused(folder, said, message):
    run = next((folder / "runs").iterdir())
    result = json.loads((run / "result.json").read_text())
    (run / "result.json").write_text(json.dumps({**result, "measures": said}))
    with pytest.raises(UserError, match=message):
        read_run(run, "run")


@pytest.mark.parametrize("file", ["/etc/passwd", "../x.py", None, "own/gone.py"])
def test_a_received_run_names_no_file_outside_itself(folder, file):
    run = next((folder / "runs").iterdir())
    result = json.loads((run / "result.json").read_text())
    result["measures"]["error"]["file"] = file
    (run / "result.json").write_text(json.dumps(result))
    with pytest.raises(UserError, match=r"result.json"):
        statistics_of(folder, trust=True)
