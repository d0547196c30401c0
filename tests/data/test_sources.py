"""Published data sets: small trees in exactly their layouts, and every way in which they can be broken."""

import gzip
import os
import pickle
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from preceptor.data.samples import COLUMNS, SampleTable
from preceptor.data.sources import SOURCES, open_source, recognise
from preceptor.errors import UserError

from .trees import save_image, save_mask, write

KATHER = ("01_TUMOR", "02_STROMA", "03_COMPLEX", "04_LYMPHO", "05_DEBRIS", "06_MUCOSA", "07_ADIPOSE", "08_EMPTY")


def check(table: SampleTable) -> None:
    """What every source promises."""
    frame = table.frame
    assert tuple(frame.columns) in (COLUMNS, (*COLUMNS, "site"))
    assert frame.index.tolist() == list(range(len(table)))
    assert frame["id"].is_unique
    assert frame["label"].dtype == np.int64
    assert (table.grouping is None) == frame["group"].isna().all()
    assert set(frame["split"].dropna()) <= {"train", "validation", "test"}
    again = pickle.loads(pickle.dumps(table.read))
    for row in range(len(table)):
        image, mask = table.read(row)
        assert image.dtype == np.uint8
        assert image.shape[2] == 3
        assert np.array_equal(again(row)[0], image)
        assert all(Path(file).is_file() for file in table.files(row))
        if table.task == "segmentation":
            assert mask is not None
            assert mask.shape == image.shape[:2]
            assert mask.max(initial=0) < len(table.classes)
            assert frame["label"].iloc[row] == -1
            assert frame["mask"].iloc[row]
        else:
            assert mask is None
            assert frame["label"].iloc[row] in range(len(table.classes))


@pytest.fixture
def kather(tmp_path):
    root = tmp_path / "Kather_texture_2016_image_tiles_5000"
    for number, name in enumerate(KATHER):
        for image in range(2):
            save_image(
                root / name / f"{10 + image}AB_CRC-Prim-HE-0{number}_Row_1_Col_{image}.tif", seed=number * 2 + image
            )
    return tmp_path


def test_kather2016(kather):
    table = open_source("kather2016", str(kather))
    check(table)
    assert len(table) == 16
    assert table.classes == ("tumor", "stroma", "complex", "lympho", "debris", "mucosa", "adipose", "empty")
    assert table.frame["id"].iloc[0] == "01_TUMOR/10AB_CRC-Prim-HE-00_Row_1_Col_0"
    assert table.frame["label"].tolist() == [label for label in range(8) for _ in range(2)]
    assert table.grouping == "slide"
    assert table.frame["group"].tolist() == [f"CRC-Prim-HE-0{label}" for label in range(8) for _ in range(2)]
    inside = kather / "Kather_texture_2016_image_tiles_5000"
    assert open_source("kather2016", str(inside)).frame.equals(table.frame)
    assert recognise(kather).key == recognise(inside).key == "kather2016"


def test_kather2016_with_names_of_its_own_knows_no_groups(kather):
    save_image(kather / "Kather_texture_2016_image_tiles_5000" / "02_STROMA" / "mine.tif")
    table = open_source("kather2016", str(kather))
    assert table.grouping is None
    assert "'02_STROMA/mine', do not tell the slide" in table.notes[0]


def test_kather2016_without_a_class(kather):
    root = kather / "Kather_texture_2016_image_tiles_5000"
    shutil.rmtree(root / "08_EMPTY")
    with pytest.raises(UserError, match=r"saw: 01_TUMOR/.*\n.*expected: the class folders .*08_EMPTY"):
        open_source("kather2016", str(kather))
    (root / "08_EMPTY").mkdir()
    with pytest.raises(UserError, match="no images in 08_EMPTY"):
        open_source("kather2016", str(kather))


@pytest.fixture
def kaggle(tmp_path):
    ids = [f"{number:040x}" for number in (7, 3, 12)]
    for number, name in enumerate(ids):
        save_image(tmp_path / "train" / f"{name}.tif", seed=number)
    save_image(tmp_path / "test" / "f00d.tif")
    write(tmp_path / "train_labels.csv", "id,label\n" + "".join(f"{name},{n % 2}\n" for n, name in enumerate(ids)))
    return tmp_path


def test_histopathologic_cancer(kaggle):
    table = open_source("histopathologic_cancer", str(kaggle))
    check(table)
    assert dict(zip(table.frame["id"], table.frame["label"], strict=True)) == {
        f"{7:040x}": 0,
        f"{3:040x}": 1,
        f"{12:040x}": 0,
    }
    assert recognise(kaggle).key == "histopathologic_cancer"


def test_histopathologic_cancer_broken(kaggle):
    labels = kaggle / "train_labels.csv"
    good = labels.read_text()
    labels.write_text(good + "abc,1\n")
    with pytest.raises(UserError, match="1 labels without an image in train/: abc"):
        open_source("histopathologic_cancer", str(kaggle))
    labels.write_text(good.rsplit("\n", 2)[0] + "\n")
    with pytest.raises(UserError, match=r"1 images in train/ without a label in train_labels\.csv: 0000"):
        open_source("histopathologic_cancer", str(kaggle))
    labels.write_text(good + good.splitlines()[1] + "\n")
    with pytest.raises(UserError, match=r"lists .* twice"):
        open_source("histopathologic_cancer", str(kaggle))
    labels.write_text(good.replace(",1", ",2"))
    with pytest.raises(UserError, match="the label 2: expected 0 or 1"):
        open_source("histopathologic_cancer", str(kaggle))
    labels.write_text(good.replace("id,label", "name,label"))
    with pytest.raises(UserError, match="columns name, label"):
        open_source("histopathologic_cancer", str(kaggle))


def test_large_tables_look_at_no_single_file(tmp_path, monkeypatch):
    """One directory scan tells 220,000 names at once; 220,000 looks at files would take minutes on a network."""
    (tmp_path / "train").mkdir()
    ids = [f"{number:040x}" for number in range(2000)]
    for name in ids:
        (tmp_path / "train" / f"{name}.tif").touch()
    write(tmp_path / "train_labels.csv", "id,label\n" + "".join(f"{name},0\n" for name in ids))
    looks = []
    stat = os.stat
    monkeypatch.setattr("os.stat", lambda *args, **options: looks.append(args) or stat(*args, **options))
    assert len(open_source("histopathologic_cancer", str(tmp_path))) == 2000
    assert len(looks) < 50


@pytest.fixture
def pcam(tmp_path):
    for number, (part, count) in enumerate((("train", 5), ("valid", 3), ("test", 2))):
        stem = tmp_path / f"camelyonpatch_level_2_split_{part}"
        rng = np.random.default_rng(number)
        with h5py.File(f"{stem}_x.h5", "w") as file:
            file["x"] = rng.integers(0, 256, (count, 96, 96, 3), dtype=np.uint8)
        with h5py.File(f"{stem}_y.h5", "w") as file:
            file["y"] = (np.arange(count, dtype=np.uint8) % 2).reshape(count, 1, 1, 1)
        lines = [f"{row},{row},0,False,False,camelyon16_{part}_{row // 2:03d}" for row in range(count)]
        write(
            Path(f"{stem}_meta.csv"), "\n".join([",coord_y,coord_x,tumor_patch,center_tumor_patch,wsi", *lines]) + "\n"
        )
    return tmp_path


def test_pcam(pcam):
    table = open_source("pcam", str(pcam))
    check(table)
    assert table.frame["split"].tolist() == ["train"] * 5 + ["validation"] * 3 + ["test"] * 2
    assert table.frame["label"].tolist() == [0, 1, 0, 1, 0, 0, 1, 0, 0, 1]
    assert table.grouping == "slide"
    assert table.frame["group"].iloc[5] == "camelyon16_valid_000"
    with h5py.File(pcam / "camelyonpatch_level_2_split_valid_x.h5") as file:
        assert np.array_equal(table.read(6)[0], file["x"][1])
    assert recognise(pcam).key == "pcam"


def test_pcam_without_slides(pcam):
    for file in pcam.glob("*_meta.csv"):
        file.unlink()
    table = open_source("pcam", str(pcam))
    check(table)
    assert table.grouping is None
    assert "slides cannot be kept together" in table.notes[0]


def test_pcam_broken(pcam):
    labels = pcam / "camelyonpatch_level_2_split_valid_y.h5"
    labels.write_bytes(b"\x89HDF no")
    with pytest.raises(UserError, match=r"valid_y\.h5' is damaged or no HDF5 file"):
        open_source("pcam", str(pcam))
    labels.unlink()
    with pytest.raises(UserError, match=r"valid_y\.h5' does not exist"):
        open_source("pcam", str(pcam))
    for file in pcam.glob("*.h5"):
        with gzip.open(f"{file}.gz", "wb") as packed:
            packed.write(file.read_bytes())
        file.unlink()
    with pytest.raises(UserError, match="expected: unpack the archives with: gunzip"):
        open_source("pcam", str(pcam))


@pytest.fixture
def breakhis(tmp_path):
    breast = tmp_path / "BreaKHis_v1" / "histology_slides" / "breast"
    types = {"B": ("adenosis", "fibroadenoma", "phyllodes_tumor", "tubular_adenoma"),
             "M": ("ductal_carcinoma", "lobular_carcinoma", "mucinous_carcinoma", "papillary_carcinoma")}  # fmt: skip
    short = {"B": ("A", "F", "PT", "TA"), "M": ("DC", "LC", "MC", "PC")}
    for letter, side in (("B", "benign"), ("M", "malignant")):
        for code, name in zip(short[letter], types[letter], strict=True):
            for slide in ("22549AB", "22549CD", "3411F"):
                for zoom in (40, 200):
                    folder = breast / side / "SOB" / name / f"SOB_{letter}_{code}_14-{slide}" / f"{zoom}X"
                    save_image(folder / f"SOB_{letter}_{code}-14-{slide}-{zoom}-001.png", seed=len(str(folder)))
    return tmp_path


def test_breakhis(breakhis):
    table = open_source("breakhis", str(breakhis))
    check(table)
    assert len(table) == 8 * 3 * 2
    assert table.classes == ("benign", "malignant")
    row = table.frame.set_index("id").loc["SOB_B_A-14-22549AB-40-001"]
    assert (row["label"], row["group"]) == (0, "14-22549")
    assert table.frame["group"].nunique() == 2  # 22549AB and 22549CD are of one case
    assert recognise(breakhis).key == "breakhis"
    for below in ("BreaKHis_v1", "BreaKHis_v1/histology_slides", "BreaKHis_v1/histology_slides/breast"):
        assert open_source("breakhis", str(breakhis / below)).frame.equals(table.frame)


def test_breakhis_types_and_magnifications(breakhis):
    table = open_source("breakhis", str(breakhis), {"task": "types", "magnifications": [200]})
    assert len(table) == 8 * 3
    assert len(table.classes) == 8
    assert table.classes[table.frame.set_index("id").loc["SOB_M_MC-14-3411F-200-001", "label"]] == "mucinous_carcinoma"
    with pytest.raises(UserError, match=r"no images of benign, malignant .* at the magnifications"):
        open_source("breakhis", str(breakhis), {"magnifications": [100]})
    save_image(breakhis / "BreaKHis_v1/histology_slides/breast/benign/SOB/adenosis/odd.png")
    with pytest.raises(UserError, match=r"images named benign/SOB/adenosis/odd\.png"):
        open_source("breakhis", str(breakhis))


@pytest.fixture
def ham(tmp_path):
    rows = ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    for number, dx in enumerate(("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc", "nv")):
        name = f"ISIC_00{number:05d}"
        save_image(tmp_path / f"HAM10000_images_part_{number % 2 + 1}" / f"{name}.jpg", seed=number)
        folder = tmp_path / "HAM10000_segmentations_lesion_tschandl" / "HAM10000_segmentations_lesion_tschandl"
        save_mask(folder / f"{name}_segmentation.png")
        rows.append(f"HAM_{number // 2:07d},{name},{dx},histo,,male,back")
    write(tmp_path / "HAM10000_metadata.csv", "\n".join(rows) + "\n")
    return tmp_path


def test_ham10000(ham):
    table = open_source("ham10000", str(ham))
    check(table)
    assert table.classes == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    assert table.frame["label"].tolist() == [0, 1, 2, 3, 4, 5, 6, 5]
    assert table.grouping == "lesion"
    assert table.frame["group"].nunique() == 4
    masks = open_source("ham10000", str(ham), {"task": "segmentation"})
    check(masks)
    assert masks.classes == ("background", "lesion")
    assert recognise(ham).key == "ham10000"


def test_ham10000_with_one_part(ham):
    shutil.rmtree(ham / "HAM10000_images_part_2")
    table = open_source("ham10000", str(ham))
    check(table)
    assert len(table) == 4
    assert "4 of the 8 rows" in table.notes[0]
    check(open_source("ham10000", str(ham), {"task": "segmentation"}))


def test_ham10000_broken(ham):
    mask = next(ham.glob("*/*/ISIC_0000003_segmentation.png"))
    mask.unlink()
    with pytest.raises(UserError, match="1 images without a mask: ISIC_0000003"):
        open_source("ham10000", str(ham), {"task": "segmentation"})
    image = ham / "HAM10000_images_part_2" / "ISIC_0000001.jpg"
    image.rename(image.with_stem("ISIC_9999999"))
    with pytest.raises(UserError, match=r"rows of HAM10000_metadata\.csv without an image: ISIC_0000001"):
        open_source("ham10000", str(ham))
    image.with_stem("ISIC_9999999").rename(image)
    table = ham / "HAM10000_metadata.csv"
    good = table.read_text()
    table.write_text(good.replace(",bcc,", ",wart,"))
    with pytest.raises(UserError, match="diagnoses wart: known are akiec"):
        open_source("ham10000", str(ham))
    table.write_text(good + good.splitlines()[-1].replace("nv", "mel") + "\n")
    with pytest.raises(UserError, match="lists image 'ISIC_0000007'"):
        open_source("ham10000", str(ham))
    shutil.rmtree(ham / "HAM10000_segmentations_lesion_tschandl")
    table.write_text(good)
    with pytest.raises(UserError, match="no mask <image_id>_segmentation"):
        open_source("ham10000", str(ham), {"task": "segmentation"})


@pytest.fixture
def lgg(tmp_path):
    for case in ("TCGA_CS_4941_19960909", "TCGA_HT_A616_19991226"):
        for number in (1, 2, 10):
            save_image(tmp_path / "kaggle_3m" / case / f"{case}_{number}.tif", seed=number)
            save_mask(tmp_path / "kaggle_3m" / case / f"{case}_{number}_mask.tif")
    write(tmp_path / "kaggle_3m" / "data.csv", "Patient\n")
    write(tmp_path / "kaggle_3m" / "README.md", "")
    return tmp_path


def test_lgg(lgg):
    table = open_source("lgg", str(lgg))
    check(table)
    assert table.frame["id"].tolist()[:3] == [f"TCGA_CS_4941_19960909_{number}" for number in (1, 2, 10)]
    assert set(table.frame["group"]) == {"TCGA_CS_4941", "TCGA_HT_A616"}
    assert open_source("lgg", str(lgg / "kaggle_3m")).frame.equals(table.frame)
    assert recognise(lgg).key == recognise(lgg / "kaggle_3m").key == "lgg"


def test_lgg_broken(lgg):
    case = lgg / "kaggle_3m" / "TCGA_CS_4941_19960909"
    (case / "TCGA_CS_4941_19960909_2_mask.tif").unlink()
    with pytest.raises(UserError, match="1 slices without a mask: TCGA_CS_4941_19960909_2"):
        open_source("lgg", str(lgg))
    (case / "TCGA_CS_4941_19960909_2.tif").unlink()
    save_mask(case / "TCGA_CS_4941_19960909_7_mask.tif")
    with pytest.raises(UserError, match="1 masks without a slice: TCGA_CS_4941_19960909_7"):
        open_source("lgg", str(lgg))


@pytest.fixture
def bowl(tmp_path):
    for number in range(3):
        name = f"{number:064x}"
        save_image(tmp_path / "stage1_train" / name / "images" / f"{name}.png", seed=number)
        for nucleus in range(number + 1):
            save_mask(tmp_path / "stage1_train" / name / "masks" / f"{nucleus:064x}.png", side=nucleus + 1)
    return tmp_path


def test_dsb2018(bowl):
    table = open_source("dsb2018", str(bowl))
    check(table)
    assert table.frame["group"].tolist() == table.frame["id"].tolist()
    mask = table.read(2)[1]
    assert mask is not None
    assert mask.sum() == 9  # squares of 1, 4 and 9 pixels, one on the other
    assert len(table.files(2)) == 4
    assert recognise(bowl).key == recognise(bowl / "stage1_train").key == "dsb2018"


def test_dsb2018_broken(bowl):
    name = f"{1:064x}"
    shutil.rmtree(bowl / "stage1_train" / name / "masks")
    with pytest.raises(UserError, match=f"image '{name}' has no mask"):
        open_source("dsb2018", str(bowl))
    save_image(bowl / "stage1_train" / name / "images" / "second.png")
    with pytest.raises(UserError, match="expected: one image"):
        open_source("dsb2018", str(bowl))


def npz(path, *, channels=(), labels=2, extra=0, **change):
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 600), ("val", 4), ("test", 5)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (count, 28, 28, *channels), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count, dtype=np.uint8) % labels).reshape(count, 1)
    np.savez_compressed(path, **{**arrays, **change})
    return {**arrays, **change}


@pytest.mark.parametrize("channels", [(), (3,)])
def test_medmnist(tmp_path, channels):
    arrays = npz(tmp_path / "pneumoniamnist.npz", channels=channels)
    table = open_source("medmnist", str(tmp_path / "pneumoniamnist.npz"))
    check(table)
    assert table.classes == ("normal", "pneumonia")
    assert table.frame["split"].value_counts().to_dict() == {"train": 600, "validation": 4, "test": 5}
    for row in (599, 3, 300, 602, 0, 608):  # also backwards, over the borders of blocks and parts
        part, inside = ("train", row) if row < 600 else ("val", row - 600) if row < 604 else ("test", row - 604)
        stored = arrays[f"{part}_images"][inside]
        assert np.array_equal(table.read(row)[0], stored if channels else stored[..., None].repeat(3, 2))
    assert recognise(tmp_path).key == "medmnist"
    assert open_source("medmnist", str(tmp_path)).frame.equals(table.frame)


def test_medmnist_by_name(tmp_path):
    npz(tmp_path / "somemnist_64.npz", labels=3)
    npz(tmp_path / "breastmnist.npz")
    with pytest.raises(UserError, match="set the option name to one of breastmnist, somemnist_64"):
        open_source("medmnist", str(tmp_path))
    assert open_source("medmnist", str(tmp_path), {"name": "somemnist_64"}).classes == ("0", "1", "2")


def test_medmnist_refuses_what_is_no_2d_single_label_set(tmp_path):
    file = tmp_path / "x.npz"
    npz(file, train_images=np.zeros((600, 28, 28, 28), dtype=np.uint8))
    with pytest.raises(UserError, match="3-D volumes"):
        open_source("medmnist", str(file))
    npz(file, train_labels=np.zeros((600, 14), dtype=np.uint8))
    with pytest.raises(UserError, match=r"14 labels per image \(multi-label\)"):
        open_source("medmnist", str(file))
    np.savez(file, images=np.zeros(3))
    with pytest.raises(UserError, match="saw: arrays images"):
        open_source("medmnist", str(file))
    npz(tmp_path / "breastmnist.npz", labels=5)
    with pytest.raises(UserError, match="expected: 2 classes, as breastmnist has"):
        open_source("medmnist", str(tmp_path / "breastmnist.npz"))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match=r"x\.npz' is damaged or no \.npz file"):
        open_source("medmnist", str(file))


def test_every_source_names_itself_and_takes_keyword_options_only():
    for name, source in SOURCES.items():
        assert source.__name__ == name
        assert source.__doc__


@pytest.mark.parametrize("name", sorted(set(SOURCES) - {"phantom"}))
def test_no_source_accepts_an_empty_or_a_missing_folder(tmp_path, name):
    options = {"table": {"label": "label"}, "paths": {"image": "(.+)", "mask": "(.+)_mask"}}.get(name, {})
    with pytest.raises(UserError, match="saw: nothing"):
        open_source(name, str(tmp_path), options)
    with pytest.raises(UserError, match=r"gone'.*does not exist"):
        open_source(name, str(tmp_path / "gone"), options)
    with pytest.raises(UserError, match="needs a path"):
        open_source(name, None, options)


def test_open_source_explains_wrong_names_and_options(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="unknown data source 'kather': did you mean 'kather2016'"):
        open_source("kather", str(tmp_path))
    with pytest.raises(UserError, match=r"'breakhis' has no option 'magnification': did you mean 'magnifications'\?"):
        open_source("breakhis", str(tmp_path), {"magnification": 40})
    with pytest.raises(UserError, match=r"'kather2016' has no option 'size': \(it has none\)"):
        open_source("kather2016", str(tmp_path), {"size": 40})
    with pytest.raises(UserError, match=r"option magnifications\[0\] is \[41\]: Input should be 40, 100, 200 or 400"):
        open_source("breakhis", str(tmp_path), {"magnifications": [41]})
    with pytest.raises(UserError, match="option task is 'masks'"):
        open_source("ham10000", str(tmp_path), {"task": "masks"})
    monkeypatch.delenv("PRECEPTOR_NOWHERE", raising=False)
    with pytest.raises(UserError, match="PRECEPTOR_NOWHERE is not set"):
        open_source("lgg", "${PRECEPTOR_NOWHERE}/lgg")


def test_paths_expand_variables(lgg, monkeypatch):
    monkeypatch.setenv("PRECEPTOR_SOMEWHERE", str(lgg.parent))
    assert len(open_source("lgg", f"${{PRECEPTOR_SOMEWHERE}}/{lgg.name}")) == 6


def test_unreadable_folder(lgg, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", denied)
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        open_source("lgg", str(lgg))


def test_real_ham10000(real_data):
    table = open_source("ham10000", str(real_data / "HAM10000"))
    counts = table.frame["label"].value_counts().sort_index().tolist()
    assert counts == [152, 219, 484, 50, 408, 1660, 66]
    assert table.frame["group"].nunique() == 3039


def test_real_dsb2018(real_data):
    table = open_source("dsb2018", str(real_data / "dsb2018"))
    assert len(table) == 80
    assert sum(len(table.files(row)) - 1 for row in range(80)) == 3577
    image, mask = table.read(0)
    assert image.shape == (256, 320, 3)
    assert mask is not None
    assert 0 < mask.mean() < 1
