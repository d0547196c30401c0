"""Labelled and unlabelled images in one run: what reaches whom."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from lightning_fabric import Fabric

from preceptor.data.prepare import prepare
from preceptor.errors import UserError
from preceptor.knowledge.task_loss import build_task_loss
from preceptor.specs import IGNORED, TaskLossSpec
from preceptor.training import run
from preceptor.training.pixel_keys import pixel_keys

from .phantoms import STUDENTS, recipe_for, train

KD = {"name": "kd_offline", "losses": [{"loss": "kd"}]}


def builder_of(recipe, prepared, folder):
    return run.run_of(recipe, prepared, Fabric(accelerator="cpu"), folder)


def first_batch(recipe, folder, technique_stage=-1):
    """A cohort, and the batch with which its training begins."""
    prepared = prepare(recipe)
    trained = builder_of(recipe, prepared, folder)
    stage = trained.plan.stages[technique_stage]
    cohort = trained.builder.cohort(stage, starts=False)
    return cohort, next(iter(trained.builder.batches(stage, cohort).epoch(0))), trained


def gradients(cohort, batch):
    cohort.zero_grad()
    sum(cohort(batch, 1, 7).values()).backward()
    return {name: parameter.grad.clone() for name, parameter in cohort.named_parameters() if parameter.grad is not None}


@pytest.fixture(params=["classification", "segmentation"])
def recipe(packed, request):
    split = {"labels": {"fraction": 0.5}, "fractions": [0.5, 0.25, 0.25]}
    return recipe_for(request.param, KD, packed, split=split)


def has_label(batch):
    """Which images of a batch have one."""
    return (batch.targets >= 0).flatten(1).any(dim=1) if batch.targets.ndim > 1 else batch.targets >= 0


def test_a_teacher_alone_sees_labelled_images_and_a_student_that_is_taught_all(recipe, tmp_path):
    prepared = prepare(recipe)
    trained = builder_of(recipe, prepared, tmp_path)
    alone, taught = (trained.builder._rows(stage) for stage in trained.plan.stages)
    assert alone.tolist() == prepared.rows["train"].tolist()
    assert taught.tolist() == prepared.with_unlabelled("train").tolist()
    assert len(alone) < len(taught)


def test_the_task_reaches_the_student_from_labelled_images_and_the_teacher_from_all(recipe, tmp_path):
    cohort, batch, _ = first_batch(recipe, tmp_path)
    cohort.eval()
    known = has_label(batch)
    assert 0 < known.sum() < len(known)
    terms = cohort(batch, 1, None)
    logits = cohort.networks["S1"](batch.images).logits
    by_hand = build_task_loss(TaskLossSpec(), cohort.task)(logits[known], batch.targets[known])
    torch.testing.assert_close(terms["S1/task"] / cohort.task_weights["S1"], by_hand)

    batch.targets.fill_(-1)
    hidden = cohort(batch, 1, None)
    assert hidden["S1/task"].item() == 0.0
    assert hidden["T->S1/kd"].equal(terms["T->S1/kd"])
    whole = gradients(cohort, batch)
    cohort.task_weights["S1"] = 0.0
    without = gradients(cohort, batch)
    assert whole.keys() == without.keys()
    assert all(whole[name].equal(without[name]) for name in without)


def test_images_without_a_label_are_among_those_that_were_trained_on(recipe):
    prepared = prepare(recipe)
    assert len(pixel_keys(prepared).known) == len(prepared.with_unlabelled("train")) > len(prepared.rows["train"])


@pytest.mark.parametrize(
    ("technique", "is_shown"),
    [({"name": "distil_features", "losses": [{"loss": "cosine"}]}, True), ({"name": "baseline"}, False)],
    ids=["distil_features", "baseline"],
)
def test_images_left_out_by_shots_are_among_them_where_a_stage_reads_no_labels(technique, is_shown, packed):
    prepared = prepare(recipe_for("classification", technique, packed, split={"shots": 1}))
    everything = prepare(recipe_for("classification", technique, packed))
    known = len(pixel_keys(prepared).known)
    assert known == (len(everything.rows["train"]) if is_shown else len(prepared.rows["train"]))
    assert len(prepared.rows["train"]) < len(everything.rows["train"])


def test_several_processes_are_refused(recipe, tmp_path):
    cohort, _, trained = first_batch(recipe, tmp_path)
    two = replace(trained.builder, fabric=SimpleNamespace(world_size=2))
    with pytest.raises(UserError, match="images without a label are trained on by one process"):
        two.batches(trained.plan.stages[-1], cohort)


def test_without_knowledge_unlabelled_images_change_no_gradient(recipe, tmp_path):
    """In networks that do not normalise over the batch, as those here in evaluation."""
    cohort, batch, _ = first_batch(recipe, tmp_path)
    cohort.eval()
    cohort.transfers = ()
    known = has_label(batch)
    some = replace(batch, images=batch.images[known], targets=batch.targets[known])
    mixed, alone = gradients(cohort, batch), gradients(cohort, some)
    assert mixed.keys() == alone.keys()
    for name, found in mixed.items():
        torch.testing.assert_close(found, alone[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", ["kd", "seg_kd", "dist_seg", "at"])
def test_knowledge_reaches_every_pixel_of_an_image_without_a_mask(packed, tmp_path, loss):
    """Not as of a mask full of ignored pixels, which silences it."""
    technique = {"name": "kd_offline", "losses": [{"loss": loss}]}
    cohort, batch, _ = first_batch(
        recipe_for("segmentation", technique, packed, split={"labels": {"count": 2}}), tmp_path
    )
    cohort.eval()
    edge = cohort.transfers[0]
    cohort.losses.eval()
    edge.loss.ignores = True
    said = cohort(batch, 1, None)[edge.name]
    assert said > 0
    batch.targets.fill_(0)
    assert said.equal(cohort(batch, 1, None)[edge.name])
    batch.targets.fill_(IGNORED)
    assert cohort(batch, 1, None)[edge.name] == 0


@pytest.mark.parametrize(
    ("task", "loss", "labels"),
    [
        ("classification", "dkd", {"per_class": 2}),
        ("segmentation", "ifvd", {"count": 2}),
        ("segmentation", "emkd", {"count": 2}),
        ("segmentation", "fdwa_dkd", {"count": 2}),
    ],
)
def test_losses_that_read_every_label_are_refused(packed, tmp_path, task, loss, labels):
    technique = {"name": "kd_offline", "losses": [{"loss": loss}]}
    recipe = recipe_for(task, technique, packed, split={"labels": labels})
    with pytest.raises(UserError, match=f"{loss} reads the label of every image, and some or all have none"):
        first_batch(recipe, tmp_path)


def test_a_run_counts_its_labels(packed, tmp_path):
    technique = {"name": "ml"}
    recipe = recipe_for(
        "classification",
        technique,
        packed,
        split={"labels": {"per_class": 2}},
        training={"epochs": 1, "balance": "over"},
        networks={"teacher": None, "student": {"architecture": "test_resnet", "weights": "none"}, "count": 2},
    )
    result, said = train(recipe, tmp_path / "run")
    assert result.labels["train"] == 6
    assert result.labels["validation"] == len(prepare(recipe).rows["validation"])
    assert "Labels used: 6 of the training part to learn from" in said
    assert not result.has_no_labels
    assert result.test["S1"]["accuracy"] >= 0


def test_a_run_on_few_masks_counts_them(packed, tmp_path):
    recipe = recipe_for(
        "segmentation",
        {"name": "ml"},
        packed,
        split={"labels": {"count": 2}},
        training={"epochs": 1},
        networks={"teacher": None, "student": STUDENTS["segmentation"], "count": 2},
    )
    result, said = train(recipe, tmp_path / "run")
    assert result.labels == {"train": 2, "validation": 2, "test": 2}
    assert "Labels used: 2 of the training part to learn from" in said
