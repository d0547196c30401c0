"""A technique in a user's own file: read as text, run when a plan is wanted, and then like any other."""

import pytest

from preceptor.errors import UserError
from preceptor.plan.given import Given
from preceptor.plan.merge import why_unshared
from preceptor.recipe import changed_recipe, parse_recipe
from preceptor.study.lockstep import lockstep
from preceptor.study.plan import plan_study
from preceptor.study.spec import parse_study

from ..own_technique import OWN

SMALL = {"architecture": "resnet10t", "weights": "none"}


@pytest.fixture
def mine(tmp_path):
    """``file.py:Mine``."""
    (tmp_path / "own.py").write_text(OWN)
    return f"{tmp_path / 'own.py'}:Mine"


def raw_of(technique):
    return {
        "task": "classification",
        "data": {"source": "phantom", "image_size": 32},
        "networks": {"teacher": SMALL, "student": SMALL},
        "technique": technique,
    }


def test_it_is_not_run_by_reading_a_recipe(mine, capsys):
    recipe = parse_recipe(raw_of({"name": mine, "weight": 0.25}))
    assert capsys.readouterr().out == ""
    assert recipe.model_dump()["technique"] == {"name": mine, "weight": 0.25, "teacher": None}
    assert parse_recipe(recipe.model_dump(mode="json")) == recipe
    assert [edge.weight for edge in recipe.plan().stages[-1].edges] == [0.25, 0.25]
    assert capsys.readouterr().out == "run\n"


def test_it_is_shared_and_given_like_any_other(mine):
    plan = parse_recipe(raw_of({"name": mine})).plan()
    assert plan.stages[0] == parse_recipe(raw_of({"name": "kd_offline"})).plan().stages[0]
    given = parse_recipe(raw_of({"name": mine, "teacher": "runs/t"})).plan()
    assert given.needs == (Given("technique.teacher", "runs/t"),)
    assert why_unshared(given) is None


def test_a_study_trains_its_teacher_once_and_its_runs_together(mine):
    study = parse_study(
        {
            "name": "own",
            "recipe": raw_of({"name": "baseline"}),
            "seeds": [0],
            "axes": {"technique": {"mine": {"technique.name": mine}, "kd": {"technique.name": "kd_offline"}}},
            "together": True,
        }
    )
    jobs = plan_study(study).jobs
    assert [job.kind for job in jobs] == ["teacher", "baseline", "run", "run"]
    runs = jobs[2:]
    assert {job.teachers for job in runs} == {(jobs[0].id,)}
    assert lockstep(jobs)[runs[0].id] == tuple(runs)


def test_an_own_technique_in_which_nobody_teaches_is_no_baseline(tmp_path):
    """Students whose task counts half are a run of their own; as they are, they are the shared baseline."""
    text = OWN[: OWN.index("        teacher, kd")]
    text += "        half = students_of(cast, [self.weight] * len(cast.students))\n"
    text += "        main = Stage(name='main', members=half, training=cast.training)\n"
    text += "        return Plan(stages=(main,), students=tuple(cast.students))\n"
    (tmp_path / "own.py").write_text(text)
    axes = {
        "technique": {
            "half": {"technique.name": f"{tmp_path / 'own.py'}:Mine"},
            "whole": {"technique.name": f"{tmp_path / 'own.py'}:Mine", "technique.weight": 1.0},
        }
    }
    study = parse_study({"name": "own", "recipe": raw_of({"name": "baseline"}), "seeds": [0], "axes": axes})
    jobs = plan_study(study).jobs
    assert [(job.kind, dict(job.cell)) for job in jobs if job.kind != "teacher"] == [
        ("baseline", {}),
        ("run", {"technique": "half"}),
    ]


@pytest.mark.parametrize(
    ("technique", "message"),
    [
        ({"wieght": 1}, "no option 'wieght'; did you mean 'weight'"),
        ({"weight": "much"}, "option weight wants float, got 'much'"),
    ],
)
def test_wrong_options_are_refused_without_running_it(mine, technique, message, capsys):
    with pytest.raises(UserError, match=message):
        parse_recipe(raw_of({"name": mine, **technique}))
    assert capsys.readouterr().out == ""


def test_options_that_it_does_not_have_are_left_out(mine):
    recipe, notes = changed_recipe(raw_of({"name": "kd_ml", "strategy": "diverse"}), [("technique.name", mine)])
    assert recipe.technique.name == mine
    assert notes == [f"technique.strategy of the recipe is no option of {mine}: left out"]


def test_files_and_classes_that_are_no_technique(tmp_path, mine):
    with pytest.raises(UserError, match="has no class 'Mein'; did you mean 'Mine'"):
        parse_recipe(raw_of({"name": mine.replace("Mine", "Mein")}))
    with pytest.raises(UserError, match="no file"):
        parse_recipe(raw_of({"name": "absent.py:Mine"}))
    (tmp_path / "other.py").write_text("class Other:\n    pass\n")
    with pytest.raises(UserError, match=r"is no subclass of preceptor\.techniques\.Technique"):
        parse_recipe(raw_of({"name": f"{tmp_path / 'other.py'}:Other"})).plan()


def test_a_technique_without_a_name_is_told():
    with pytest.raises(UserError, match=r"technique\.name: is missing; valid: baseline"):
        parse_recipe(raw_of({"alpha": 1.0}))
