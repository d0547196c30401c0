"""What self-distillation makes of a recipe: who learns from whom, and by how much."""

import pytest
import torch
import torch.nn.functional as F

from preceptor.data.batches import Batch
from preceptor.errors import UserError
from preceptor.knowledge.feature.exits import active_feature_distance
from preceptor.knowledge.logits.soft_target import soft_target_kl
from preceptor.recipe import parse_recipe

from ..knowledge.references import soft_target_cross_entropy
from . import workshop

TARGETS = torch.tensor([0, 1, 2, 0])
IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
BATCH = Batch(images=IMAGES, targets=TARGETS, positions=torch.arange(4), rows=torch.arange(4), whole=4)
UNET = {"architecture": "unet", "encoder": "resnet18", "weights": "none"}


def plan_of(*, student="test_resnet", count=1, network=None, task="classification", **technique):
    network = network or {"architecture": student, "weights": "none"}
    return parse_recipe(
        {
            "task": task,
            "data": {"source": "phantom", "image_size": 32},
            "networks": {"teacher": network, "student": network, "count": count},
            "technique": {"name": "self_distill", **technique},
        }
    ).plan()


def edges(plan):
    return {(one.source, one.target, one.loss.key): one.weight for one in plan.stages[-1].edges}


def cohort_of(plan):
    """Of the last stage."""
    return workshop.cohort_of(plan.stages[-1], torch.nn.CrossEntropyLoss())


def test_byot_has_an_exit_on_every_stage_but_the_last():
    plan = plan_of()
    (stage,) = plan.stages
    assert plan.students == ("E1", "E2", "E3", "S1")
    assert plan.teacher is None
    assert {name: member.task_weight for name, member in stage.members.items()} == dict.fromkeys(
        ("S1", "E1", "E2", "E3"), 0.9
    )
    assert edges(plan) == {
        ("S1", name, key): weight
        for name in ("E1", "E2", "E3")
        for key, weight in (("kd", 0.1), ("exit_features", 1e-6))
    }
    assert {one.loss.options["temperature"] for one in stage.edges if one.loss.key == "kd"} == {3.0}
    assert {name: member.kept_with for name, member in stage.members.items()} == {
        "S1": None,
        **dict.fromkeys(("E1", "E2", "E3"), "S1"),
    }


def test_tskd_shares_alpha_between_teacher_and_student():
    plan = plan_of(method="tskd", exits=[2], alpha=0.4, teacher_share=0.25)
    assert [stage.name for stage in plan.stages] == ["teacher", "main"]
    assert plan.teacher == "T"
    assert edges(plan) == {
        ("T", "S1", "kd"): pytest.approx(0.1),
        ("T", "E2", "kd"): pytest.approx(0.1),
        ("S1", "E2", "kd"): pytest.approx(0.3),
        ("S1", "E2", "exit_features"): 1e-6,
    }
    assert {one.loss.options["temperature"] for one in plan.stages[1].edges if one.loss.key == "kd"} == {4.0}
    assert not plan.stages[1].members["T"].trains


def test_half_of_alpha_is_the_teachers_unless_given():
    found = edges(plan_of(method="tskd"))
    assert found["T", "S1", "kd"] == found["S1", "E1", "kd"] == 0.05


def test_without_a_share_the_teacher_takes_no_part():
    plan = plan_of(method="tskd", teacher_share=0, temperature=3)
    assert edges(plan) == edges(plan_of())
    assert len(plan.stages) == 1
    assert plan.notes == ("teacher_share is 0: no teacher takes part",)


@pytest.mark.parametrize("student", ["test_resnet", "mobilenetv3_small_050", "test_vit"])
@pytest.mark.parametrize("method", ["byot", "tskd"])
def test_the_loss_is_the_formula(student, method):
    """(1-α) Σ CE + α Σ KD + β Σ features, of what the networks say, the features of 128 images."""
    plan = plan_of(student=student, method=method, alpha=0.3, beta=0.01)
    cohort = cohort_of(plan).eval()
    found = torch.stack(tuple(cohort(BATCH, 1, 0).values())).sum()

    networks = cohort.networks
    networks["S1"].read = None
    outputs = networks["S1"](IMAGES)
    last = outputs.maps[list(networks["S1"].stages)[-1]].mean(dim=(2, 3))
    exits = [networks[name].combine({"S1": outputs}) for name in plan.students[:-1]]
    logits = [outputs.logits, *(one.logits for one in exits)]
    temperature, own = (3.0, 0.3) if method == "byot" else (4.0, 0.15)
    expected = 0.7 * sum(F.cross_entropy(one, TARGETS) for one in logits)
    expected += own * sum(soft_target_kl(one.logits, outputs.logits, temperature=temperature) for one in exits)
    expected += 0.01 * 128 / 4 * sum(active_feature_distance(one.embedding, last) for one in exits)
    if method == "tskd":
        teacher = networks["T"](IMAGES).logits
        expected += 0.15 * sum(soft_target_kl(one, teacher, temperature=temperature) for one in logits)
    torch.testing.assert_close(found, expected)


def test_the_gradient_is_that_of_the_published_cross_entropy():
    """The KL here and the cross entropy with soft targets there differ by what the source alone decides."""
    plan = plan_of(exits=[1], beta=0)
    cohort = cohort_of(plan).eval()
    cohort(BATCH, 1, 0)["S1->E1/kd"].backward()
    branch = cohort.networks["E1"].branch
    found = branch.linear.weight.grad.clone()
    branch.zero_grad()
    outputs = cohort.networks["S1"](IMAGES)
    exit_logits = cohort.networks["E1"].combine({"S1": outputs}).logits
    (0.1 * soft_target_cross_entropy(exit_logits, outputs.logits.detach(), temperature=3.0)).backward()
    torch.testing.assert_close(found, branch.linear.weight.grad)


def test_the_last_stage_learns_nothing_from_its_exits_imitation():
    """The head that teaches is a constant of the edge; the stages up to the exit learn."""
    cohort = cohort_of(plan_of(exits=[2])).train()
    terms = cohort(BATCH, 1, 0)
    (terms["S1->E2/kd"] + terms["S1->E2/exit_features"]).backward()
    moved = {name.split(".")[0] for name, p in cohort.networks["S1"].model.named_parameters() if p.grad is not None}
    assert moved == {"conv1", "bn1", "layer1", "layer2"}


def test_exits_start_alike_whichever_others_there_are():
    one, other = (cohort_of(plan_of(exits=exits)).networks["E2"].state_dict() for exits in ([2], [1, 2, 3]))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 2}, "self_distill is about one student with exits, here are 2; set `networks.count: 1`"),
        ({"task": "segmentation", "network": UNET}, r"self_distill is for classification, .* an exit pools a stage"),
        ({"exits": [4]}, r"S1 \(test_resnet\) has no exit 4: it has 4 stages"),
        ({"exits": [1, 1]}, "exits: a stage is named twice"),
        ({"exits": [0]}, "exits"),
        ({"teacher": "runs/teacher"}, "teacher: byot has no teacher; use `method: tskd`, or leave it out"),
        ({"teacher_share": 0.5}, "teacher_share: byot has no teacher"),
        ({"student_alone": "runs/alone"}, "student_alone: byot has no teacher"),
    ],
)
def test_what_has_no_meaning_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        cohort_of(plan_of(**options))
