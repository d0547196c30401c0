"""What KTHF² makes of a recipe: who learns from whom, and by how much."""

import pytest
import torch

from preceptor.composed.base import answers, standing
from preceptor.data.batches import Batch
from preceptor.errors import UserError
from preceptor.knowledge.logits.soft_target import soft_target_kl
from preceptor.recipe import parse_recipe

from ..knowledge.references import fusion_terms
from . import workshop

FAMILIES = ("test_resnet", "mobilenetv3_small_050", "test_efficientnet")
UNET = {"architecture": "unet", "encoder": "resnet18", "weights": "none"}


def recipe_of(technique=None, *, peers=FAMILIES[:2], task="classification", epochs=10, **options):
    return parse_recipe(
        {
            "task": task,
            "data": {"source": "phantom", "image_size": 32},
            "networks": {"students": [{"architecture": peer, "weights": "none", "options": options} for peer in peers]},
            "technique": {"name": "kthf2", **(technique or {})},
            "training": {"epochs": epochs},
        }
    )


def plan_of(*technique, **more):
    return recipe_of(*technique, **more).plan()


def built(plan):
    """The networks of the only stage, as a run makes them."""
    return workshop.made(plan.stages[0], workshop.workshop())


def cohort_of(plan):
    return workshop.cohort_of(plan.stages[0], torch.nn.CrossEntropyLoss())


def edges(plan):
    """(source, target) -> (weight at its fullest, temperature)."""
    return {
        (e.source, e.target): (pytest.approx(e.weight), e.loss.options["temperature"]) for e in plan.stages[0].edges
    }


@pytest.fixture
def batch():
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 1, 2, 0])
    return Batch(images=images, targets=targets, positions=torch.arange(4), rows=torch.arange(4), whole=4)


def test_the_graph():
    """The rows of the table: tasks, mutual learning, from F to the peers, from their mean to F."""
    plan = plan_of()
    (stage,) = plan.stages
    assert edges(plan) == {
        ("S1", "S2"): (1.0, 1.0),
        ("S2", "S1"): (1.0, 1.0),
        ("F", "S1"): (1.0, 3.0),
        ("F", "S2"): (1.0, 3.0),
        ("E", "F"): (1.0, 3.0),
    }
    assert {name: (m.trains, m.task_weight, m.weight_decay) for name, m in stage.members.items()} == {
        "S1": (True, 1.0, 1.0),
        "S2": (True, 1.0, 1.0),
        "F": (True, 1.0, 0.1),
        "E": (False, 1.0, 1.0),
    }
    assert (plan.students, plan.teacher, plan.notes) == (("S1", "S2", "F"), None, ())


def test_what_goes_from_and_to_the_fused_classifier_rises():
    """exp(-5 (1 - e / 27)²) in the first 27 of 100 epochs; mutual learning is there from the start."""
    weights = {e.name: [e.weight_in(epoch) for epoch in (1, 13, 27, 100)] for e in plan_of(epochs=100).stages[0].edges}
    rising = [pytest.approx(v, abs=1e-4) for v in (0.0097, 0.2608, 1.0, 1.0)]
    assert weights == {
        "S1->S2/kd": [1.0] * 4,
        "S2->S1/kd": [1.0] * 4,
        "F->S1/kd": rising,
        "F->S2/kd": rising,
        "E->F/kd": rising,
    }
    at_once = plan_of({"ramp": 0}).stages[0].edges
    assert {edge.weight_in(1) for edge in at_once} == {1.0}


def test_three_peers():
    """Each has the mean of the two others as in deep mutual learning; F reads all, the ensemble is that of all."""
    plan = plan_of(peers=FAMILIES)
    found = edges(plan)
    assert found["S3", "S1"] == (0.5, 1.0)
    assert found["F", "S3"] == (1.0, 3.0)
    networks = built(plan)
    assert tuple(networks["F"].inlets) == tuple(networks["E"].inlets) == ("S1", "S2", "S3")
    assert len(networks["F"].blocks) == 3 * 4


def test_the_terms_of_a_step(batch):
    """Against the formulas: deep mutual learning at temperature 1 and the three terms of feature fusion learning."""
    plan = plan_of({"ramp": 0, "mutual": 2.0, "to_peers": 3.0, "from_ensemble": 0.25, "fused_task": 0.5})
    cohort = cohort_of(plan).eval()
    terms = cohort(batch, 1, 0)
    said = {name: outputs.logits for name, outputs in answers(standing(cohort.networks), batch.images).items()}
    fusion = fusion_terms(said["S1"], said["S2"], said["F"], temperature=3.0)
    expected = {
        "S1/task": torch.nn.functional.cross_entropy(said["S1"], batch.targets),
        "S2/task": torch.nn.functional.cross_entropy(said["S2"], batch.targets),
        "F/task": 0.5 * torch.nn.functional.cross_entropy(said["F"], batch.targets),
        "S1->S2/kd": 2.0 * soft_target_kl(said["S2"], said["S1"], temperature=1.0),
        "S2->S1/kd": 2.0 * soft_target_kl(said["S1"], said["S2"], temperature=1.0),
        "F->S1/kd": 3.0 * fusion.fused_to_first,
        "F->S2/kd": 3.0 * fusion.fused_to_second,
        "E->F/kd": 0.25 * fusion.ensemble_to_fused,
    }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)


@pytest.mark.parametrize("detach_maps", [True, False])
def test_who_learns_from_which_term(batch, detach_maps):
    """Every target is constant; the fused classifier's own losses reach the peers through their maps alone."""
    cohort = cohort_of(plan_of({"ramp": 0, "detach_maps": detach_maps})).train()
    through_maps = set() if detach_maps else {"S1", "S2"}
    expected = {
        "S1/task": {"S1"},
        "S2/task": {"S2"},
        "F/task": {"F"} | through_maps,
        "S1->S2/kd": {"S2"},
        "S2->S1/kd": {"S1"},
        "F->S1/kd": {"S1"},
        "F->S2/kd": {"S2"},
        "E->F/kd": {"F"} | through_maps,
    }
    owned = cohort.owned()
    terms = cohort(batch, 1, 0)
    for name, learners in expected.items():
        found = {
            learner
            for learner, parameters in owned.items()
            if any(
                gradient is not None and gradient.abs().sum() > 0
                for gradient in torch.autograd.grad(terms[name], parameters, retain_graph=True, allow_unused=True)
            )
        }
        assert found == learners, name


def test_ablations_leave_out_what_has_no_weight():
    assert set(edges(plan_of({"mutual": 0, "to_peers": 0}))) == {("E", "F")}
    without = plan_of({"from_ensemble": 0})
    assert "E" not in without.stages[0].members
    same_level = built(plan_of({"cross_level": False, "levels": 3}))["F"]
    assert len(same_level.blocks) == 3


def test_without_fusion_there_is_no_fused_classifier():
    plan = plan_of({"fused_task": 0, "to_peers": 0, "from_ensemble": 0})
    assert plan.students == tuple(plan.stages[0].members) == ("S1", "S2")
    assert "this is mutual learning" in plan.notes[0]


def test_the_start_of_the_fused_classifier_depends_on_seed_and_name_alone():
    one, other = (built(plan_of(**more))["F"].state_dict() for more in ({}, {"epochs": 3}))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_peers_of_one_architecture_are_noted():
    (note,) = plan_of(peers=["test_resnet.r160_in1k", "test_resnet"]).notes
    assert "all peers are test_resnet" in note


@pytest.mark.parametrize(
    ("technique", "more", "message"),
    [
        ({}, {"peers": FAMILIES[:1]}, "kthf2 wants at least two students"),
        (
            {"fused_task": 0, "from_ensemble": 0},
            {},
            "to_peers: the fused classifier would teach without having learned",
        ),
        ({"levels": 5}, {}, "technique.levels: .*5"),
        ({"mutual": -1}, {}, "technique.mutual"),
    ],
)
def test_what_cannot_work_is_refused(technique, more, message):
    with pytest.raises(UserError, match=message):
        recipe_of(technique, **more)


def test_masks_are_refused_with_what_to_take_instead():
    raw = {
        "task": "segmentation",
        "data": {"source": "phantom"},
        "networks": {"student": UNET},
        "technique": {"name": "kthf2"},
    }
    with pytest.raises(UserError, match=r"kthf2 is for classification, .* says nothing of pixels. Take ml or kd_ml"):
        parse_recipe(raw)
