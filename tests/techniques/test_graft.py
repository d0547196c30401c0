"""The plan that grafting makes of a recipe, and what it refuses before anything trains."""

import pytest

from preceptor.errors import UserError
from preceptor.plan.ready import require_trainable
from preceptor.plan.stage import WarmStart
from preceptor.recipe import parse_recipe

from .workshop import workshop

SMALL = {"architecture": "resnet10t", "weights": "none"}


def plan(*, networks=None, split=None, task="classification", **technique):
    raw = {
        "task": task,
        "data": {"source": "phantom", "image_size": 32},
        "split": split or {},
        "networks": {"teacher": SMALL, "student": {**SMALL, "architecture": "test_resnet"}, "count": 1}
        | (networks or {}),
        "technique": {"name": "graft", **technique},
        "training": {"epochs": 7},
    }
    recipe = parse_recipe(raw)
    made = recipe.plan(workshop())
    require_trainable(made, shots=recipe.split.shots)
    return made


def edges(stage):
    return {(edge.name, edge.weight) for edge in stage.edges}


def test_blocks_then_longer_chains():
    made = plan()
    assert [stage.name for stage in made.stages] == ["teacher", "blocks", "chain2", "chain3", "chain4", "chain5"]
    assert made.students == ("S1",)
    assert made.teacher == "T"
    blocks = made.stages[1]
    assert blocks.learners == tuple(f"S1-block{number}" for number in range(1, 6))
    assert all(stage.learners == ("S1",) for stage in made.stages[2:])
    assert edges(blocks) == {(f"T->{name}/grafting", 1.0) for name in blocks.learners}
    assert not any(
        member.task_weight for stage in made.stages[1:] for member in stage.members.values() if member.trains
    )
    assert made.stages[1].members["T"].start == WarmStart("teacher", "T")


def test_chains_go_on_from_shorter_ones_and_lone_blocks():
    stages = plan().stages
    assert stages[2].members["S1"].starts == (WarmStart("blocks", "S1-block1"), WarmStart("blocks", "S1-block2"))
    assert stages[3].members["S1"].starts == (WarmStart("chain2", "S1"), WarmStart("blocks", "S1-block3"))
    assert stages[5].members["S1"].starts == (WarmStart("chain4", "S1"), WarmStart("blocks", "S1-block5"))


def test_one_block_after_another():
    stages = plan(at_once=False).stages[1:6]
    assert [stage.name for stage in stages] == ["block1", "block2", "block3", "block4", "block5"]
    assert {stage.clock for stage in stages} == {"blocks"}
    assert [stage.learners for stage in stages] == [(f"S1-block{number}",) for number in range(1, 6)]


def test_every_student_is_grafted():
    made = plan(networks={"count": 2})
    assert made.students == ("S1", "S2")
    assert len(made.stages[1].learners) == 10
    assert made.stages[-1].members["S2"].starts == (WarmStart("chain4", "S2"), WarmStart("blocks", "S2-block5"))


def test_epochs_rates_and_losses():
    made = plan(loss="mse", block_epochs=3, chain_epochs=5, chain_lr=0.5, adapter_lr=4.0, task_weight=0.25)
    _, blocks, chain, *_ = made.stages
    assert (blocks.training.epochs, chain.training.epochs) == (3, 5)
    assert blocks.members["S1-block1"].lr == {"": 1.0, "adapters.": 4.0}
    assert chain.members["S1"].lr == {"": 0.5, "adapters.": 2.0}
    assert edges(chain) == {("T->S1/feature_mse@logits", 1.0)}
    assert chain.members["S1"].task_weight == 0.25
    assert plan().stages[1].training.epochs == 7
    assert edges(plan(loss="kd").stages[-1]) == {("T->S1/kd", 1.0)}


def test_notes_on_calibration_and_on_what_chooses_the_weights():
    assert [note.split(",")[0] for note in plan().notes] == ["The loss grafting leaves the size of the logits open"]
    assert plan(loss="kd").notes == ()
    assert "chosen on the whole validation part" in plan(loss="kd", split={"shots": 2}, teacher=__file__).notes[0]


SEVERAL = {"teacher": None, "teachers": [SMALL, SMALL]}


def test_several_teachers_mix_their_answers_and_one_gives_its_place():
    made = plan(networks=SEVERAL, host="T2", host_weight=0.5)
    assert [stage.name for stage in made.stages[:3]] == ["teacher1", "teacher2", "blocks"]
    chain = made.stages[-1]
    assert list(chain.members) == ["T1", "T2", "T", "S1"]
    assert chain.members["S1"].builds_on == ("T2",)
    assert edges(chain) == {("T->S1/kd", 1.0), ("T2->S1/grafting", 0.5)}
    assert [edge.loss.options["temperature"] for edge in chain.edges if edge.loss.key == "kd"] == [4.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "segmentation"}, "graft is for classification, .*: its last block is a classifier"),
        ({"split": {"shots": 5}}, r"the teacher would be trained on these few images too.*technique.teacher"),
        ({"split": {"shots": 5}, "networks": SEVERAL, "host": "T1"}, "would be trained on these few images too"),
        ({"networks": SEVERAL}, "which teacher is best is not known .* technique.host=T1"),
        ({"networks": SEVERAL, "host": "T3"}, "no teacher 'T3'; there are T1, T2"),
        ({"networks": SEVERAL, "host": "T1", "loss": "grafting"}, "no logits of one scale; use kd"),
        ({"networks": SEVERAL, "teacher": "x"}, "give one run folder for each as teachers"),
        ({"host": "T1"}, "technique.host: there is one teacher"),
        ({"host_weight": 1.0}, "technique.host_weight: there is one teacher"),
        ({"teacher": "x", "teachers": ["y"]}, "teacher and teachers: give one of them"),
        ({"networks": {"student": {**SMALL, "architecture": "test_vit"}}}, "no chain of blocks"),
    ],
)
def test_refused_before_training(options, message):
    with pytest.raises(UserError, match=f"(?s){message}"):
        plan(**options)
