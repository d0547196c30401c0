"""Masks of DICOM images as DICOM SEG: read back by highdicom, they lie where the images lie, named as the classes."""

import highdicom
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import CTImageStorage, generate_uid

from preceptor.deploy.plan import Pictures
from preceptor.deploy.predict import predict
from preceptor.errors import UserError

from ..command import preceptor
from ..data.pixels.test_dicom import save

SEG = Pictures(masks=True, dicom=True)
STUDY, SERIES, FRAME = (generate_uid(entropy_srcs=[name]) for name in ("study", "series", "frame"))
PATIENT = {
    "PatientName": "Doe^Jane", "PatientBirthDate": "19700101", "PatientSex": "F", "AccessionNumber": "7",
    "StudyID": "1", "StudyDate": "20260101", "StudyTime": "120000", "Modality": "CT", "StudyInstanceUID": STUDY,
}  # fmt: skip


def pixels_of(number):
    """Bright where the segmenter of the tests has learned to look."""
    values = np.random.default_rng(number).integers(0, 1000, (64, 80))
    values[20 + 5 * number : 40, 10:50] = 4000
    return values


@pytest.fixture
def scans(tmp_path):
    """A series of three slices in a folder, named in another order than they lie, and a picture without a patient."""
    folder = tmp_path / "scans"
    for number, name in enumerate(("c", "a", "b")):
        place = {
            "SeriesInstanceUID": SERIES, "FrameOfReferenceUID": FRAME, "PixelSpacing": [0.5, 0.25],
            "SliceThickness": 2, "ImagePositionPatient": [-10, -20, 2.0 * number],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        }  # fmt: skip
        save(folder / f"{name}.dcm", pixels_of(number), **PATIENT, **place)
        header = pydicom.dcmread(folder / f"{name}.dcm")
        header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = CTImageStorage
        header.save_as(folder / f"{name}.dcm", enforce_file_format=True)
    save(folder / "no study.dcm", pixels_of(0))
    (folder / "damaged.dcm").write_bytes(b"no DICOM")
    Image.fromarray((pixels_of(1) // 16).astype(np.uint8)).save(folder / "plain.png")
    return folder


def test_a_series_is_one_object_where_its_slices_lie(mask_run, scans, tmp_path):
    said = []
    table = predict(mask_run, [scans], tmp_path / "out", pictures=SEG, device="cpu", note=said.append)
    assert table.set_index("file").loc[["a.dcm", "b.dcm", "c.dcm", "plain.png"], "error"].eq("").all()
    (file,) = (tmp_path / "out" / "segmentations").iterdir()
    assert file.name == f"series-{SERIES}.dcm"
    assert len(said) == 1
    assert "no study.dcm: no DICOM SEG, since the image lacks" in said[0]
    found = highdicom.seg.segread(file)
    assert (found.SegmentationType, found.Modality, found.StudyInstanceUID) == ("BINARY", "SEG", STUDY)
    assert (found.FrameOfReferenceUID, str(found.PatientName)) == (FRAME, "Doe^Jane")
    (segment,) = found.SegmentSequence
    assert (segment.SegmentLabel, segment.SegmentAlgorithmType) == ("foreground", "AUTOMATIC")
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "foreground"
    (shared,) = found.SharedFunctionalGroupsSequence
    assert [float(side) for side in shared.PixelMeasuresSequence[0].PixelSpacing] == [0.5, 0.25]
    masks = {name: np.array(Image.open(tmp_path / "out" / "masks" / f"{name}.dcm.png")) > 0 for name in "abc"}
    assert any(mask.any() for mask in masks.values())
    for name, mask in masks.items():
        source = pydicom.dcmread(scans / f"{name}.dcm")
        (stored,) = found.get_pixels_by_source_instance([source.SOPInstanceUID], combine_segments=True)
        np.testing.assert_array_equal(stored > 0, mask)
    for frame in found.PerFrameFunctionalGroupsSequence:
        (of,) = frame.DerivationImageSequence[0].SourceImageSequence
        places = {str(one.SOPInstanceUID): one for one in map(pydicom.dcmread, sorted(scans.glob("?.dcm")))}
        where = frame.PlanePositionSequence[0].ImagePositionPatient
        assert list(where) == list(places[of.ReferencedSOPInstanceUID].ImagePositionPatient)


def test_the_same_call_leaves_it_alone_and_another_network_is_another_object(mask_run, scans, tmp_path):
    """The UIDs follow from network and images; what was written before a kill stays."""
    for name in ("first", "second"):
        predict(mask_run, [scans], tmp_path / name, pictures=SEG, device="cpu")
    files = [next((tmp_path / name / "segmentations").iterdir()) for name in ("first", "second")]
    first, second = map(pydicom.dcmread, files)
    assert first.SOPInstanceUID == second.SOPInstanceUID
    assert first.DimensionIndexSequence == second.DimensionIndexSequence
    before = files[0].read_bytes()
    (tmp_path / "first" / "predictions.csv").unlink()
    predict(mask_run, [scans], tmp_path / "first", pictures=SEG, device="cpu")
    assert files[0].read_bytes() == before


def test_where_there_can_be_none(mask_run, class_run, scans, mask_data, tmp_path, monkeypatch):
    said = preceptor("predict", class_run, scans, "--out", tmp_path / "o", "--dicom-seg", "--device", "cpu")
    assert (said.code, "writes masks, and this network classifies" in said.error) == (2, True)
    with pytest.raises(UserError, match="for DICOM images, and none of these is one"):
        predict(mask_run, [mask_data / "images"], tmp_path / "o", pictures=SEG, device="cpu")
    monkeypatch.setattr("preceptor.deploy.dicom_seg.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"wants highdicom, which is not installed: pip install .*dicom"):
        predict(mask_run, [scans], tmp_path / "o", pictures=SEG, device="cpu")
