"""DICOM: values by hand, by pydicom's own, or the file is named; patients are groups whose ids are not shown."""

import os
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.uid import (
    ExplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from preceptor.data.images import read_image, read_mask, read_stored
from preceptor.data.inspect import inspect
from preceptor.data.pixels import PixelRules, to_pixels
from preceptor.data.pixels.reading import ReadRequest
from preceptor.data.sources import open_source
from preceptor.deploy.images import find_images
from preceptor.errors import UserError

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
GREY = PixelRules(channels=1)


def save(path, values, *, patient="Doe^Jane 17", meaning="MONOCHROME2", bits=12, signed=False, **tags):
    """A grey file of (H, W) values, or of (frames, H, W)."""
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID = SecondaryCaptureImageStorage
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID = generate_uid()
    found.PatientID = patient
    found.PhotometricInterpretation, found.SamplesPerPixel = meaning, 1
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, bits, bits - 1, int(signed)
    found.Rows, found.Columns = values.shape[-2:]
    if values.ndim == 3:
        found.NumberOfFrames = len(values)
    found.PixelData = values.astype("<i2" if signed else "<u2").tobytes()
    for name, value in tags.items():
        setattr(found, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    found.save_as(path, enforce_file_format=True)
    return path


def test_files_without_an_ending_are_found(tmp_path):
    for number, name in enumerate(("IM000001", "1.2.840.10008.1", "1.2.840.10008.2", "a.IMA")):
        save(tmp_path / "ct" / "-+"[number % 2] / name, np.full((4, 4), 1000 + number))
    (tmp_path / "ct" / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(40))
    (tmp_path / "ct" / "-" / "LICENSE").write_text("none")
    os.mkfifo(tmp_path / "ct" / "-" / "pipe")
    found = inspect(str(tmp_path / "ct"))
    assert not found.damaged
    assert (found.account.images, found.account.total) == (4, 7)
    assert sorted(open_source("folder", str(tmp_path / "ct")).frame["id"]) == [
        "+/1.2.840.10008.1", "+/a", "-/1.2.840.10008.2", "-/IM000001",
    ]  # fmt: skip
    assert [item.name for item in find_images([tmp_path / "ct" / "+"])] == ["1.2.840.10008.1", "a.IMA"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no_meta", "it does not begin as a DICOM file does"),
        ("meta_missing_tsyntax", "no TransferSyntaxUID"),
        ("JPGExtended", "JPEG Extended .* no installed codec decodes"),
        ("rtplan", "without pixels: RT Plan Storage"),
        ("MR_truncated", "less than expected"),
    ],
)
def test_the_reason_is_the_true_one(name, reason):
    with pytest.raises(UserError, match=reason):
        read_stored(ReadRequest(path=SHIPPED / f"{name}.dcm", place=0))


def test_a_transfer_syntax_of_a_maker_is_no_damage(tmp_path):
    file = save(tmp_path / "a.dcm", np.zeros((4, 4)))
    known, private = b"1.2.840.10008.1.2.1", b"1.2.999.10008.1.2.1"
    file.write_bytes(file.read_bytes().replace(known, private, 1))
    with pytest.raises(UserError, match=r"a\.dcm' is a DICOM file in the private transfer syntax 1\.2\.999"):
        read_image(file)


def window(centre, width):
    return {"WindowCenter": centre, "WindowWidth": width}


@pytest.mark.parametrize(
    ("stored", "tags", "wanted"),
    [
        ([0, 2048, 4095], {}, [0, 128, 255]),  # what 12 bits hold
        ([0, 2048, 4095], {"meaning": "MONOCHROME1"}, [255, 127, 0]),
        ([0, 1024, 2048], {"RescaleSlope": 1, "RescaleIntercept": -1024, **window(0, 2049)}, [0, 128, 255]),
        ([0, 1024, 1064], {"RescaleSlope": 1, "RescaleIntercept": -1024, **window(40.5, 81)}, [0, 0, 128]),
        ([10, 20, 30], {"WindowCenter": 20, "WindowWidth": 20, "VOILUTFunction": "LINEAR_EXACT"}, [0, 128, 255]),
        ([10, 20, 30], {"WindowCenter": [20.5, 900], "WindowWidth": [21, 4]}, [0, 128, 255]),  # the first of two
    ],
)  # fmt: skip
def test_values_are_shown_in_the_files_own_window(tmp_path, stored, tags, wanted):
    file = save(tmp_path / "a.dcm", np.array([stored]), **tags)
    assert read_image(file, GREY)[0, :, 0].tolist() == wanted


def test_a_range_is_in_hounsfield_units(tmp_path):
    file = save(tmp_path / "a.dcm", np.array([[-200, 40, 240]]) + 1024, RescaleSlope=1, RescaleIntercept=-1024)
    assert read_image(file, PixelRules(channels=1, range=(-160, 240)))[0, :, 0].tolist() == [0, 128, 255]


def test_sixteen_bits_without_a_window_are_not_guessed(tmp_path):
    file = save(tmp_path / "a.dcm", np.array([[-30, 245]]), bits=16, signed=True)
    with pytest.raises(UserError, match=r"int16 values, -30 to 245.*\n.*data\.options\.range"):
        read_image(file)


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.dcm")), ids=lambda file: file.stem)
def test_files_of_pydicom_are_read_right_or_named(file):
    """The values of what is read are pydicom's; levels rise and fall with what pydicom shows."""
    request = ReadRequest(path=file, place=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            stored = read_stored(request)
        except UserError as error:
            named = str(error)
            stored = None
        if stored is None:
            assert file.name in named
            return
        found = pydicom.dcmread(file)
        values = pixel_array(found, index=0)
        if found.PhotometricInterpretation == "PALETTE COLOR":
            return  # by hand below
        if values.ndim == 3:
            assert np.array_equal(stored.values, values)
            assert stored.colours == 3
            return
        units = apply_modality_lut(values, found)
        assert np.array_equal(stored.values[..., 0], units) or "VOILUTSequence" in found
        shown = apply_voi_lut(units, found).astype(float)
    if stored.window is None:
        with pytest.raises(UserError, match="range"):
            to_pixels(stored, file.name)
        return
    levels = to_pixels(stored, file.name, GREY)[..., 0].astype(float)
    if "WindowCenter" in found:
        centre, width = (float(np.ravel(found[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
        by_hand = np.clip((units - (centre - 0.5)) / (width - 1) + 0.5, 0, 1) * 255
        assert np.abs(levels - by_hand).max() <= 0.5 + 1e-6
    elif shown.std():
        assert np.corrcoef(levels.ravel(), shown.ravel())[0, 1] > 0.99


def test_most_files_of_pydicom_are_read():
    """So that the test above does not pass by naming all of them."""
    read = 0
    for file in SHIPPED.glob("*.dcm"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read_stored(ReadRequest(path=file, place=0))
            except UserError:
                continue
        read += 1
    assert read >= 55


def test_compressed_values_are_the_same(tmp_path):
    plain = save(tmp_path / "a.dcm", np.random.default_rng(0).integers(0, 4096, (8, 9)))
    found = pydicom.dcmread(plain)
    found.compress(RLELossless)
    found.save_as(tmp_path / "b.dcm")
    assert np.array_equal(read_image(tmp_path / "b.dcm"), read_image(plain))


def test_frames_are_images_and_patients_are_hashed_groups(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 4096, (3, 8, 8))
    for label in ("a", "b"):
        for number in range(2):
            save(tmp_path / "set" / label / f"{number}.dcm", values, patient=f"Doe^{number}")
    table = open_source("folder", str(tmp_path / "set"))
    assert len(table) == 12
    assert table.frame["id"].tolist()[:3] == ["a/0#0000", "a/0#0001", "a/0#0002"]
    assert table.grouping == "patient"
    assert table.frame["group"].nunique() == 2
    assert not table.frame["group"].str.contains("Doe").any()
    assert np.array_equal(table.read(1)[0][..., 0], np.rint(values[1] / 4095 * 255))
    clear = open_source("folder", str(tmp_path / "set"), {"patient_ids": "clear"})
    assert set(clear.frame["group"]) == {"Doe^0", "Doe^1"}
    found = inspect(str(tmp_path / "set"))
    assert not found.damaged
    assert any("Networks see slices one by one (2-D)" in note for note in found.notes)
    assert not any("No groups are known" in note for note in found.notes)


def test_masks_are_values_as_they_are_stored(tmp_path):
    mask = np.zeros((8, 8), np.uint16)
    mask[2:5] = 1
    save(tmp_path / "m.dcm", mask, WindowCenter=100, WindowWidth=50)
    assert np.array_equal(read_mask(tmp_path / "m.dcm"), mask)


def test_cut_files_are_never_half_read(tmp_path):
    file = save(tmp_path / "a.dcm", np.random.default_rng(0).integers(0, 4096, (16, 16)))
    whole, content = read_image(file), file.read_bytes()
    for end in range(0, len(content) - 1, 23):
        file.write_bytes(content[:end])
        with pytest.raises(UserError):
            read_image(file)
    assert whole.shape == (16, 16, 3)
