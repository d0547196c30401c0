"""The probe in a report: every network beside its cost, and an answer that its numbers allow."""

import pytest

from preceptor.measures.uncertainty import Interval
from preceptor.report import write_report
from preceptor.report.probes import _verdict, probes
from preceptor.report.reading.find import find_studies
from preceptor.report.statistics import Statistics
from preceptor.runs.analysis import write_latency

from .folders import make_run

NETWORKS = ["T", "T_neighbours", "S1_random", "S1_random_neighbours", "S1_neighbours", "S1"]


@pytest.fixture
def run(tmp_path):
    folder = make_run(tmp_path / "run", {"name": "probe"}, networks=NETWORKS, samples=300, per_group=3)
    write_latency(folder, {"S1": {"median_ms": 2.5}})
    return folder


def test_a_row_for_each_network_and_the_answer_in_words(run, tmp_path):
    (study,) = find_studies([run], lambda line: None)
    grid = probes(study, Statistics(study))
    rows = {row[1].text: row for row in grid.rows}
    assert {"T", "S1", "S1_random"} <= set(rows)
    assert "–" in " ".join([rows["S1"][3].text, *rows["S1"][3].beside])
    assert rows["S1"][-1].text == "2.5"
    assert rows["T"][6].text == "22.0"
    assert "S1 minus S1_random" in grid.caption
    assert "of its multiply-adds" in grid.caption
    assert "Is the student worth it?" in write_report([run], tmp_path / "out").read_text()


def _gap(low, high):
    return Interval(value=(low + high) / 2, low=low, high=high, units=100)


@pytest.mark.parametrize(
    ("reference", "teacher", "says"),
    [
        (_gap(0.05, 0.10), _gap(-0.01, 0.01), "yes, it knows more than S1_random and is not worse than its teacher"),
        (
            _gap(0.05, 0.10),
            _gap(-0.20, -0.10),
            "only where its cost counts: it knows more than",
        ),
        (_gap(0.05, 0.10), _gap(-0.05, 0.01), "is not known"),
        (_gap(0.05, 0.10), None, "yes, it knows more than S1_random"),
        (_gap(-0.02, 0.10), _gap(-0.01, 0.01), "not shown: S1 cannot be told from S1_random"),
        (_gap(-0.20, -0.10), _gap(-0.01, 0.01), "no, S1_random knows more than S1"),
    ],
)
def test_the_answer_follows_from_the_intervals(reference, teacher, says):
    assert says in _verdict("S1", {"S1_random": reference}, teacher, 0.02)
