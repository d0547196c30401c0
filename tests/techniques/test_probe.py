"""The plan of a probe: who is compared, and that nothing trains."""

import pytest

from preceptor.errors import UserError
from preceptor.plan.show import plan_in_words
from preceptor.recipe import parse_recipe


def planned(task="classification", student=None, **technique):
    raw = {
        "task": task,
        "data": {"source": "phantom_tissue"},
        "networks": {
            "teacher": {"architecture": "resnet18"},
            "student": {"architecture": "resnet10t", **(student or {})},
            "count": 1,
        },
        "technique": {"name": "probe", **technique},
    }
    return parse_recipe(raw).plan()


def test_teacher_student_and_what_they_are_compared_with():
    plan = planned(student={"weights": "student.safetensors"})
    (stage,) = plan.stages
    assert plan.reported == ("T", "S1", "S1_imagenet", "S1_random")
    assert plan.students == ("S1",)
    assert [stage.members[name].network.spec.weights for name in plan.reported] == [
        "imagenet",
        "student.safetensors",
        "imagenet",
        "none",
    ]
    assert not stage.edges
    text = "\n".join(plan_in_words(plan, "classification"))
    assert (
        "stage probe: nothing trains; linear heads solved on embeddings, C of 1e-05, 0.0001, 0.001, 0.01, 0.1, 1"
        in text
    )
    assert "S1_random: resnet10t, weights none, frozen below its head" in text
    assert "beside them: S1_imagenet, S1_random" in text
    assert "loss:" not in text


def test_a_student_is_not_compared_with_itself():
    assert planned().references == ("S1_random",)
    assert planned(student={"weights": "none"}).references == ("S1_imagenet", "S1_random")
    assert planned(against={}).references == ()


def test_masks_are_refused():
    with pytest.raises(UserError, match="a mask is not decided by one embedding"):
        planned("segmentation", student={"architecture": "unet", "encoder": "resnet18"})
