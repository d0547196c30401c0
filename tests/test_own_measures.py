"""A measure in a user's own file, from the recipe through a tiny training into the report."""

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from rich.console import Console

from preceptor.cli.train import print_result
from preceptor.errors import UserError
from preceptor.measures import MEASURES, ClassAnswers, Measure, classification_scores, counted, ratio
from preceptor.measures.own import described_measure, facts_of, from_facts, loaded, require_sound
from preceptor.recipe import parse_recipe
from preceptor.runs.result import RunResult
from preceptor.study.board import layout_of
from preceptor.study.plan import plan_study
from preceptor.training.run_folder import folder_for, keep_own

from .command import preceptor
from .study.studies import study
from .test_bad_input import recipe_for

PAGE = Path(__file__).parents[1] / "docs" / "own-measure.md"
MINE = """
from pathlib import Path

import numpy as np

from preceptor.measures import Measure, counted, ratio

Path("RAN").write_text("the file was run")


MINE = Measure(
    name="doubt",
    label="Doubt",
    task="classification",
    addends=lambda answers: counted(1 - answers.probabilities.max(axis=1)),
    finish=ratio,
    higher_is_better=False,
)
"""
ADDENDS = "counted(1 - answers.probabilities.max(axis=1))"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with two files of measures, in which commands are given."""
    monkeypatch.setenv("PRECEPTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "found.py").write_text(block)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def test_the_example_of_the_page_is_in_metrics_result_and_report_and_chooses_weights(here):
    """The page's file and recipe, beside a measure that is better when smaller."""
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    more = yaml.safe_load(block)
    raw = recipe_for(measures=[*more["measures"], "mine.py:MINE"], training=more["training"])
    (here / "mine.yaml").write_text(yaml.safe_dump(raw))
    answer = preceptor("train", "mine.yaml", "--out", "run", "--device", "cpu")
    assert answer.code == 0, answer.error
    assert "for the measure found.py:SENSITIVITY" in answer.out
    table = pd.read_csv("run/metrics.csv")
    assert {"sensitivity", "doubt"} <= set(table["metric"])
    result = json.loads(Path("run/result.json").read_text())
    scores = result["test"]["S1"]
    said = pd.read_csv("run/predictions/test.csv").query("network == 'S1'")
    chances = said.filter(regex="^p_").to_numpy()
    ill = said["label"] == 1
    assert scores["sensitivity"] == pytest.approx((chances.argmax(axis=1)[ill] == 1).mean())
    assert scores["doubt"] == pytest.approx((1 - chances.max(axis=1)).mean())
    kept = result["measures"]["doubt"]
    assert (Path("run") / kept["file"]).read_text() == MINE
    assert kept["file"] in result["files"]
    assert {key: kept[key] for key in ("label", "higher_is_better")} == {"label": "Doubt", "higher_is_better": False}

    (here / "RAN").unlink()
    answer = preceptor("report", "run")
    assert "give --trust" in answer.out, answer
    assert not (here / "RAN").exists()
    columns = pd.read_csv(next((here / "run" / "tables").glob("*-scores.csv")))
    assert columns["Doubt"].iloc[0] == pytest.approx(100 * scores["doubt"], rel=1e-4)
    assert "Doubt low" not in columns
    assert preceptor("report", "run", "--trust").code == 0
    columns = pd.read_csv(next((here / "run" / "tables").glob("*-scores.csv")))
    for label in ("Doubt", "sensitivity"):
        assert (columns[f"{label} low"] <= columns[label]).all()
        assert (columns[label] <= columns[f"{label} high"]).all()

    answer = preceptor("evaluate", "run", "--device", "cpu")
    assert answer.code == 0, answer.error
    assert "left out is sensitivity, doubt" in answer.out
    answer = preceptor("evaluate", "run", "--device", "cpu", "--trust")
    assert f"{scores['doubt']:.3f}" in answer.out, answer


def test_a_recipe_is_checked_without_running_the_file(here):
    recipe = parse_recipe(recipe_for(measures=["found.py:SENSITIVITY", "mine.py:MINE"]))
    assert list(recipe.measures_known)[-2:] == ["sensitivity", "doubt"]
    assert recipe.measures_known["doubt"].label == "Doubt"
    assert not (here / "RAN").exists()
    assert parse_recipe(yaml.safe_load(recipe.to_yaml())) == recipe == pickle.loads(pickle.dumps(recipe))
    assert "measures" not in parse_recipe(recipe_for()).to_yaml()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measures": ["other.py:MINE"]}, "no file '.*other.py'"),
        ({"measures": ["mine.py:MIEN"]}, "mine.py has no 'MIEN'; did you mean 'MINE'"),
        ({"measures": ["doubt"]}, "'doubt' is no file of yours; write path/to/module.py:NAME"),
        ({"measures": ["mine.py:MINE", "mine.py:MINE"]}, "there is a measure 'doubt' already"),
        ({"measures": ["mine.py:MINE"], "training": {"monitor": "doubt"}}, "doubt must say may_monitor=True"),
        ({"training": {"monitor": "doubt"}}, "classification has accuracy, f1, auroc, got 'doubt'"),
    ],
)
def test_what_a_recipe_may_not_say(here, changes, message):
    with pytest.raises(UserError, match=message):
        parse_recipe(recipe_for(**changes))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("MINE = Measure(", "MINE = dict(", "is no Measure"),
        ('name="doubt"', 'name="ece"', "there is a measure 'ece' already"),
        ('name="doubt"', 'name="My doubt"', "small letters"),
        ('name="doubt"', "name=str(1)", "name is str.1.; write a plain value"),
        ('label="Doubt"', 'lable="Doubt"', "no 'lable'; did you mean 'label'"),
        ('    label="Doubt",\n', "", "label is missing"),
        ("    finish=ratio,\n", "", "finish is missing"),
        ('"classification"', '"segmentation"', "is for segmentation, this recipe's task is classification"),
        ('"classification"', '"masks"', "task wants classification or segmentation, got 'masks'"),
        ("higher_is_better=False", 'higher_is_better="no"', "wants True or False, got 'no'"),
        ("higher_is_better=False", "higher_is_better=False, may_monitor=True", "better when larger"),
    ],
)
def test_an_entry_that_is_wrong_is_refused_with_the_recipe(here, before, after, message):
    assert before in MINE
    (here / "mine.py").write_text(MINE.replace(before, after, 1))
    with pytest.raises(UserError, match=message):
        parse_recipe(recipe_for(measures=["mine.py:MINE"]))
    assert not (here / "RAN").exists()


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("finish=ratio", "finish=lambda sums: sums", r"finish gives the shape \(1, 2\)"),
        ("counted(1 - answers.probabilities.max(axis=1))", "answers.labels", "a row for each of the 4 samples"),
        (
            "counted(1 - answers.probabilities.max(axis=1))",
            "counted(answers.labels / 0)",
            "NaN or infinity for sample 1",
        ),
        ("finish=ratio", "finish=lambda sums: sums[:, 0] * np.nan", "gives nan for these samples"),
        ("finish=ratio", "finish=3", "want functions"),
        ("MINE = Measure(", "MINE = (lambda **more: 3) or Measure(", "is no Measure but function"),
    ],
)
def test_a_measure_that_cannot_score_is_refused(here, before, after, message):
    answers = ClassAnswers(np.array([[0.9, 0.1], [0.4, 0.6]] * 2), np.array([0, 1, 0, 1]))
    (here / "mine.py").write_text(MINE.replace(before, after, 1))
    with np.errstate(all="ignore"), pytest.raises(UserError, match=message):
        require_sound(loaded("mine.py:MINE"), answers)


def test_what_is_known_of_a_measure_can_be_kept_and_read(here):
    found = described_measure("mine.py:MINE")
    facts = facts_of(loaded("mine.py:MINE"))
    assert facts == {"name": "doubt", "label": "Doubt", "task": "classification", "higher_is_better": False}
    assert from_facts(facts, "it") == found
    with pytest.raises(UserError, match="networks are compared in shares"):
        Measure(**facts, addends=None, finish=ratio, is_share=False, paired=loaded("mine.py:MINE"))


def test_a_measure_that_fails_is_refused_before_training(here):
    (here / "mine.py").write_text(MINE.replace("finish=ratio", "finish=lambda sums: sums"))
    (here / "mine.yaml").write_text(yaml.safe_dump(recipe_for(measures=["mine.py:MINE"])))
    answer = preceptor("train", "mine.yaml", "--out", "run", "--device", "cpu")
    assert (answer.code, "measure doubt: finish gives the shape" in answer.error) == (2, True), answer
    assert not (here / "run" / "metrics.csv").exists()


def test_a_new_entry_is_all_that_a_new_measure_wants(monkeypatch):
    """It is scored, may be monitored, is printed and stands in a study's table."""
    new = Measure(
        name="sureness",
        label="Sureness",
        task="classification",
        addends=lambda answers: counted(answers.probabilities.max(axis=1)),
        finish=ratio,
        may_monitor=True,
        is_printed=True,
        is_tabled=True,
    )
    monkeypatch.setitem(MEASURES["classification"], new.key, new)
    student, labels = np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 0])
    scores = classification_scores(student, labels)
    assert scores["sureness"] == pytest.approx(0.75)
    assert parse_recipe(recipe_for(training={"monitor": "sureness"})).monitored is new
    assert layout_of(study(), plan_study(study()).jobs)["metrics"] == ["accuracy", "sureness"]
    console = Console(record=True, width=200)
    rest = {"task": "classification", "technique": "x", "strategy": None, "fidelity": {}, "parameters": {}}
    known = {"status": "complete", "chosen": "S1", "test": {"S1": scores}, "validation": {"S1": scores}}
    print_result(console, RunResult(**rest, **known))
    assert f"{scores['sureness']:.4f}" in console.export_text()


def begin(recipe, note=print):
    folder = folder_for(Path("run"), recipe, note=note)
    folder.begin("data", "split")
    keep_own(folder, recipe)


def test_a_file_that_changes_on_the_way_is_kept_twice_and_said(here):
    recipe = parse_recipe(recipe_for(measures=["mine.py:MINE"]))
    begin(recipe)
    (here / "run" / "metrics.csv").write_text("stage,epoch,network,split,metric,value\n")
    said = []
    begin(recipe, said.append)
    assert said == []
    (here / "mine.py").write_text(MINE + "# more\n")
    begin(recipe, said.append)
    assert "mine.py is another than this run has used so far; what that was is kept in own/" in said[-1]
    assert {path.read_text() for path in (here / "run" / "own").iterdir()} == {MINE, MINE + "# more\n"}
