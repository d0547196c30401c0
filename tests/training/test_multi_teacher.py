"""Several teachers in whole runs on a few phantom images: identities, resuming, exports, few shots."""

import json

import pandas as pd
import pytest
from safetensors.torch import load_file

from preceptor.data.prepare import prepare
from preceptor.errors import UserError
from preceptor.opened_run import open_run
from preceptor.training import run
from preceptor.training.fit import train_stage

from .phantoms import NEW, exported, recipe_for, train

OTHER = {"architecture": "test_resnet", **NEW}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, packed, teachers):
    """Run folders of two unlike teachers of classes and one of masks."""
    other = tmp_path_factory.mktemp("other")
    baseline = {"name": "baseline", "network": "teacher"}
    train(recipe_for("classification", baseline, packed, networks={"teacher": OTHER}, training={"epochs": 1}), other)
    return {"resnet10t": teachers["classification"], "test_resnet": other, "unet": teachers["segmentation"]}


def several(trained, packed, *names, task="classification", networks=None, training=None, **technique):
    given = [str(trained[name]) for name in names]
    raw = {"name": "multi_teacher", "teachers": given, **technique}
    return recipe_for(task, raw, packed, networks=networks or {}, training={"epochs": 1, **(training or {})})


@pytest.mark.parametrize(
    ("task", "name", "integration"),
    [
        ("classification", "resnet10t", "val_acc"),
        ("segmentation", "unet", "ce"),
        pytest.param("classification", "resnet10t", "ce", marks=pytest.mark.slow),
        pytest.param("segmentation", "unet", "val_acc", marks=pytest.mark.slow),
    ],
)
def test_one_teacher_is_offline_distillation(tmp_path, packed, trained, task, name, integration):
    """The students' weights, the metrics and the scores are the same to the bit."""
    mine = several(trained, packed, name, task=task, integration=integration, networks={"count": 2})
    technique = {"name": "kd_offline", "teacher": str(trained[name]), "temperature": 4.0}
    plain = recipe_for(task, technique, packed, networks={"count": 2}, training={"epochs": 1})
    one, _ = train(mine, tmp_path / "several")
    other, _ = train(plain, tmp_path / "plain")
    for network in ("S1", "S2"):
        assert exported(tmp_path / "several", network) == exported(tmp_path / "plain", network)
    for file in ("metrics.csv", "predictions/test.csv"):
        assert (tmp_path / "several" / file).read_bytes() == (tmp_path / "plain" / file).read_bytes()
    for part in ("test", "validation", "fidelity", "chosen", "parameters"):
        assert getattr(one, part) == getattr(other, part)


def test_unlike_teachers_teach_both_students(tmp_path, packed, trained):
    """KD+ML from two teachers of which the recipe need not say the architecture; scored apart, exported as one."""
    recipe = several(trained, packed, "resnet10t", "test_resnet", networks={"teacher": None, "count": 2}, gamma=0.3)
    result, _ = train(recipe, tmp_path)
    assert list(result.test) == ["T1", "T2", "T", "S1", "S2", "ensemble", "ensemble_mean"]
    assert set(result.fidelity) == set(result.test) - {"T"}
    assert result.chosen in {"S1", "S2"}
    assert {path.name for path in (tmp_path / "networks").iterdir()} == {"T", "S1", "S2"}
    assert open_run(tmp_path).evaluate().scores == result.test
    alone = {
        f"T{number}": json.loads((trained[name] / "result.json").read_text())["validation"]["T"]["accuracy"]
        for number, name in enumerate(("resnet10t", "test_resnet"), start=1)
    }
    assert {name: result.validation[name]["accuracy"] for name in alone} == alone
    measured = ", ".join(f"{name} {score:.4f}" for name, score in alone.items())
    assert f"T weighs its sources by their validation accuracy: {measured}" in result.notes
    config = json.loads((tmp_path / "networks" / "T" / "config.json").read_text())
    assert config["_preceptor"]["built"]["options"]["scores"] == pytest.approx(alone)
    losses = pd.read_csv(tmp_path / "metrics.csv")
    assert {"loss:T->S1/kd", "loss:S2->S1/kd"} <= set(losses["metric"])


def test_masks_from_two_teachers(tmp_path, packed, trained):
    recipe = several(trained, packed, "unet", "unet", task="segmentation", integration="entropy")
    result, _ = train(recipe, tmp_path)
    assert result.test["T"]["iou"] == pytest.approx(result.test["T1"]["iou"], abs=1e-3), "twins agree"


@pytest.mark.slow
def test_folds_into_one_student_resumed(tmp_path, packed, interrupted):
    """Stopped while the second teacher trains and again while the student does, it ends with the same bits."""
    technique = {"name": "multi_teacher", "folds": 2, "integration": "val_acc"}
    recipe = recipe_for("classification", technique, packed, networks={"teacher": OTHER})
    train(recipe, tmp_path / "whole")
    interrupted(recipe, tmp_path / "stopped", stage="teacher2", epoch=1, step=1)
    interrupted(recipe, tmp_path / "stopped", stage="main", epoch=1, step=2)
    train(recipe, tmp_path / "stopped")
    for name in ("S1", "T", "T/sources/T2"):
        assert exported(tmp_path / "whole", name) == exported(tmp_path / "stopped", name)
    assert (tmp_path / "whole" / "metrics.csv").read_bytes() == (tmp_path / "stopped" / "metrics.csv").read_bytes()
    one, other = (json.loads((tmp_path / run / "result.json").read_text()) for run in ("whole", "stopped"))
    for part in ("test", "validation", "notes"):
        assert one[part] == other[part]
    first, second = (load_file(tmp_path / "whole" / f"networks/T/sources/T{k}/model.safetensors") for k in (1, 2))
    assert any(not first[key].equal(second[key]) for key in first)


def test_each_teacher_is_trained_without_its_fold_and_the_student_on_all(tmp_path, packed, monkeypatch):
    """The rows that each stage is given: every training image is left out by one teacher, with all of its patient."""
    given = {}

    def noting(fabric, stage, cohort, batches, *more, **options):
        given[stage.name] = batches.rows.tolist()
        return train_stage(fabric, stage, cohort, batches, *more, **options)

    monkeypatch.setattr(run, "train_stage", noting)
    technique = {"name": "multi_teacher", "folds": 3, "integration": "average"}
    recipe = recipe_for("classification", technique, packed, networks={"teacher": OTHER}, training={"epochs": 1})
    train(recipe, tmp_path)
    everything = given.pop("main")
    assert list(given) == ["teacher1", "teacher2", "teacher3"]
    left_out = [set(everything) - set(rows) for rows in given.values()]
    assert sorted(row for rows in left_out for row in rows) == sorted(everything)
    groups = prepare(recipe).packed.frame["group"]
    for kept, out in zip(given.values(), left_out, strict=True):
        assert not set(groups.iloc[kept]) & set(groups.iloc[list(out)])


def test_a_teacher_of_classes_in_another_order_is_refused(tmp_path, packed, trained):
    folder = tmp_path / "T"
    folder.mkdir()
    for file in ("config.json", "model.safetensors"):
        (folder / file).write_bytes((trained["test_resnet"] / "networks" / "T" / file).read_bytes())
    config = json.loads((folder / "config.json").read_text())
    config["_preceptor"]["classes"].reverse()
    for key in ("sha256", "weights_sha256", "preprocessing"):  # as an older version wrote it
        del config["_preceptor"][key]
    (folder / "config.json").write_text(json.dumps(config))
    recipe = several({**trained, "other": folder}, packed, "resnet10t", "other")
    with pytest.raises(UserError, match="the same ones in another order"):
        train(recipe, tmp_path / "run")


def test_a_teacher_that_has_seen_the_test_images_is_refused(tmp_path, packed, trained):
    recipe = several(trained, packed, "resnet10t", "test_resnet")
    other = recipe.model_copy(update={"split": recipe.split.model_copy(update={"seed": 1})})
    with pytest.raises(UserError, match=r"technique.teachers, number 1: .* images that are validation or test here"):
        train(other, tmp_path)


def test_few_shots_take_teachers_of_the_whole_training_part(tmp_path, packed, trained):
    recipe = several(trained, packed, "resnet10t", "test_resnet", training={"batch_size": 4})
    result, _ = train(recipe.model_copy(update={"split": recipe.split.model_copy(update={"shots": 2})}), tmp_path)
    assert pd.read_csv(tmp_path / "split.csv")["split"].value_counts()["train"] == 6
    assert any("training samples are used (shots 2)" in note for note in result.notes)


def test_a_committee_is_no_single_teacher_but_its_members_are(tmp_path, packed, trained):
    train(several(trained, packed, "resnet10t", "test_resnet", networks={"count": 1}), tmp_path / "first")
    recipe = several({"again": tmp_path / "first"}, packed, "again")
    with pytest.raises(UserError, match=r"is a network built on T1, T2; give single networks instead, .*sources"):
        train(recipe, tmp_path / "second")
    recipe = several({"member": tmp_path / "first/networks/T/sources/T2"}, packed, "member")
    other = recipe.model_copy(update={"split": recipe.split.model_copy(update={"seed": 1})})
    with pytest.raises(UserError, match="images that are validation or test here"):
        train(other, tmp_path / "second")
