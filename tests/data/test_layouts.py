"""Layouts of published data sets and of people's own folders: small trees, each read by the rule that fits it."""

import re

import numpy as np
import pytest

from preceptor.data.account import COPIES, LEFT_BEHIND, OTHER_IMAGES, account_for
from preceptor.data.layouts import GENERAL, PUBLISHED
from preceptor.data.sources import SOURCES, open_source, recognise
from preceptor.data.sources._sorting import sort_files
from preceptor.errors import UserError

from .test_sources import check
from .trees import class_folders, save_array, save_image, save_mask, write


def tree(root, *places):
    """A file at each place: a mask where a word of the path says so, else a picture."""
    for number, place in enumerate(places):
        is_mask = re.search(r"mask|manual|anno|1stHO|2ndHO|labels|seg|/gt/", place)
        save_mask(root / place) if is_mask else save_image(root / place, seed=number)
    return root


def opened(root):
    """The recognised table, its source, and the account of the files, whose sums agree."""
    found = recognise(root)
    table = open_source(found.key, str(found.path or root), found.options)
    check(table)
    account = account_for(root, table)
    unused = sum(len(one.places) for one in account.unused)
    assert account.images + account.masks + len(account.read) + unused == account.total
    assert account.total == sum(file.is_file() for file in root.rglob("*"))
    return table, found, {one.reason: one.places for one in account.unused}


@pytest.mark.parametrize("layout", [*PUBLISHED, *GENERAL], ids=lambda layout: layout.key)
def test_examples_of_every_layout(layout):
    assert SOURCES[layout.key].layout is layout
    assert layout.source or layout in GENERAL
    for image, *masks in layout.examples:
        found = sort_files(layout, [image, *masks])
        assert (list(found.images), list(found.masks)) == ([image], masks)
        if masks:
            assert list(found.pairs().values()) == [([image], masks)]


def test_drive(tmp_path):
    numbers = {"training": (21, 22, 23), "test": (1, 2)}
    for part, those in numbers.items():
        for number in those:
            tree(tmp_path / part, f"images/{number:02d}_{part}.tif", f"1st_manual/{number:02d}_manual1.gif",
                 f"mask/{number:02d}_{part}_mask.gif")  # fmt: skip
    tree(tmp_path / "test", "2nd_manual/01_manual2.gif")
    table, found, unused = opened(tmp_path)
    assert (found.key, table.classes) == ("drive", ("background", "vessel"))
    assert table.frame["split"].tolist() == ["test", "test", "train", "train", "train"]
    assert table.frame["mask"].iloc[0] == "test/1st_manual/01_manual1.gif"
    assert unused["masks of the field of view"][0] == "test/mask/01_test_mask.gif"
    assert "test/2nd_manual/01_manual2.gif" in table.files(0)[-1].replace("\\", "/")


def test_drive_without_masks_of_its_test_part(tmp_path):
    for number in (21, 22):
        tree(tmp_path, f"training/images/{number}_training.tif", f"training/1st_manual/{number}_manual1.gif")
    tree(tmp_path, "test/images/01_test.tif")
    table, _, unused = opened(tmp_path)
    assert table.frame["split"].isna().all()
    assert unused["images of a part that has no masks"] == ("test/images/01_test.tif",)


def test_chase_db1_sorted_into_folders(tmp_path):
    for eye in ("01L", "01R", "02L"):
        tree(tmp_path, f"Images/Image_{eye}.jpg", f"Masks/Image_{eye}_1stHO.png", f"Masks/Image_{eye}_2ndHO.png")
    table, found, unused = opened(tmp_path)
    assert (found.key, len(table), unused) == ("chase_db1", 3, {})


def test_chase_db1(tmp_path):
    for name in ("01L", "01R", "02L"):
        tree(tmp_path, f"Image_{name}.jpg", f"Image_{name}_1stHO.png", f"Image_{name}_2ndHO.png")
    table, found, _ = opened(tmp_path)
    assert (found.key, table.grouping, table.frame["group"].tolist()) == ("chase_db1", "patient", ["01", "01", "02"])
    assert table.read.second is not None
    assert sum(map(len, table.read.second)) == 3


def test_glas_with_patients_of_its_table(tmp_path):
    names = ("train_1", "train_2", "testA_1", "testB_1")
    for name in names:
        tree(tmp_path, f"{name}.bmp", f"{name}_anno.bmp")
    head = "name,patient ID, grade (GlaS), grade (Sirinukunwattana et al. 2015)\n"
    write(
        tmp_path / "Grade.csv",
        head + "".join(f"{name}, {n // 2}, benign, adenomatous\n" for n, name in enumerate(names)),
    )
    table, found, unused = opened(tmp_path)
    assert (found.key, table.grouping) == ("glas", "patient")
    assert table.frame.set_index("id")["group"].to_dict() == {
        "train_1": "0", "train_2": "0", "testA_1": "1", "testB_1": "1",
    }  # fmt: skip
    assert set(table.frame["split"]) == {"train", "test"}
    assert not unused
    (tmp_path / "Grade.csv").unlink()
    assert opened(tmp_path)[0].grouping is None


def test_busi_joins_masks_and_knows_classes(tmp_path):
    root = tmp_path / "Dataset_BUSI_with_GT"
    for kind in ("benign", "malignant", "normal"):
        for number in (1, 2):
            tree(root / kind, f"{kind} ({number}).png", f"{kind} ({number})_mask.png")
    save_mask(root / "benign" / "benign (2)_mask_1.png", side=6)
    table, found, _ = opened(tmp_path)
    assert (found.key, found.path, len(table)) == ("busi", root, 6)
    assert "the data lie in Dataset_BUSI_with_GT/" in found.reasons
    assert int(table.read(1)[1].sum()) == 36
    classes = open_source("busi", str(root), {"task": "classification"})
    check(classes)
    assert classes.classes == ("benign", "malignant", "normal")
    assert len(classes.left_out) == 7


def test_covid19_radiography(tmp_path):
    for kind in ("COVID", "Lung_Opacity", "Normal", "Viral Pneumonia"):
        for number in (1, 2):
            tree(tmp_path / kind, f"images/{kind}-{number}.png", f"masks/{kind}-{number}.png")
        write(tmp_path / f"{kind}.metadata.xlsx", "x")
    table, found, unused = opened(tmp_path)
    assert found.key == "covid19_radiography"
    assert table.frame["label"].value_counts().to_dict() == {0: 2, 1: 2, 2: 2, 3: 2}
    assert sorted(map(len, unused.values())) == [4, 8]
    check(open_source(found.key, str(tmp_path), {"task": "segmentation"}))


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ('{"background": 0, "tumour": 1}', ("background", "tumour")),
        ('{"0": "background", "1": "tumour", "2": "node"}', ("background", "tumour", "node")),
    ],
)
def test_nnunet_raw(tmp_path, labels, classes):
    for number in range(3):
        save_image(tmp_path / "imagesTr" / f"case_{number:03d}_0000.png", seed=number)
        save_mask(tmp_path / "labelsTr" / f"case_{number:03d}.png", foreground=1)
    tree(tmp_path, "imagesTs/case_900_0000.png")
    write(tmp_path / "dataset.json", f'{{"labels": {labels}, "numTraining": 3}}')
    table, found, unused = opened(tmp_path)
    assert (found.key, table.classes, len(table)) == ("nnunet_raw", classes, 3)
    assert table.read_besides == (str(tmp_path / "dataset.json"),)
    assert unused["images of a part that has no masks"] == ("imagesTs/case_900_0000.png",)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ('{"background": 0, "both": [1, 2]}', "both are regions"),
        ('{"background": 0, "tumour": 2}', r"values \[0, 2\]"),
        ('{"background": 0, "ignore": 1}', "label ignore"),
        ("[]", "has no labels"),
    ],
)
def test_nnunet_lists_of_classes_that_cannot_be_read(tmp_path, labels, message):
    tree(tmp_path, "imagesTr/a_0000.png", "labelsTr/a.png")
    write(tmp_path / "dataset.json", f'{{"labels": {labels}}}')
    with pytest.raises(UserError, match=message):
        open_source("nnunet_raw", str(tmp_path))


def test_nnunet_channels_of_their_own_are_refused(tmp_path):
    tree(tmp_path, "imagesTr/a_0000.png", "imagesTr/a_0001.png", "labelsTr/a.png")
    write(tmp_path / "dataset.json", '{"labels": {"background": 0, "x": 1}}')
    found = recognise(tmp_path)
    with pytest.raises(UserError, match=r"a_0001\.png', are channels of their own"):
        open_source(found.key, str(tmp_path))


def test_kvasir_seg(tmp_path):
    for number in range(3):
        tree(tmp_path / "Kvasir-SEG", f"images/cju{number}.png", f"masks/cju{number}.png")
    write(tmp_path / "Kvasir-SEG" / "kavsir_bboxes.json", "{}")
    table, found, unused = opened(tmp_path)
    assert (found.key, len(table)) == ("folder", 3)
    assert list(unused.values()) == [("Kvasir-SEG/kavsir_bboxes.json",)]


def test_chest_xray_folders_with_a_second_copy(tmp_path):
    for root in (tmp_path, tmp_path / "chest_xray"):
        for part in ("train", "val", "test"):
            for number in range(2):
                tree(root / part, f"NORMAL/IM-{number:04d}-0001.jpeg", f"PNEUMONIA/person{number}_virus_1.jpeg")
    write(tmp_path / "__MACOSX" / "train" / "._IM.jpeg", "x")
    table, found, unused = opened(tmp_path)
    assert (found.key, table.classes, len(table)) == ("folder", ("NORMAL", "PNEUMONIA"), 12)
    assert len(unused[COPIES]) == 12
    assert unused[LEFT_BEHIND] == ("__MACOSX/train/._IM.jpeg",)


@pytest.mark.parametrize(
    ("places", "key", "groups"),
    [
        ([f"p{n // 2}/{kind}/{n}.png" for n in range(6) for kind in ("images", "masks")], "folders_of_pairs", 3),
        ([f"train/p{n}/img/{n}{end}.png" for n in range(3) for end in ("",)]
         + [f"train/p{n}/gt/{n}_mask.png" for n in range(3)], "folders_of_pairs", 3),
        ([f"{kind}/train/{n}.png" for n in range(3) for kind in ("images", "masks")]
         + [f"{kind}/test/{n}.png" for n in range(2) for kind in ("images", "masks")], "parts_of_pairs", 0),
        ([f"{kind}/p{n // 2}/{n}.png" for n in range(6) for kind in ("images", "masks")], "folder", 3),
        ([f"p{n // 2}/{n}{end}.png" for n in range(10) for end in ("", "_mask")], "folders_with_masks_beside", 5),
        ([f"{n}{end}.png" for n in range(4) for end in ("", "_segmentation")], "masks_beside", 0),
        ([f"x/{n}{end}.png" for n in range(4) for end in ("", "-mask", "-mask-2")], "masks_beside", 0),
        ([f"{n}.{end}" for n in range(4) for end in ("jpg", "png")], "masks_beside_as_png", 0),
        ([f"images/{n}_training.png" for n in range(21, 26)] + [f"1st_manual/{n}_manual1.png" for n in range(21, 26)],
         "paths", 0),
        ([f"{part}_{kind}/{n}.png" for part in ("train", "test") for n in range(3) for kind in ("images", "masks")],
         "parts_in_names", 0),
        ([f"{part}{kind}/{n}.png" for part in ("train", "val") for n in range(3) for kind in ("", "annot")],
         "parts_in_names", 0),
        ([f"Set_{part}_{kind}/{part}{n}{end}.png" for part in ("Training", "Test") for n in range(3)
          for kind, end in (("Input", ""), ("masks", "_segmentation"))], "parts_in_names", 0),
        ([f"{kind}/Training_set/{n}.png" for n in range(3) for kind in ("images", "masks")]
         + [f"{kind}/Test_set/{n}.png" for n in range(3) for kind in ("images", "masks")], "parts_of_pairs", 0),
        ([f"p{n}/{kind}.png" for n in range(3) for kind in ("image", "mask")], "folders_of_one_pair", 3),
        ([f"{begin}{n}.png" for n in range(3) for begin in ("", "mask_")], "paths", 0),
        ([f"{begin}{n}.png" for n in range(3) for begin in ("img_", "mask_")], "paths", 0),
        ([f"p{n // 2}/{begin}{n}.png" for n in range(6) for begin in ("img_", "mask_")], "paths", 3),
        ([f"case{n}{end}.png" for n in range(3) for end in ("a", "a_lesion_mask")], "paths", 0),
        ([f"case{n}{end}.png" for n in range(3) for end in ("a", "amask")], "paths", 0),
        ([f"{part}/{n}{end}.png" for part in ("train", "test") for n in range(3) for end in ("_img", "_masks")],
         "image_and_mask_beside", 0),
        ([f"{kind}_{s:02d}/{s:02d}_{n}.png" for s in (1, 2, 3) for n in range(2) for kind in ("Slide", "GT_seg")],
         "paths", 3),
        ([f"{s:02d}{kind}{n:03d}.tif" for s in (1, 2) for n in range(3) for kind in ("/t", "_GT/SEG/man_seg")],
         "paths", 2),
        ([f"case{n}{end}.png" for n in range(3) for end in ("a", "a_mask_final")], "paths", 0),
    ],
)  # fmt: skip
def test_images_and_masks_as_people_keep_them(tmp_path, places, key, groups):
    if key == "masks_beside_as_png":
        for place in places:
            save_image(tmp_path / place) if place.endswith("jpg") else save_mask(tmp_path / place)
    table, found, unused = opened(tree(tmp_path, *places) if key != "masks_beside_as_png" else tmp_path)
    assert (found.key, table.task, table.frame["group"].nunique()) == (key, "segmentation", groups)
    assert not unused


@pytest.mark.parametrize("deep", ["{patient}/{number}.png", "{patient}/visit/{number}.png"])
def test_class_folders_of_patients(tmp_path, deep):
    for kind in ("benign", "malignant"):
        for number in range(6):
            tree(tmp_path / kind, deep.format(patient=f"case{number // 2}", number=number))
    table, found, _ = opened(tmp_path)
    assert (found.options, table.frame["group"].nunique()) == ({"group_from": "folder", "grouping": "folder"}, 3)
    assert any(reason.startswith("guessed: the 3 folders") for reason in found.reasons)


def test_class_folders_with_parts_in_them(tmp_path):
    for kind in ("benign", "malignant"):
        for part in ("train", "test"):
            tree(tmp_path / kind / part, "1.png", "2.png")
    table, found, _ = opened(tmp_path)
    assert (found.key, table.classes) == ("classes_of_parts", ("benign", "malignant"))
    assert table.frame["split"].value_counts().to_dict() == {"train": 4, "test": 4}


@pytest.mark.parametrize("odd", ["labelsTr", "GroundTruth", "masks_png", "1st_manual", "segmentations"])
def test_mask_folders_are_never_classes(tmp_path, odd):
    class_folders(tmp_path, classes=("cat", "dog", odd))
    with pytest.raises(UserError, match=rf"beside class folders {odd}/, which seems to hold masks"):
        open_source("folder", str(tmp_path))
    assert len(open_source("folder", str(tmp_path), {"classes": ["cat", "dog", odd]}).classes) == 3


@pytest.mark.parametrize("kind", ["ground_glass", "unlabelled", "segmented_cells"])
def test_classes_that_only_sound_like_masks_pair_with_no_other_class(tmp_path, kind):
    for name in ("solid", kind):
        tree(tmp_path / name, "1.jpg", "2.jpg", "3.jpg")
    table, found, _ = opened(tmp_path)
    assert (found.key, table.classes) == ("folder", tuple(sorted(("solid", kind))))


def test_parts_whose_classes_hold_folders_of_patients(tmp_path):
    for part, patients in (("train", 4), ("test", 2)):
        for kind in ("benign", "malignant"):
            for patient in range(patients):
                tree(tmp_path / part / kind / f"{part}{kind}{patient}", "1.png", "2.png")
    table, found, _ = opened(tmp_path)
    assert table.classes == ("benign", "malignant")
    assert table.frame["split"].value_counts().to_dict() == {"train": 16, "test": 8}
    assert table.frame["group"].nunique() == 12
    assert any("guessed" in reason for reason in found.reasons)


@pytest.mark.parametrize("end", ["_flair.png", "_t1.png"])
def test_folders_of_patients_with_masks_among_other_images_are_no_classes(tmp_path, end):
    for number in range(6):
        tree(tmp_path / f"BraTS20_Training_{number:03d}", *(f"{number}{one}" for one in ("_seg.png", "_t2.png", end)))
    with pytest.raises(UserError, match="has no known layout"):
        recognise(tmp_path)


def test_a_folder_of_images_is_no_class_beside_one_of_thumbnails(tmp_path):
    for kind in ("cat", "dog"):
        tree(tmp_path / "images" / kind, "1.png", "2.png")
        tree(tmp_path / "thumbnails" / kind, "1.png", "2.png")
    table, found, unused = opened(tmp_path)
    assert (table.classes, found.path.name) == (("cat", "dog"), "images")
    assert any("thumbnails/ beside it: not used" in reason for reason in found.reasons)
    assert sum(map(len, unused.values())) == 4


def test_classes_of_two_levels_are_guessed_and_the_other_reading_is_said(tmp_path):
    kinds = ("colon/aca", "colon/n", "lung/aca2", "lung/n2", "lung/scc")
    for kind in (kind.rstrip("2") + "x" * kind.endswith("2") for kind in kinds):
        tree(tmp_path / kind, "1.png", "2.png")
    assert any("--source paths --option 'image=" in reason for reason in recognise(tmp_path).reasons)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (["a/1.svs", "b/2.svs"], r"'a/1.svs' and 1 more: whole slides; cut them into tiles"),
        (["1.png", "2.png", "labels.xlsx"], r"'labels.xlsx': spreadsheets; save the sheet with the labels as CSV"),
        (["data.zip"], r"'data.zip': archives; unpack them first"),
        (["images/1.png", "masks/1.npy"], r"'masks/1.npy': arrays; save each"),
        ([f"{kind}/{side}/{n}.png" for kind in ("PNG", "TIF") for side in ("Original", "Ground Truth") for n in (1, 2)],
         r"known is what lies in PNG/, TIF/: give that folder \(one at a time\)"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_named_with_what_to_do(tmp_path, places, message):
    for place in places:
        tree(tmp_path, place) if place.endswith(".png") else write(tmp_path / place, "x")
    with pytest.raises(UserError, match=message):
        recognise(tmp_path)


def test_images_of_parts_without_masks_that_are_read_are_no_class(tmp_path):
    for part in ("train", "valid"):
        tree(tmp_path, f"{part}/images/1.jpg", f"{part}/images/2.jpg")
        write(tmp_path / part / "labels" / "1.txt", "0 .1 .1 .2 .2")
    with pytest.raises(UserError, match=r"1\.txt' and 1 more: annotations; labels belong into a table"):
        recognise(tmp_path)


def test_files_that_are_only_as_large_as_others_are_no_copies(tmp_path):
    class_folders(tmp_path / "train")
    for kind in ("cat", "dog"):
        save_array(tmp_path / "train" / kind / "same.bmp", np.full((8, 8, 3), 9, dtype=np.uint8))
        save_array(tmp_path / "other" / kind / "same.bmp", np.full((8, 8, 3), 9, dtype=np.uint8))
        save_array(tmp_path / "rest" / kind / "same.bmp", np.full((8, 8, 3), 7, dtype=np.uint8))
    table = open_source("folder", str(tmp_path / "train"))
    unused = {one.reason: one.places for one in account_for(tmp_path, table).unused}
    assert unused == {
        COPIES: ("other/cat/same.bmp", "other/dog/same.bmp"),
        OTHER_IMAGES: ("rest/cat/same.bmp", "rest/dog/same.bmp"),
    }


def test_a_path_of_an_archive_says_to_unpack_it(tmp_path):
    with pytest.raises(UserError, match="is a file of archives: unpack them first"):
        recognise(write(tmp_path / "data.tar.gz", "x"))


@pytest.mark.parametrize("fine", ["background", "ground glass", "unlabelled", "segmental", "annotator"])
def test_classes_that_only_sound_like_masks(tmp_path, fine):
    assert fine in open_source("folder", str(class_folders(tmp_path, classes=("cat", fine)))).classes


def test_what_systems_leave_behind_is_no_data_and_is_counted(tmp_path):
    class_folders(tmp_path)
    for place in ("__MACOSX/cat/._p0_0.png", "cat/@eaDir/p0_0.png", "cat/Thumbs.db", "dog/.ipynb_checkpoints/x.png",
                  "$RECYCLE.BIN/a.png", "dog/desktop.ini", ".DS_Store"):  # fmt: skip
        write(tmp_path / place, "x")
    write(tmp_path / "docs" / "README.txt", "x")
    table, _, unused = opened(tmp_path)
    assert (table.classes, len(table)) == (("cat", "dog"), 8)
    assert {reason: len(places) for reason, places in unused.items()} == {
        LEFT_BEHIND: 7,
        "no images by their endings": 1,
    }


def test_paths_by_a_rule(tmp_path):
    for number in range(3):
        tree(tmp_path, f"a/{number}_training.png", f"b/{number}_manual1.png")
    rule = {"image": r"a/(\d+)_training\.png", "mask": r"b/(\d+)_manual1\.png"}
    table = open_source("paths", str(tmp_path), rule)
    check(table)
    assert table.frame["mask"].tolist() == [f"b/{number}_manual1.png" for number in range(3)]
    grouped = {"image": r"a/(?P<group>(?P<key>\d+))_training\.png", "mask": r"b/(?P<key>\d+)_.+", "grouping": "patient"}
    assert open_source("paths", str(tmp_path), grouped).grouping == "patient"
    classes = open_source("paths", str(tmp_path), {"image": r"(?P<class>.)/(?P<key>.+)\.png"})
    check(classes)
    assert classes.classes == ("a", "b")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"image": r"a/(\d+)\.png"}, "no bracket .*for the class, and there is no option mask"),
        ({"image": "a/.+", "mask": "b/(.+)"}, "has no bracket: put the key"),
        ({"image": "a/(?P<keys>.+)", "mask": "b/(.+)"}, "bracket keys: known are key, class, part, group"),
        ({"image": "a/(", "mask": "b/(.+)"}, "no regular expression"),
        (
            {"image": r"a/(\d+)_training\.png", "mask": r"b/(\d)1?_manual1\.png"},
            "1 images without a mask.*: a/10_training",
        ),
        ({"image": r"a/(\d)\d?_training\.png", "mask": r"b/(\d+)_manual1\.png"}, "are one image by their key"),
        ({"image": r"c/(\d+)\.png", "mask": r"b/(\d+)_manual1\.png"}, "no image among them"),
        ({"image": r"(?P<part>a)/(?P<key>\d+)_.+", "mask": r"(?P<key>b/.+)"}, "is of the part 'a': expected train"),
    ],
)
def test_rules_of_paths_that_do_not_fit(tmp_path, rule, message):
    for number in (1, 10):
        tree(tmp_path, f"a/{number}_training.png")
    tree(tmp_path, "b/1_manual1.png")
    with pytest.raises(UserError, match=message):
        open_source("paths", str(tmp_path), rule)


def test_unpaired_images_can_be_left_out(tmp_path):
    tree(tmp_path, "a/1.png", "a/2.png", "masks/2.png", "masks/3.png")
    rule = {"image": r"a/(\d)\.png", "mask": r"masks/(\d)\.png", "unpaired": "ignore"}
    table = open_source("paths", str(tmp_path), rule)
    assert (table.frame["id"].tolist(), len(table.left_out)) == (["a/2"], 2)


@pytest.mark.parametrize("form", ["fold{0}/{1}/fold{0}/{1}.npy", "Fold {0}/{1}/fold{0}/{1}.npy", "fold{0}/{1}.npy"])
def test_pannuke(tmp_path, form):
    for fold in (1, 2, 3):
        masks = np.zeros((4, 8, 8, 6))
        masks[..., 5] = 1
        masks[1, :2, :2, 3] = 7
        images = np.random.default_rng(fold).integers(0, 256, (4, 8, 8, 3)).astype(float)
        for kind, values in (("images", images), ("masks", masks), ("types", np.array(["Breast", "Colon"] * 2))):
            place = tmp_path / form.format(fold, "images" if kind == "types" else kind)
            place.parent.mkdir(parents=True, exist_ok=True)
            np.save(place.with_name(f"{kind}.npy"), values)
    table, found, _ = opened(tmp_path)
    assert (found.key, table.classes) == ("pannuke", ("background", "nucleus"))
    assert table.frame["split"].value_counts().to_dict() == {"train": 4, "validation": 4, "test": 4}
    assert [int(table.read(row)[1].sum()) for row in range(4)] == [0, 4, 0, 0]
    kinds = open_source("pannuke", str(tmp_path), {"nuclei": "kinds", "folds": [3, 1, 2]})
    check(kinds)
    assert kinds.read(1)[1].max() == 4
    assert kinds.frame["id"].iloc[0] == "fold3_0000"
    tissues = open_source("pannuke", str(tmp_path), {"task": "classification"})
    check(tissues)
    assert tissues.classes == ("Breast", "Colon")
    next(tmp_path.rglob("masks.npy")).unlink()
    with pytest.raises(UserError, match=r"no masks\.npy of fold"):
        open_source("pannuke", str(tmp_path))


def test_real_chase_db1(real_data):
    table, found, _ = opened(real_data / "CHASEDB1")
    assert (found.key, len(table), table.frame["group"].nunique()) == ("chase_db1", 28, 14)
    assert table.read.second is not None
    assert sum(map(len, table.read.second)) == 28


def test_real_breakhis_and_kather(real_data):
    assert len(opened(real_data / "BreakHis")[0]) == 8
    table = opened(real_data / "Kather2016")[0]
    assert (len(table), table.grouping) == (24, "slide")


def test_masks_are_told_by_how_their_names_end_where_the_folder_does_not(tmp_path):
    for number in range(3):
        save_image(tmp_path / "img" / f"{number}_image.png", seed=number)
        save_mask(tmp_path / "lab" / f"{number}_label.png")
    table, _, _ = opened(tmp_path)
    assert (table.task, len(table)) == ("segmentation", 3)


def test_folders_of_patients_that_hold_the_classes(tmp_path):
    tree(tmp_path, *(f"{patient}/{kind}/{patient}_{kind}_x{n}.png" for patient in (10253, 10254, 10255, 10256)
                     for kind in (0, 1) for n in range(2)))  # fmt: skip
    table, found, _ = opened(tmp_path)
    assert (found.key, table.classes) == ("folders_of_classes", ("0", "1"))
    assert table.frame["group"].nunique() == 4
    assert "guessed" in found.reasons[0]


def test_classes_that_hold_folders_of_patients_stay_classes(tmp_path):
    tree(tmp_path, *(f"{kind}/p{patient}/{n}.png" for kind in ("benign", "malignant", "normal") for patient in range(2)
                     for n in range(2)))  # fmt: skip
    table, _, _ = opened(tmp_path)
    assert table.classes == ("benign", "malignant", "normal")
