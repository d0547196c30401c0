import numpy as np
import pandas as pd
import pytest

from preceptor.data.prepare import prepare, training_folds
from preceptor.errors import UserError
from preceptor.recipe import parse_recipe

from .trees import save_image, save_mask


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
def test_folds_are_grouped_as_the_split_is(by):
    recipe = recipe_for(by=by)
    prepared = prepare(recipe)
    folds = training_folds(recipe, prepared, 3)
    assert len(folds) == len(prepared.rows["train"])
    assert set(folds) == {0, 1, 2}
    groups = prepared.packed.frame["group"].to_numpy()[prepared.rows["train"]]
    sides = pd.DataFrame({"group": groups, "fold": folds}).drop_duplicates()
    assert sides["group"].is_unique == (by == "group")


def test_folds_are_those_of_the_splits_seed():
    def folds(split_seed, run_seed=0):
        recipe = recipe_for(by="image", seed=split_seed).model_copy(update={"seed": run_seed})
        return training_folds(recipe, prepare(recipe), 3).tolist()

    assert folds(5, run_seed=0) == folds(5, run_seed=1)
    assert folds(5) != folds(6)


def test_shots_are_a_part_of_the_training_part_alone():
    whole, few = prepare(recipe_for()), prepare(recipe_for(shots=3))
    assert set(few.rows["train"]) < set(whole.rows["train"])
    assert np.bincount(few.packed.frame["label"].to_numpy()[few.rows["train"]]).tolist() == [3, 3, 3]
    for part in ("validation", "test"):
        assert few.rows[part].tolist() == whole.rows[part].tolist()


def masks_recipe(root, filled):
    """Twenty images, of which those that ``filled`` names have something in their masks."""
    for number in range(20):
        save_image(root / "images" / f"{number:02}.png", seed=number)
        save_mask(root / "masks" / f"{number:02}.png", side=4 if number in filled else 0)
    network = {"architecture": "unet", "encoder": "resnet10t", "weights": "none"}
    return parse_recipe(
        {
            "task": "segmentation",
            "data": {"source": "folder", "path": str(root), "image_size": 32},
            "split": {"by": "image"},
            "networks": {"student": network, "count": 1},
            "technique": {"name": "baseline"},
        }
    )


def test_masks_in_which_there_is_nothing_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"every mask is empty: all pixels are 'background'"):
        prepare(masks_recipe(tmp_path / "none", filled=()))
    rows = prepare(masks_recipe(tmp_path / "all", filled=range(20))).rows
    with pytest.raises(UserError, match=r"every mask of the training part is empty(?s:.)*split\.seed"):
        prepare(masks_recipe(tmp_path / "test", filled=rows["test"].tolist()))
    notes = prepare(masks_recipe(tmp_path / "train", filled=rows["train"].tolist())).notes
    assert [note[:38] for note in notes if "empty" in note] == [
        "Every mask of the validation part is e",
        "Every mask of the test part is empty, ",
    ]


@pytest.mark.parametrize("tile", [{}, {"tile": {"size": 8, "overlap": 0}}], ids=["whole", "tiles"])
def test_of_equal_images_with_different_masks_none_is_kept(tmp_path, tile):
    for number in range(12):
        save_image(tmp_path / "images" / f"{number}.png", number // 2 if number < 4 else number, (16, 16))
        save_mask(tmp_path / "masks" / f"{number}.png", (16, 16), side=6 if number == 1 else 4)
    networks = {"student": {"architecture": "unet", "encoder": "resnet10t", "weights": "none"}}
    data = {"source": "folder", "path": str(tmp_path), "cache": str(tmp_path / "cache"), "image_size": 16} | tile
    if tile:
        del data["image_size"]
    prepared = prepare(
        parse_recipe({"task": "segmentation", "data": data, "networks": networks, "technique": {"name": "baseline"}})
    )
    frame = prepared.packed.frame
    used = frame.iloc[np.concatenate(list(prepared.rows.values()))]
    assert {*range(12)} - set(used["parent" if tile else "id"].astype(int)) == {0, 1, 3}
    assert any("different labels: none is kept" in note for note in prepared.notes)
    assert any("the same label: one of each is kept" in note for note in prepared.notes)
