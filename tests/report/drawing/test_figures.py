"""The figures: there where something was measured, the same each time, and without an address."""

import re

import pytest

from preceptor.report.drawing import figures
from preceptor.report.reading.find import find_studies
from preceptor.report.statistics import Statistics

from ..folders import ALONE, TEACHER, make_run, technique


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "teacher", TEACHER, skill=0.9)
    make_run(folder / "alone", ALONE)
    make_run(folder / "offline", technique("kd_offline"), seed=1)
    make_run(folder / "begun", technique("ml"), done=False, epochs=1)
    return find_studies([folder])[0]


def drawn(study):
    statistics = Statistics(study)
    cells = {cell.title: cell for cell in study.cells}
    cell = cells["kd_offline · predictions"]
    return {
        "overview": figures.overview(study, statistics),
        "curves": figures.curves(cell, study.task),
        "terms": figures.terms(cell),
        "reliabilities": figures.reliabilities(cell, ["T", "S1"]),
        "confusion": figures.confusion(cell, "S1"),
        "cost": figures.cost(study, statistics, "parameters", "parameters (M)", 1e6),
        "begun": figures.curves(cells["ml · predictions"], study.task),
    }


def test_every_figure_is_drawn_the_same_each_time(study):
    first = drawn(study)
    assert all(first.values())
    assert first == drawn(study)


def test_figures_hold_no_address_but_the_names_of_their_languages(study):
    names = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    for name, svg in drawn(study).items():
        assert svg.startswith("<svg "), name
        assert set(re.findall(r"""https?://[^"'\s<]+""", svg)) <= names, name


def test_figures_hold_no_date_and_scale_with_the_page(study):
    for name, svg in drawn(study).items():
        assert "metadata" not in svg, name
        assert re.search(r'viewBox="0 0 [\d.]+ [\d.]+"', svg), name


def test_figures_say_what_they_show(study):
    found = drawn(study)
    assert "T→S1/kd" in found["terms"]
    assert "student alone" in found["overview"]
    assert "malignant" in found["confusion"]
    assert re.search(r"S1, ECE \d", found["reliabilities"])


def test_what_was_not_measured_is_not_drawn(study, tmp_path):
    begun = next(cell for cell in study.cells if cell.title == "ml · predictions")
    assert figures.confusion(begun, "S1") is None
    assert figures.reliabilities(begun, ["S1"]) is None
    assert figures.cost(study, Statistics(study), "latency", "latency (ms)", 1.0) is None
    make_run(tmp_path / "a", ALONE, task="segmentation")
    masks = find_studies([tmp_path])[0]
    assert figures.confusion(masks.cells[0], "S1") is None
    assert figures.curves(masks.cells[0], masks.task)


def test_stages_go_on_one_after_another(study, tmp_path):
    run = make_run(tmp_path / "a", ALONE, epochs=2)
    rows = "".join(f"second,{epoch},S1,validation,accuracy,0.5\n" for epoch in (1, 2, 3))
    with (run / "metrics.csv").open("a") as file:
        file.write(rows)
    table = find_studies([tmp_path])[0].jobs[0].run.metrics
    starts = figures._stage_starts(table)
    assert starts == {"main": 0, "second": 2}
    assert list(figures._epochs(table[table["stage"] == "second"], starts)) == [3, 4, 5]
