"""Masks of several classes, and with pixels that are to be ignored, in the real loop."""

import pandas as pd
import pytest
from PIL import Image

from preceptor.data.sources.phantom import phantom
from preceptor.errors import UserError
from preceptor.knowledge import catalogue
from preceptor.specs import IGNORED

from .phantoms import STUDENTS, recipe_for, train

CLASSES = ["background", "tumour", "lymphocytes", "adipose"]
COUNTED = 24 * 32  # pixels of an image


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """A recipe's data: phantom fields of four classes, of which the right quarter is to be ignored."""
    folder = tmp_path_factory.mktemp("marked")
    table = phantom(task="segmentation", images=16, size=32, patients=8, mask_classes=4)
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for row in range(len(table)):
        image, mask = table.read(row)
        mask = mask.copy()
        mask[:, 24:] = IGNORED
        name = f"p{row // 2}_{row}.png"
        Image.fromarray(image).save(folder / "images" / name)
        Image.fromarray(mask).save(folder / "masks" / name)
    options = {"classes": CLASSES, "mask_ignore": IGNORED, "group": r"^(p\d+)_"}
    return {"source": "folder", "path": str(folder), "options": options}


def test_every_class_has_scores_and_ignored_pixels_have_none(tmp_path, packed, marked):
    augment = {"flip_horizontal": True, "rotate": 20.0, "shift": 0.1}
    recipe = recipe_for(
        "segmentation", {"name": "ml"}, packed, data=marked, augment=augment, networks={"count": 2},
        training={"epochs": 1, "monitor": "iou.lymphocytes"},
    )  # fmt: skip
    result, _ = train(recipe, tmp_path)
    scores = result.test["S1"]
    assert {f"{name}.{of}" for name in ("iou", "f1") for of in CLASSES[1:]} < scores.keys()
    counts = pd.read_csv(tmp_path / "predictions" / "test.csv")
    assert sorted(set(counts["class"])) == [1, 2, 3]
    assert (counts[["tp", "fp", "fn", "tn"]].sum(axis=1) == COUNTED).all()
    mine = counts[(counts["network"] == "S1") & (counts["class"] == 2)].sum()
    assert scores["iou.lymphocytes"] == pytest.approx(mine["tp"] / (mine["tp"] + mine["fp"] + mine["fn"]))
    assert "25.0% of the masks' pixels are ignored" in " ".join(result.notes)


def test_the_class_that_chooses_weights_is_one_of_the_masks(tmp_path, packed, marked):
    def refused(monitor, data=marked):
        recipe = recipe_for("segmentation", {"name": "baseline"}, packed, data=data, training={"monitor": monitor})
        with pytest.raises(UserError) as error:
            train(recipe, tmp_path)
        return str(error.value)

    assert "these masks have iou.tumour, iou.lymphocytes, iou.adipose, got 'iou.nerve'" in refused("iou.nerve")
    assert "f1.tumour, f1.lymphocytes" in refused("f1.background")
    more = {**marked, "options": {**marked["options"], "classes": [*CLASSES, "nerve"]}}
    assert "no mask of the validation part holds nerve" in refused("iou.nerve", more)
    with pytest.raises(UserError, match=r"segmentation has iou.*, got 'iou\.'"):
        recipe_for("segmentation", {"name": "baseline"}, packed, data=marked, training={"monitor": "iou."})


TECHNIQUES = [
    *({"name": name} for name in ("baseline", "kd_online", "ml", "kd_ml", "dynamic_kd")),
    *({"name": "kd_ml", "strategy": strategy} for strategy in ("features", "diverse")),
    {"name": "multi_part", "every": 1},
    {"name": "multi_teacher", "integration": "ce"},
    *(
        {"name": "kd_offline", "losses": [{"loss": key}]}
        for key, entry in catalogue.losses().items()
        if "segmentation" in entry.settings
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("technique", TECHNIQUES, ids=str)
def test_every_technique_and_loss_for_masks_takes_several_classes(tmp_path, packed, marked, technique):
    networks = {"count": 2} if technique["name"] in ("ml", "kd_ml") else {}
    if technique["name"] == "multi_teacher":
        networks = {"teacher": None, "teachers": [STUDENTS["segmentation"]] * 2}
    compares_positions = technique.get("losses") == [{"loss": "token_kl"}]  # of which the last map has one at 32 px
    data = {**marked, "image_size": 64 if compares_positions else 32}
    recipe = recipe_for("segmentation", technique, packed, data=data, training={"epochs": 2}, networks=networks)
    result, _ = train(recipe, tmp_path)
    assert "iou.adipose" in result.test[result.chosen]
