"""Images without a mask among images with one: how they come in, which masks are hidden, what a batch holds of them."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from preceptor.data.batches import Batches
from preceptor.data.inspect import inspect
from preceptor.data.prepare import prepare, prepare_whole
from preceptor.data.sources import open_source
from preceptor.data.unlabelled import labelled, with_more
from preceptor.errors import UserError
from preceptor.recipe import parse_recipe
from preceptor.specs import IGNORED, AugmentSpec

UNMASKED = 3
"""Of the images of each of eight patients, this one has no mask in the table."""


@pytest.fixture
def folder(tmp_path):
    """Four images of each of eight patients, their masks, and a table in which one mask of each is not named."""
    draw = np.random.default_rng(0)
    rows = []
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for number in range(32):
        place = f"p{number // 4}_{number % 4}.png"
        Image.fromarray(draw.integers(0, 256, (8, 12, 3), dtype=np.uint8)).save(tmp_path / "images" / place)
        mask = np.zeros((8, 12), dtype=np.uint8)
        mask[2:5, 3 : 4 + number % 6] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / place)
        is_there = number % 4 != UNMASKED
        rows.append({"image": place, "mask": place if is_there else "", "patient": place[:2]})
    pd.DataFrame(rows).to_csv(tmp_path / "table.csv", index=False)
    return tmp_path


def recipe_of(folder, **changes):
    options = {"csv": "table.csv", "mask": "mask", "group": "patient"}
    raw = {
        "task": "segmentation",
        "data": {
            "source": "table",
            "path": str(folder),
            "options": {**options, "image_folder": "images", "mask_folder": "masks"},
            "image_size": 8,
            "cache": str(folder / "cache"),
        },
        "split": {"fractions": [0.5, 0.25, 0.25]},
        "networks": {"student": {"architecture": "unet", "encoder": "resnet10t", "weights": "none"}, "count": 2},
        "technique": {"name": "ml"},
    }
    return parse_recipe(raw).with_(changes)


def plain(folder, **changes):
    """A recipe of the folder of images and that of masks, where all have one."""
    return recipe_of(folder, **{"data.source": "folder", "data.options": {"group": "p."}, **changes})


def shown(prepared, augment=None):
    """The targets of the training part, and whether their masks are known."""
    rows = prepared.with_unlabelled("train")
    batch = next(iter(Batches(prepared.packed, rows, batch_size=len(rows), augment=augment).epoch(0)))
    return batch.targets.numpy(), np.isin(rows, prepared.rows["train"]), batch.images


def test_empty_cells_are_images_without_a_mask_in_the_training_part_alone(folder):
    prepared = prepare(recipe_of(folder))
    frame = prepared.packed.frame
    assert frame["id"][~frame["known"]].tolist() == [f"p{patient}_{UNMASKED}" for patient in range(8)]
    assert list(prepared.unlabelled) == ["train"]
    assert len(prepared.unlabelled["train"]) == 4
    assert all(frame["known"].iloc[rows].all() for rows in prepared.rows.values())
    assert prepared.labels_used == {"train": 12, "validation": 6, "test": 6}
    assert any(note.startswith("4 images without a label are in the training part; 4 more") for note in prepared.notes)
    assert "Labels used: 12 of the training part" in " ".join(prepared.notes)
    listed = pd.read_csv(pd.io.common.StringIO(prepared.split_csv()))
    assert (listed["split"][~listed["known"]] == "train").all()


def test_of_an_unknown_mask_every_pixel_counts_as_unknown_and_none_as_ignored(folder):
    targets, known, _ = shown(prepare(recipe_of(folder)), AugmentSpec(rotate=30, shift=0.2))
    assert set(np.unique(targets[known])) == {0, 1}
    assert (targets[~known] == -1).all()
    assert not known.all()


@pytest.mark.parametrize("place", [{"data.resize": "pad"}, {"data.tile": {"size": 10}}])
def test_what_is_filled_up_around_an_image_stays_ignored(folder, place):
    some, every = prepare(recipe_of(folder, **place)), prepare(plain(folder, **place))
    targets, known, _ = shown(some)
    whole, _, _ = shown(every)
    assert ((targets == IGNORED) == (whole == IGNORED)).all()
    assert set(np.unique(targets[~known])) == {-1, IGNORED}
    assert (targets[known] == whole[known]).all()


def test_images_with_drawn_and_with_filled_pixels_to_ignore_hide_no_masks(folder):
    changes = {"data.resize": "pad", "split.labels": {"fraction": 0.5}}
    drawn = {"data.options": {"group": "p.", "mask_values": [0, 255], "mask_ignore": [7]}}
    with pytest.raises(UserError, match=r"split\.labels: of a hidden mask"):
        prepare(plain(folder, **changes, **drawn))
    targets, known, _ = shown(prepare(plain(folder, **changes)))
    assert set(np.unique(targets[~known])) == {-1, IGNORED}


@pytest.mark.parametrize("place", [{}, {"data.tile": {"size": 6}}])
def test_hidden_masks_are_of_whole_images_and_fewer_are_part_of_more(folder, place):
    every, half, few = (
        prepare(plain(folder, **place, **({"split.labels": labels} if labels else {})))
        for labels in (None, {"fraction": 0.5}, {"count": 3})
    )
    ids = every.packed.frame.get("parent", every.packed.frame["id"])
    assert set(few.rows["train"]) < set(half.rows["train"]) < set(every.rows["train"])
    assert (ids.iloc[half.rows["train"]].nunique(), ids.iloc[few.rows["train"]].nunique()) == (8, 3)
    for some in (half, few):
        assert not set(ids.iloc[some.rows["train"]]) & set(ids.iloc[some.unlabelled["train"]])
        assert some.with_unlabelled("train").tolist() == every.rows["train"].tolist()
        assert all(some.rows[part].tolist() == every.rows[part].tolist() for part in ("validation", "test"))
        assert some.packed.fingerprint == every.packed.fingerprint
    with pytest.raises(UserError, match=r"split\.labels\.count: 40 images"):
        prepare(plain(folder, **place, **{"split.labels": {"count": 40}}))


def test_what_a_hidden_mask_holds_reaches_no_batch(folder):
    recipe = plain(folder, **{"split.labels": {"fraction": 0.5}})
    before = prepare(recipe)
    targets, known, images = shown(before)
    lost = before.packed.frame["id"].iloc[before.unlabelled["train"]].tolist()
    for place in lost:
        Image.fromarray(np.full((8, 12), 255, dtype=np.uint8)).save(folder / "masks" / f"{place}.png")
    after, still_known, same = shown(prepare(recipe))
    assert (after == targets).all()
    assert (still_known == known).all()
    assert same.equal(images)


def test_more_images_come_from_another_folder(folder, tmp_path_factory):
    more = tmp_path_factory.mktemp("more")
    for number in range(5):
        Image.fromarray(np.full((8, 12, 3), 40 * number, dtype=np.uint8)).save(more / f"{number}.png")
    prepared = prepare(plain(folder, **{"data.unlabelled": str(more)}))
    ids = prepared.packed.frame["id"].iloc[prepared.unlabelled["train"]]
    assert ids.tolist() == [f"unlabelled/{number}" for number in range(5)]
    assert "5 images of data.unlabelled have no mask." in prepared.notes
    targets, known, _ = shown(prepared)
    assert (targets[~known] == -1).all()
    assert known.sum() == 16


def test_more_images_are_read_as_the_others_are(folder, tmp_path_factory):
    more = tmp_path_factory.mktemp("more")
    draw = np.random.default_rng(1)
    Image.fromarray(draw.integers(0, 256, (8, 12, 3), dtype=np.uint8)).save(more / "0.png")
    usual, brighter = (
        prepare(plain(folder, **{"data.unlabelled": str(more), "data.options": {"group": "p.", **options}}))
        for options in ({}, {"range": [0, 100]})
    )
    rows = usual.unlabelled["train"]
    assert (brighter.packed.images[rows] > usual.packed.images[rows]).any()
    assert brighter.packed.levels
    assert (
        brighter.packed.levels
        == prepare(plain(folder, **{"data.options": {"group": "p.", "range": [0, 100]}})).packed.levels
    )


def test_more_images_are_read_as_those_of_a_table_of_runs_are(folder, tmp_path_factory):
    more = tmp_path_factory.mktemp("more")
    Image.fromarray(np.full((8, 12, 3), 100, dtype=np.uint8)).save(more / "0.png")
    pd.DataFrame({"image": ["p0_0.png", "p1_1.png"], "runs": ["3 5 20 4", ""]}).to_csv(folder / "runs.csv", index=False)
    options = {
        "csv": "runs.csv",
        "rle": "runs",
        "image_folder": "images",
        "unlisted": "ignore",
        "percentiles": [0, 100],
    }
    spec = recipe_of(folder, **{"data.options": options}).data
    table = with_more(open_source("table", str(folder), options, spec), str(more), spec)
    image, mask = table.read(2)
    assert image[0, 0].tolist() == [100, 100, 100], "black and white are those of all images"
    assert not mask.any()
    assert table.frame["known"].tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("source", "options"),
    [("folder", {}), ("paths", {"image": r"images/(?P<key>.+)\.png", "mask": r"masks/(?P<key>.+)\.png"})],
)
def test_a_folder_says_that_images_without_a_mask_have_none(folder, source, options):
    (folder / "masks/p3_1.png").unlink()
    with pytest.raises(UserError, match=r"1 images .*without a mask.*unpaired: unlabelled"):
        open_source(source, str(folder), options)
    table = open_source(source, str(folder), {**options, "unpaired": "unlabelled"})
    assert table.frame["id"][~table.frame["known"]].str.endswith("p3_1").all()
    assert (~table.frame["known"]).sum() == 1
    (folder / "images/p3_2.png").unlink()
    with pytest.raises(UserError, match=r"1 masks .*without an image"):
        open_source(source, str(folder), {**options, "unpaired": "unlabelled"})


def test_an_inspection_counts_masks_that_are_there(folder):
    options = {"csv": "table.csv", "mask": "mask", "group": "patient", "image_folder": "images", "mask_folder": "masks"}
    found = inspect(str(folder), "table", options)
    assert found.counts["all"].to_dict() == {"with a mask": 24, "no mask": 8}
    assert found.foreground[0] > 0
    assert not found.odd


def test_an_inspection_says_that_no_image_with_a_mask_could_be_read(folder):
    for place in (folder / "masks").iterdir():
        place.write_bytes(b"no picture")
    options = {"csv": "table.csv", "mask": "mask", "image_folder": "images", "mask_folder": "masks"}
    found = inspect(str(folder), "table", options)
    assert found.splitting == "cannot be split: no image that has a mask could be read"


def test_other_data_are_scored_where_they_have_a_mask(folder):
    recipe = recipe_of(folder)
    prepared = prepare_whole(recipe, str(folder))
    assert len(prepared.packed) == len(prepared.rows["test"]) == 24
    assert "8 images have no mask and are not scored." in prepared.notes
    table = pd.read_csv(folder / "table.csv")
    table.assign(kind=["", "a", "b", "a"] * 8).to_csv(folder / "table.csv", index=False)
    classes = {"csv": "table.csv", "label": "kind", "image_folder": "images"}
    other = labelled(open_source("table", str(folder), classes))
    assert (len(other), other.notes[-1]) == (24, "8 images have no label and are not scored.")
    assert (other.frame["label"] >= 0).all()


def test_without_any_mask_there_is_nothing_to_learn(folder):
    table = pd.read_csv(folder / "table.csv").assign(mask="")
    table.to_csv(folder / "table.csv", index=False)
    with pytest.raises(UserError, match="column mask is empty in every row"):
        prepare(recipe_of(folder))


def test_of_equal_images_the_one_with_a_mask_is_kept(folder):
    (folder / f"images/p0_{UNMASKED}.png").write_bytes((folder / "images/p0_0.png").read_bytes())
    (folder / f"images/p1_{UNMASKED}.png").write_bytes((folder / f"images/p2_{UNMASKED}.png").read_bytes())
    prepared = prepare(recipe_of(folder, **{"split.by": "image", "split.fractions": [0.4, 0.3, 0.3]}))
    kept = np.concatenate([prepared.with_unlabelled(part) for part in prepared.rows])
    ids = set(prepared.packed.frame["id"].iloc[kept])
    assert "p0_0" in ids
    assert f"p0_{UNMASKED}" not in ids
    assert len(ids & {f"p1_{UNMASKED}", f"p2_{UNMASKED}"}) == 1


def test_of_equal_images_with_different_masks_none_is_learned_from_where_masks_decide_on_nothing(folder):
    (folder / "images/p1_0.png").write_bytes((folder / "images/p0_0.png").read_bytes())
    changes = {"split.by": "image", "split.fractions": [0.9, 0.05, 0.05], "technique": {"name": "distil_features"}}
    teacher = {"architecture": "unet", "encoder": "resnet10t", "weights": "none"}
    prepared = prepare(recipe_of(folder, **changes, **{"networks.teacher": teacher, "networks.count": 1}))
    frame = prepared.packed.frame
    of_both = frame.index[frame["id"].isin(["p0_0", "p1_0"])]
    assert not set(of_both) & set(np.concatenate(list(prepared.rows.values())))
    assert any("1 images are equal to others that have another label" in note for note in prepared.notes)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"per_class": 4}, r"masks have no class per image.*split\.labels=\{count: 4\}"),
        ("none", "without any mask there is nothing to segment"),
        ({"count": 4, "fraction": 0.1}, "one of them"),
    ],
)
def test_what_masks_have_not_is_refused(folder, labels, said):
    with pytest.raises(UserError, match=said):
        plain(folder, **{"split.labels": labels})
