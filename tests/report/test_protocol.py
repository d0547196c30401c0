"""What the paper states beside what runs did."""

import json

import pytest

from preceptor.report.methods_text import methods_paragraph
from preceptor.report.protocol import compression, contradiction, protocol
from preceptor.report.reading.find import find_studies
from preceptor.report.statistics import Statistics

from .folders import ALONE, TEACHER, make_run, make_study, technique


@pytest.fixture
def study(tmp_path):
    """Table 3 by its name, with two runs that train with a batch of their own."""
    jobs = [("teacher", {}, 0, "done", None, {"chosen": TEACHER})]
    jobs += [("run", {"technique": "ml"}, 0, "done", None, {"chosen": technique("ml", "diverse")})]
    folder = make_study(tmp_path / "study", jobs, published={"file": "published.csv", "table": "3"})
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | {"name": "learning_styles_t03"}))
    (folder / "published.csv").write_text("table,metric,mean\n3,accuracy,95\n")
    (found,) = find_studies([folder])
    return found


def test_what_is_stated_is_compared_with_the_recipes_of_the_runs(study):
    rows = {row[0].text: [datum.text for datum in row[1:]] for row in protocol(study).rows}
    batch = study.jobs[1].run.recipe["training"]["batch_size"]
    assert rows["batch"] == ["8", f"training.batch_size={batch}", "DEPARTS" if batch != 8 else "as stated"]
    assert rows["epochs"][2] == "left open"
    assert rows["KL, factor T²"][2] == "our reading"


def test_the_reading_of_diverse_sharing_and_the_printed_costs_are_said(study):
    (said,) = contradiction(study)
    assert "is read by the paper's equations" in said
    assert "The paper prints 26 million for the teacher and 11 for a student, and that two save 15 %" in compression(
        study
    )


def test_a_study_of_no_paper_has_none(tmp_path):
    make_run(tmp_path / "a", ALONE)
    (found,) = find_studies([tmp_path])
    assert (protocol(found), list(contradiction(found)), compression(found)) == (None, [], "")


def test_the_methods_paragraph_names_balance_weights_direction_and_the_square(study):
    recipe = study.jobs[1].run.recipe
    recipe["training"]["balance"] = "both"
    for job in study.jobs:
        job.run.recipe["data"]["subset"] = {"count": 20000, "balanced": True, "seed": 0}
    said = " ".join(methods_paragraph(study, Statistics(study)))
    assert "20,000 images were drawn, equally many of each class." in said
    assert "every class was shown as often as a class has images on average" in said
    assert "KL(target‖learner), multiplied by the squared temperature" in said
    assert "strategy diverse; diverse equations; weights given" in said
