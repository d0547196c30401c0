import numpy as np
import pytest

from preceptor.data.prepare import prepare, rows_without
from preceptor.recipe import parse_recipe


def recipe_for(*, by="group", patients=8, **split):
    options = {"task": "classification", "images": 96, "size": 32, "patients": patients, "classes": 3}
    return parse_recipe(
        {
            "task": "classification",
            "data": {"source": "phantom", "options": options, "image_size": 32},
            "split": {"by": by, **split},
            "networks": {"student": {"architecture": "test_resnet", "weights": "none"}},
            "technique": {"name": "baseline"},
        }
    )


@pytest.mark.parametrize("by", ["group", "image"])
def test_every_training_image_is_left_out_once(by):
    recipe = recipe_for(by=by)
    prepared = prepare(recipe)
    train = prepared.rows["train"]
    left_out = [np.setdiff1d(train, rows_without(recipe, prepared, (number, 4))) for number in (1, 2, 3, 4)]
    assert sorted(np.concatenate(left_out)) == train.tolist()
    assert all(len(rows) for rows in left_out)


def test_no_patient_is_on_two_sides_of_a_fold():
    recipe = recipe_for()
    prepared = prepare(recipe)
    kept = rows_without(recipe, prepared, (2, 3))
    left_out = np.setdiff1d(prepared.rows["train"], kept)
    groups = prepared.packed.frame["group"].to_numpy()
    assert not set(groups[kept]) & set(groups[left_out])
    assert {*groups[kept], *groups[left_out]} == set(groups[prepared.rows["train"]])


def test_folds_are_those_of_the_splits_seed():
    def rows(split_seed, run_seed=0):
        recipe = recipe_for(by="image", seed=split_seed).model_copy(update={"seed": run_seed})
        return rows_without(recipe, prepare(recipe), (1, 3)).tolist()

    assert rows(5, run_seed=0) == rows(5, run_seed=1)
    assert rows(5) != rows(6)


def test_shots_are_a_part_of_the_training_part_alone():
    whole, few = prepare(recipe_for()), prepare(recipe_for(shots=3))
    assert set(few.rows["train"]) < set(whole.rows["train"])
    assert np.bincount(few.packed.frame["label"].to_numpy()[few.rows["train"]]).tolist() == [3, 3, 3]
    for part in ("validation", "test"):
        assert few.rows[part].tolist() == whole.rows[part].tolist()
