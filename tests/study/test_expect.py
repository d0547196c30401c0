"""Kinds of jobs of a study, and what they are said to cost."""

import pytest
import yaml

from preceptor.bench.expect import Expected, expected
from preceptor.cli.expect import summary, table_of
from preceptor.study.expect import kinds_of
from preceptor.study.plan import plan_study
from preceptor.study.spec import parse_study

from ..command import preceptor

SMALL = {"architecture": "resnet10t", "weights": "none"}
RECIPE = {
    "task": "classification",
    "data": {"source": "phantom", "image_size": 32, "options": {"images": 48, "size": 32, "classes": 3}},
    "networks": {"teacher": SMALL, "student": SMALL, "count": 1},
    "technique": {"name": "kd_offline", "strategy": "predictions"},
    "split": {"by": "image"},
    "training": {"epochs": 3, "batch_size": 8},
}
AXES = {"alpha": {"low": {"technique.alpha": 0.1}, "high": {"technique.alpha": 0.5}}}


@pytest.fixture
def jobs():
    return plan_study(parse_study({"name": "small", "recipe": RECIPE, "seeds": [0, 1], "axes": AXES})).jobs


def test_runs_of_other_seeds_are_of_one_kind_and_train_no_teacher_that_is_given(jobs):
    kinds = kinds_of(jobs)
    assert [(kind.name, len(kind.jobs)) for kind in kinds] == [("teacher", 2), ("baseline", 2), ("low", 2), ("high", 2)]
    assert [stage.name for stage in kinds[2].stages] == ["main"]
    assert kinds[2].spared == ("teacher",)


def costs(seconds):
    return Expected(
        steps=100,
        seconds=seconds,
        step_seconds=0.5,
        memory=2**30,
        disk=2**20,
        packed=("packed", 2**21),
        teachers=2**20,
    )


def test_the_sums(jobs):
    kinds = kinds_of(jobs)
    table = table_of(kinds, [costs(1800.0)] * 4, workers=4)
    cells = [list(column.cells) for column in table.columns]
    assert [column[-1] for column in cells] == ["all", "8", "", "", "4.0 h", "1.0 h", "4.0 GiB", "8 MiB"]
    assert [column[0] for column in cells] == ["teacher", "2", "100", "0.5", "1.0 h", "30.0 min", "1.0 GiB", "2 MiB"]
    first, *_ = summary(kinds, [costs(1800.0)] * 4, 4, together=False)
    assert first == "caches: packed images 2 MiB, there now; what frozen teachers say, up to 8 MiB"


def test_steps_validation_and_files_are_measured(jobs, tmp_path):
    kind = kinds_of(jobs)[2]
    recipe = kind.jobs[0].recipe
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"cache": str(tmp_path)})})
    found = expected(recipe, kind.spared, steps=2, device="cpu")
    assert found.steps == 3 * 5  # epochs of five batches of eight among 36 images
    assert found.seconds > found.steps * found.step_seconds > 0
    weights = 4 * 4_900_000  # of a resnet10t, roughly
    assert found.disk == pytest.approx(6 * weights, rel=0.15)  # best, last, two moments; teacher and student exported
    assert found.packed[1] > 48 * 32 * 32 * 3


def test_a_recipe_is_sent_to_bench(tmp_path):
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    answer = preceptor("plan", str(tmp_path / "recipe.yaml"), "--measure")
    assert answer.code == 2
    assert "preceptor bench" in answer.error
