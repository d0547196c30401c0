"""What has no signal, or wants another batch or task, is said through the recipe before any training."""

import pytest

from preceptor.errors import UserError
from preceptor.training import run

from .phantoms import recipe_for, train


class TrainingBeganError(Exception):
    """The first epoch is about to start."""


@pytest.fixture(autouse=True)
def _no_training(monkeypatch):
    def begin(*arguments, **options):
        raise TrainingBeganError

    monkeypatch.setattr(run, "train_stage", begin)


def offline(task, loss, packed, *, batch=8, options=None, **more):
    """The teacher would be trained first, which takes the longest."""
    technique = {"name": "kd_offline", "losses": [{"loss": loss, "options": options or {}}]}
    return recipe_for(task, technique, packed, training={"batch_size": batch}, **more)


REFUSED = [
    ("logit_std_kd", "classification", {"classes": 2}, "logit_std_kd on T->S1 has no signal with two classes"),
    ("dist", "classification", {"classes": 2, "batch": 2}, "dist on T->S1 has no signal"),
    ("dkd", "classification", {"classes": 2, "options": {"alpha": 0.0}}, "with two classes only the target part"),
    ("semckd", "classification", {"batch": 2}, "semckd on T->S1 .* needs at least 4; training.batch_size gives 2"),
    ("rkd", "classification", {"batch": 2}, "rkd on T->S1 .* needs at least 3; training.batch_size gives 2"),
    ("sp", "classification", {"batch": 1}, "sp on T->S1 .* needs at least 2"),
    ("cc", "classification", {"batch": 1}, "cc on T->S1 .* needs at least 2"),
    ("pkt", "classification", {"batch": 1}, "pkt on T->S1 .* needs at least 2"),
    ("simkd", "classification", {"batch": 1}, "simkd on T->S1: .* at least two samples per batch"),
    ("kd", "classification", {"batch": 1}, "training.batch_size 1: .* BatchNorm wants two images"),
]


@pytest.mark.parametrize(("loss", "task", "more", "message"), REFUSED)
def test_what_cannot_work_is_refused_before_the_teacher_is_trained(tmp_path, packed, loss, task, more, message):
    with pytest.raises(UserError, match=message):
        train(offline(task, loss, packed, **more), tmp_path)


MASKS = ["cwd", "dist_seg", "dsd", "emkd", "fdwa_dkd", "fitnet_seg", "ifvd", "seg_kd", "skd"]


@pytest.mark.parametrize("loss", MASKS)
def test_losses_on_masks_are_refused_for_classes(packed, loss):
    with pytest.raises(UserError, match=rf"'{loss}' is for segmentation, this recipe's task is classification"):
        offline("classification", loss, packed)


@pytest.mark.parametrize("loss", ["dkd", "crd", "simkd"])
def test_losses_on_classes_are_refused_for_masks(packed, loss):
    with pytest.raises(UserError, match=rf"'{loss}' is for classification, this recipe's task is segmentation"):
        offline("segmentation", loss, packed)


SAID = [
    ("dkd", "classification", {"classes": 2}, "T->S1/dkd: with two classes the part of the other classes is 0"),
    ("nkd", "classification", {"classes": 2}, "T->S1/nkd: with two classes the part of the other classes is 0"),
    ("dist", "classification", {"classes": 2}, "T->S1/dist: with two classes the correlation within a sample"),
    ("dist", "classification", {"batch": 2}, "T->S1/dist: with so small batches the correlation by class"),
    ("semckd", "classification", {"batch": 4}, "T->S1/semckd: with batches below 8"),
    ("dist_seg", "segmentation", {"batch": 4}, "T->S1/dist_seg: with two classes only the correlation across pixels"),
    ("fdwa_dkd", "segmentation", {"batch": 4}, "T->S1/fdwa_dkd: with two classes there are no other classes"),
    ("skd", "segmentation", {"batch": 4, "options": {"holistic": True}}, "T->S1/skd: batches of 4 are small"),
]


@pytest.mark.parametrize(("loss", "task", "more", "note"), SAID)
def test_what_works_in_part_is_said_before_the_teacher_is_trained(
    tmp_path, packed, monkeypatch, loss, task, more, note
):
    printed = []
    monkeypatch.setattr("rich.console.Console.print", lambda self, *words, **style: printed.extend(map(str, words)))
    with pytest.raises(TrainingBeganError):
        train(offline(task, loss, packed, **more), tmp_path)
    assert any(line.startswith(f"note: {note}") for line in printed), printed


def test_simkd_says_that_it_copies_a_classifier_that_still_learns(tmp_path, packed, monkeypatch):
    printed = []
    monkeypatch.setattr("rich.console.Console.print", lambda self, *words, **style: printed.extend(map(str, words)))
    technique = {"name": "kd_online", "losses": [{"loss": "simkd"}]}
    with pytest.raises(TrainingBeganError):
        train(recipe_for("classification", technique, packed), tmp_path)
    assert any("T->S1/simkd: the teacher trains along" in line for line in printed)
