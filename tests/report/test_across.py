"""Several studies in one report."""

import csv
import json

import pytest

from preceptor.report.across import across, sentences
from preceptor.report.reading.find import find_studies
from preceptor.verify.check import verified

from ..command import preceptor
from .folders import ALONE, make_study, technique


def make_set(folder, name, skills, *, seeds=2):
    """A study on a data set of its own: students alone and methods by their skill."""
    recipe = {"data": {"source": "folder", "path": f"/data/{name}", "image_size": 32}}
    jobs = [
        (
            "baseline" if method == "alone" else "run",
            {} if method == "alone" else {"technique": method},
            seed,
            "done",
            None,
            {"chosen": ALONE if method == "alone" else technique(method), "skill": skill, "recipe": recipe},
        )
        for method, skill in skills.items()
        for seed in range(seeds)
    ]
    study = make_study(folder / name, jobs)
    index = json.loads((study / "index.json").read_text())
    (study / "index.json").write_text(json.dumps({**index, "title": f"On {name}"}))
    return study


@pytest.fixture
def three(tmp_path):
    return [
        make_set(tmp_path, name, {"alone": 0.5 + lead, "ml": 0.7 + lead, "kd_offline": 0.9})
        for name, lead in (("one", 0.0), ("two", 0.05), ("three", 0.1))
    ]


def test_methods_are_ranked_over_data_sets(tmp_path, three):
    answer = preceptor("report", *three, "--out", tmp_path / "both")
    assert answer.code == 0, answer.error
    with (tmp_path / "both" / "tables" / "across-ranks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["kd_offline", "ml", "student alone"]
    assert [float(row["average rank"]) for row in rows] == [1, 2, 3]
    assert float(rows[0]["interquartile mean"]) > float(rows[1]["interquartile mean"])
    assert {row["differs from"] for row in rows} == {""}
    page = (tmp_path / "both" / "report.html").read_text()
    assert "Over all data sets" in page
    assert "No verdict is possible with 3 data sets: of 3 methods none could be told from another" in page
    assert "before there are 7" in page
    (checked, *_) = verified(three, tmp_path / "both")
    assert (checked.slug, checked.name, checked.count("agrees"), checked.count("differs")) == ("across", "ranks", 24, 0)


def test_what_not_every_study_has_is_left_out_and_said(tmp_path):
    one = make_set(tmp_path, "one", {"alone": 0.5, "ml": 0.7, "kd_offline": 0.9}, seeds=1)
    two = make_set(tmp_path, "two", {"alone": 0.5, "ml": 0.7}, seeds=1)
    found = across(find_studies([one, two]))
    assert found.methods == ("student alone", "ml")
    assert sentences(found)[-1] == "Left out, since not every study has finished them: kd_offline."


def test_studies_of_the_same_images_are_no_two_data_sets(tmp_path):
    one = make_set(tmp_path / "a", "same", {"alone": 0.5, "ml": 0.7}, seeds=1)
    two = make_set(tmp_path / "b", "same", {"alone": 0.5, "ml": 0.7}, seeds=1)
    assert any("stand on the same images" in words for words in sentences(across(find_studies([one, two]))))


def test_one_study_is_not_compared_with_itself(tmp_path):
    assert across(find_studies([make_set(tmp_path, "one", {"alone": 0.5, "ml": 0.7}, seeds=1)])) is None
