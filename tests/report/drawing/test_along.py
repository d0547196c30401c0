"""Scores along an axis of numbers: drawn where there is one, a line for each method."""

import pytest

from preceptor.report.drawing.along import along
from preceptor.report.reading.find import find_studies
from preceptor.report.statistics import Statistics

from ..folders import ALONE, make_study


def drawn(folder, axis, options):
    jobs = [
        ("baseline", {axis: option, "start": start}, seed, "done", None, {"chosen": ALONE, "skill": skill})
        for option in options
        for start, skill in (("random", 0.5), ("known", 0.8))
        for seed in (0, 1)
    ]
    layout = {"rows": [axis], "columns": ["start"], "networks": ["S1"], "metrics": ["accuracy"]}
    study = find_studies([make_study(folder, jobs, layout=layout)])[0]
    return along(study, Statistics(study))


def test_a_line_for_each_method_along_shares_of_labels(tmp_path):
    svg = drawn(tmp_path, "labels", ["1 %", "100 %"])
    for text in ("labels", "1 %", "100 %", "start random", "start known"):
        assert text in svg


@pytest.mark.parametrize("options", [["few", "many"], ["0", "1"], ["0.5"]])
def test_options_that_are_no_numbers_on_a_scale_are_no_figure(tmp_path, options):
    assert drawn(tmp_path, "labels", options) is None
