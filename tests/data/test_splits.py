"""Splits keep groups together, hit their fractions, depend on (table, seed) only, and refuse leaks."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from preceptor.data.samples import sample_frame
from preceptor.data.sources import open_source
from preceptor.data.splits import check_leaks, fold_numbers, settle_duplicates, split
from preceptor.data.subsets import few_shot, subset
from preceptor.errors import UserError
from preceptor.specs import SplitSpec

PARTS = ["train", "validation", "test"]
FRACTIONS = (0.75, 0.10, 0.15)


def frame_of(labels, groups=None, splits=None, pixels=None, ids=None):
    ids = [f"image{number:05d}" for number in range(len(labels))] if ids is None else ids
    frame = sample_frame(ids, ids, labels=labels, groups=groups, splits=splits)
    return frame if pixels is None else frame.assign(pixels=pd.Series(pixels, dtype=object))


def grouped(groups=40, classes=4, seed=0):
    """Groups of 5 to 60 samples, each with a class mixture of its own."""
    rng = np.random.default_rng(seed)
    labels, names = [], []
    for group in range(groups):
        count = int(rng.integers(5, 60))
        labels += rng.choice(classes, size=count, p=rng.dirichlet(np.ones(classes))).tolist()
        names += [f"patient{group:03d}"] * count
    return frame_of(labels, names)


def shares(frame, parts):
    return np.array(
        [[(parts == part)[frame["label"] == c].mean() for part in PARTS] for c in sorted(set(frame["label"]))]
    )


def test_by_image_is_exact_in_every_class():
    frame = frame_of([0] * 100 + [1] * 20 + [2] * 3)
    done = split(frame)
    counts = pd.crosstab(frame["label"], done.parts)[PARTS].to_numpy().tolist()
    assert counts == [[75, 10, 15], [15, 2, 3], [1, 1, 1]]
    assert done.by == "image"
    assert done.notes == ("Split by image: no groups are known, images of one patient can be on both sides.",)


@pytest.mark.parametrize("seed", range(3))
def test_groups_stay_together_and_classes_are_spread(seed):
    frame = grouped()
    done = split(frame, seed=seed, grouping="patient")
    assert done.by == "group"
    assert pd.DataFrame({"g": frame["group"], "p": done.parts}).drop_duplicates()["g"].is_unique
    assert np.abs(shares(frame, done.parts) - FRACTIONS).max() < 0.05


def test_masks_are_split_by_group_size():
    frame = grouped(groups=30)
    frame["label"] = -1
    done = split(frame)
    assert np.abs(shares(frame, done.parts) - FRACTIONS).max() < 0.03


def test_seeds_differ_and_repeat():
    frame = grouped(groups=20)
    parts = [split(frame, seed=seed).parts for seed in range(12)]
    assert split(frame, seed=1).parts.equals(parts[1])
    assert len({tuple(part) for part in parts}) > 6
    tested = {group for part in parts for group in frame.loc[part == "test", "group"]}
    assert len(tested) > 9, "over many seeds most groups must come into the test part"


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans(), st.integers(0, 3))
def test_row_order_changes_nothing(random, with_groups, seed):
    frame = grouped(groups=12, classes=2)
    frame = frame if with_groups else frame.assign(group=None)
    order = list(range(len(frame)))
    random.shuffle(order)
    shuffled = frame.iloc[order].reset_index(drop=True)
    by_id = split(frame, seed=seed, train_fraction=0.5).parts.set_axis(frame["id"])
    again = split(shuffled, seed=seed, train_fraction=0.5).parts.set_axis(shuffled["id"])
    assert again.loc[by_id.index].equals(by_id)


def test_rows_gives_index_labels():
    frame = frame_of([0, 1] * 20)
    frame = frame.drop(index=[0, 5])
    done = split(frame)
    assert sorted(np.concatenate([done.rows(part) for part in PARTS])) == frame.index.tolist()


def test_parts_may_be_left_out():
    frame = grouped()
    done = split(frame, fractions=(0.8, 0.0, 0.2))
    assert set(done.parts) == {"train", "test"}
    assert abs((done.parts == "test").mean() - 0.2) < 0.03
    for wrong in ((0.5, 0.1, 0.1), (0.0, 0.5, 0.5), (1.2, -0.1, -0.1)):
        with pytest.raises(UserError, match="must add up to 1"):
            split(frame, fractions=wrong)


def test_equal_pixels_stay_together_even_across_groups():
    """Groups 0 and 1 share an image, 1 and 2 another: the three are one unit."""
    groups = [f"g{number // 4}" for number in range(80)]
    pixels = [f"x{number}" for number in range(80)]
    pixels[4] = pixels[0]
    pixels[8] = pixels[5]
    frame = frame_of([0, 1] * 40, groups, pixels=pixels)
    for seed in range(10):
        parts = split(frame, seed=seed).parts
        assert parts.iloc[:12].nunique() == 1
    by_image = split(frame, by="image", seed=0).parts
    assert by_image.iloc[0] == by_image.iloc[4]
    assert by_image.iloc[5] == by_image.iloc[8]


def test_by_image_says_how_many_groups_are_shared():
    frame = frame_of([0, 1] * 30, ["a"] * 30 + [f"g{number}" for number in range(30)])
    done = split(frame, by="image", grouping="patient")
    assert done.by == "image"
    assert done.notes == ("Split by image: 1 of 31 patients are in more than one part, so results are optimistic.",)


def test_official_parts_are_kept():
    splits = ["train"] * 20 + ["validation"] * 4 + ["test"] * 6
    done = split(frame_of([0, 1] * 15, splits=splits))
    assert (done.by, done.parts.tolist(), done.notes) == ("official", splits, ())


def test_missing_official_parts_are_carved_out_of_training_by_group():
    groups = [f"g{number // 2}" for number in range(80)] + [f"t{number}" for number in range(20)]
    frame = frame_of([0, 1] * 50, groups, ["train"] * 80 + ["test"] * 20)
    done = split(frame, grouping="patient")
    assert done.parts.iloc[80:].eq("test").all()
    carved = done.parts.iloc[:80]
    assert set(carved) == {"train", "validation"}
    assert abs((carved == "validation").mean() - 0.10 / 0.85) < 0.03
    assert carved.groupby(frame["group"].iloc[:80]).nunique().eq(1).all()
    assert "no official validation part: it was carved out of the official training part, by patient" in done.notes[0]
    only_train = split(frame.assign(split="train"))
    assert set(only_train.parts) == set(PARTS)


def test_official_parts_that_leak_are_refused():
    splits = ["train"] * 10 + ["validation"] * 4 + ["test"] * 6
    groups = [f"g{number}" for number in range(20)]
    groups[19] = "g0"
    frame = frame_of([0, 1] * 10, groups, splits)
    with pytest.raises(
        UserError, match="leak: 1 patients are in more than one part, for example 'g0' in test and train"
    ):
        split(frame, grouping="patient")
    pixels = [f"x{number}" for number in range(20)]
    pixels[12] = pixels[1]
    frame = frame_of([0, 1] * 10, None, splits, pixels)
    with pytest.raises(
        UserError, match=r"leak: 1 sets of equal images .* image00001, image00012 in train and validation"
    ):
        split(frame)


def test_official_needs_every_row():
    frame = frame_of([0, 1] * 10, splits=["train"] * 19 + [None])
    with pytest.raises(UserError, match="1 samples are in no official part"):
        split(frame)
    with pytest.raises(UserError, match="expected train"):
        split(frame.assign(split="test"))
    with pytest.raises(UserError, match="has no official parts"):
        split(frame.assign(split=None), by="official")


def test_too_little_to_split():
    with pytest.raises(UserError, match="class 'rare' has 2 images: too small to be in 3 parts"):
        split(frame_of([0] * 20 + [1] * 2), classes=("common", "rare"))
    with pytest.raises(UserError, match=r"class 'rare' has 2 patients \(9 samples\): too small"):
        split(
            frame_of([0] * 20 + [1] * 9, [f"p{n}" for n in range(20)] + ["p0"] * 4 + ["p1"] * 5),
            classes=("common", "rare"),
            grouping="patient",
        )
    with pytest.raises(UserError, match="only one patient in 10 samples: 3 parts need at least 3"):
        split(frame_of([0, 1] * 5, ["p"] * 10), grouping="patient")
    with pytest.raises(UserError, match="only 2 groups in 10 samples"):
        split(frame_of([0, 1] * 5, ["p", "p", "q", "q", "q"] * 2))
    with pytest.raises(UserError, match="only 2 images"):
        split(frame_of([-1, -1]))


def test_empty_class():
    with pytest.raises(UserError, match="class 'nothing' has no samples"):
        split(frame_of([0] * 10 + [2] * 10), classes=("a", "nothing", "b"))
    with pytest.raises(UserError, match="class 'c' has no samples"):
        split(frame_of([0] * 10 + [1] * 10), classes=("a", "b", "c"))


def test_groups_must_be_complete_and_there():
    with pytest.raises(UserError, match="knows no groups"):
        split(frame_of([0, 1] * 10), by="group")
    with pytest.raises(UserError, match="2 samples have no lesion and others have"):
        split(frame_of([0, 1] * 10, [None, None] + [f"g{n}" for n in range(18)]), grouping="lesion")


def test_a_class_that_one_part_cannot_have_is_refused_or_told():
    """Three groups hold class 1, but two of them are bound to one unit by equal images."""
    groups = [f"g{number}" for number in range(30)]
    pixels = [f"x{number}" for number in range(30)]
    pixels[1] = pixels[0]
    frame = frame_of([1, 1, 1] + [0] * 27, groups, pixels=pixels)
    with pytest.raises(UserError, match="class '1' has 2 groups"):
        split(frame)
    official = frame_of([0, 1] * 10, splits=["train"] * 10 + ["validation"] + ["test"] * 9)
    assert split(official).notes == ("Class '1' has no sample in the validation part.",)
    official.loc[official["split"] == "test", "label"] = 0
    with pytest.raises(UserError, match="class '1' has no sample in the test part"):
        split(official)


def test_train_fraction_is_stratified_and_nested():
    frame = frame_of([0] * 200 + [1] * 40)
    full = split(frame, seed=3).parts
    smaller = [split(frame, seed=3, train_fraction=share).parts for share in (0.05, 0.25, 0.5)]
    for few, many in zip(smaller, [*smaller[1:], full], strict=True):
        assert set(few.index[few == "train"]) < set(many.index[many == "train"])
        assert few[full != "train"].equals(full[full != "train"])
        assert set(few[full == "train"]) == {"train", "unused"}
    assert frame["label"][smaller[1] == "train"].value_counts().to_dict() == {0: 38, 1: 8}
    assert "7 of 180" in split(frame, seed=3, train_fraction=0.04).notes[-1]


def test_subset_keeps_at_least_one_of_each_class():
    frame = frame_of([0] * 50 + [1])
    assert set(frame["label"].iloc[subset(frame, 0.01, seed=0)]) == {0, 1}
    assert subset(frame, 1.0, seed=0).tolist() == list(range(51))


def test_few_shot():
    frame = frame_of([0, 1, 2] * 10)
    rows = few_shot(frame, 4, seed=1)
    assert frame["label"].iloc[rows].value_counts().to_dict() == {0: 4, 1: 4, 2: 4}
    assert set(few_shot(frame, 2, seed=1)) < set(rows)
    assert few_shot(frame, 4, seed=2).tolist() != rows.tolist()


def test_few_shot_names_classes_that_have_fewer():
    frame = frame_of([0] * 12 + [1] * 3 + [2] * 2)
    message = r"split.shots: 4 images per class were asked for, .* class 'b' has 3, 'c' has 2; ask for at most 2"
    with pytest.raises(UserError, match=message):
        few_shot(frame, 4, seed=0, classes=("a", "b", "c"))


def test_few_shot_takes_whole_images():
    """Of 5 images with 3 tiles each, 2 with all their tiles."""
    frame = frame_of([-1] * 15, ids=[f"image{n // 3}-{n % 3}" for n in range(15)])
    frame = frame.assign(parent=[f"image{n // 3}" for n in range(15)])
    kept = frame.iloc[few_shot(frame, 2, seed=0)]
    assert kept["parent"].value_counts().tolist() == [3, 3]


def test_shots_leave_validation_and_test_as_they_are():
    frame = grouped()
    whole, few = split(frame, seed=3), split(frame, seed=3, shots=5)
    for part in ("validation", "test"):
        assert few.rows(part).tolist() == whole.rows(part).tolist()
    assert set(few.rows("train")) < set(whole.rows("train"))
    assert frame.loc[few.rows("train"), "label"].value_counts().to_dict() == dict.fromkeys(range(4), 5)
    assert f"20 of {len(whole.rows('train'))} training samples are used (shots 5)." in few.notes


@pytest.mark.parametrize("few", [{"shots": 5}, {"train_fraction": 0.1}])
def test_other_images_of_the_same_split(few):
    frame = grouped()
    one, other = (split(frame, seed=3, shots_seed=seed, **few) for seed in (3, 4))
    assert one.rows("train").tolist() == split(frame, seed=3, **few).rows("train").tolist()
    assert one.rows("train").tolist() != other.rows("train").tolist()
    assert one.rows("test").tolist() == other.rows("test").tolist()


@pytest.mark.parametrize("seed", range(2))
def test_folds_keep_groups_together_and_spread_classes(seed):
    frame = grouped()
    folds = fold_numbers(frame, 5, seed=seed, by_group=True)
    assert pd.DataFrame({"g": frame["group"], "f": folds}).drop_duplicates()["g"].is_unique
    shares = pd.crosstab(frame["label"], folds, normalize="index").to_numpy()
    assert shares.shape == (4, 5)
    assert np.abs(shares - 0.2).max() < 0.08


def test_folds_by_image_are_exact_and_depend_on_table_and_seed_alone():
    frame = frame_of([0] * 50 + [1] * 10)
    folds = fold_numbers(frame, 5, seed=0, by_group=False)
    assert pd.crosstab(frame["label"], folds).to_numpy().tolist() == [[10] * 5, [2] * 5]
    order = np.random.default_rng(0).permutation(60)
    assert fold_numbers(frame.iloc[order], 5, seed=0, by_group=False).tolist() == folds[order].tolist()
    assert fold_numbers(frame, 5, seed=1, by_group=False).tolist() != folds.tolist()


def test_equal_pixels_stay_in_one_fold():
    frame = frame_of([0, 1] * 20, pixels=[f"p{number // 4}" for number in range(40)])
    folds = fold_numbers(frame, 3, seed=0, by_group=False)
    assert pd.DataFrame({"p": frame["pixels"], "f": folds}).drop_duplicates()["p"].is_unique


@pytest.mark.parametrize(
    ("labels", "groups", "message"),
    [
        ([0, 1] * 6, ["a", "b", "c"] * 4, "4 folds of 3 patients: ask for at most 3"),
        (
            [0] * 8 + [1] * 2,
            list("abcdabcdee"),
            r"class 'b' has 1 patient\(s\), all in one of 4 folds",
        ),
    ],
)
def test_folds_that_cannot_be_are_refused(labels, groups, message):
    with pytest.raises(UserError, match=message):
        fold_numbers(frame_of(labels, groups), 4, seed=0, by_group=True, classes=("a", "b"), grouping="patient")


def equal_frame(splits=None):
    """Rows 0 = 1 with one label, 2 = 3 = 4 with two labels."""
    return frame_of([0, 0, 1, 0, 1, 1], splits=splits, pixels=["a", "a", "b", "b", "b", "c"])


def test_dropping_duplicates():
    kept, notes = settle_duplicates(equal_frame(), "drop")
    assert kept["id"].tolist() == ["image00000", "image00005"]
    assert kept.index.tolist() == [0, 5], "rows keep their number in the table"
    assert "one of each is kept (image00000 = image00001)" in notes[0]
    assert "none is kept (image00002 = image00003 = image00004)" in notes[1]


def test_of_official_parts_the_test_copy_is_kept():
    kept, _ = settle_duplicates(equal_frame(["train", "test", *["train"] * 4]), "drop")
    assert kept["id"].tolist() == ["image00001", "image00005"]
    kept, _ = settle_duplicates(equal_frame(["train", "validation", *["train"] * 4]), "drop")
    assert kept["id"].tolist() == ["image00001", "image00005"]


def test_other_policies_on_duplicates():
    frame = equal_frame()
    kept, notes = settle_duplicates(frame, "keep")
    assert kept is frame
    assert "2 sets of equal images are kept on one side" in notes[0]
    with pytest.raises(UserError, match="2 sets of images have equal pixels: image00000 = image00001; image00002"):
        settle_duplicates(frame, "error")
    for policy in ("drop", "keep", "error"):
        unique = frame.drop_duplicates("pixels")
        assert settle_duplicates(unique, policy) == (unique, ()) or settle_duplicates(unique, policy)[1] == ()


def test_equal_images_with_other_masks_disagree():
    frame = frame_of([-1, -1, -1, -1], pixels=["a", "a", "b", "b"]).assign(mask_pixels=["m", "m", "m", "n"])
    kept, _ = settle_duplicates(frame, "drop")
    assert kept["id"].tolist() == ["image00000"]


def test_unused_rows_cannot_leak():
    frame = frame_of([0, 0, 0], ["a", "a", "b"])
    check_leaks(frame, np.array(["train", "unused", "test"], dtype=object), by_group=True)
    with pytest.raises(UserError, match="leak"):
        check_leaks(frame, np.array(["train", "test", "test"], dtype=object), by_group=True)


def test_real_crchistophenotypes_is_spread_well(real_data):
    options = {"image": "ImageName", "label": "cellTypeName", "group": "patientID", "image_folder": "patch_images"}
    table = open_source("table", str(real_data / "CRCHistoPhenotypes"), options)
    for seed in range(3):
        done = split(table.frame, seed=seed, classes=table.classes, grouping=table.grouping)
        assert np.abs(shares(table.frame, done.parts) - FRACTIONS).max() < 0.05


@pytest.mark.parametrize("by", ["group", "image"])
def test_every_sample_is_tested_in_one_fold(by):
    frame = grouped(groups=30)
    parts = [split(frame, by=by, fold=(number, 5)).parts for number in range(5)]
    assert (sum((part == "test").astype(int) for part in parts) == 1).all()
    for part in parts:
        if by == "group":
            assert pd.DataFrame({"g": frame["group"], "p": part}).drop_duplicates()["g"].is_unique
        # of the other four fifths, validation has 10 of 85 parts
        assert np.abs(shares(frame, part) - np.array([0.8 * 75 / 85, 0.8 * 10 / 85, 0.2])).max() < 0.06
    again = split(frame.iloc[::-1], by=by, fold=(1, 5)).parts
    assert again.sort_index().equals(parts[1])
    assert not split(frame, by=by, fold=(1, 5), seed=1).parts.equals(parts[1])


def test_a_fold_without_a_class_is_noted():
    """Three patients have the class, so that three of four folds test it; all folds together test all of it."""
    frame = frame_of([0] * 32 + [1] * 9, [f"p{n % 8}" for n in range(32)] + ["p0", "p1", "p2"] * 3)
    notes = [split(frame, fold=(number, 4), fractions=(0.5, 0.2, 0.3), classes="ab").notes for number in range(4)]
    assert sum("Class 'b' has no sample in the test part." in note for note in notes) == 1


def test_official_parts_are_no_folds():
    frame = frame_of([0, 1] * 10, splits=["train", "train", "test", "test"] * 5)
    with pytest.raises(UserError, match="its test part is no fold"):
        split(frame, fold=(0, 2))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"fold": 1}, "there are no folds"),
        ({"folds": 3, "fold": 3}, "3 folds are numbered 0 to 2, got 3"),
        ({"folds": 3, "by": "official"}, "official test part is no fold"),
    ],
)
def test_folds_that_cannot_be(options, match):
    with pytest.raises(ValidationError, match=match):
        SplitSpec(**options)
