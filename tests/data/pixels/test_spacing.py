"""How large a pixel is, by hand for each kind of file; the bundle's own script says the same of TIFF."""

import numpy as np
import pytest
import tifffile
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from preceptor.data.pixels.spacing import microns_in, microns_of
from preceptor.deploy.alone import pixels

from .test_dicom import save as save_dicom
from .test_nifti import save as save_nifti

GREY = np.zeros((4, 5), dtype=np.uint8)


def with_measures(path):
    measures, group = Dataset(), Dataset()
    measures.PixelSpacing = [0.0005, 0.0005]
    group.PixelMeasuresSequence = Sequence([measures])
    save_dicom(path, np.zeros((4, 5)), SharedFunctionalGroupsSequence=Sequence([group]))


def tiff(**more):
    return lambda path: tifffile.imwrite(path, GREY, **more)


FILES = {
    "centimetres.tif": (tiff(resolution=(20_000, 20_000), resolutionunit=3), 0.5),
    "inches.tif": (tiff(resolution=(101_600, 101_600), resolutionunit=2), 0.25),
    "large.tif": (tiff(resolution=(20_000, 20_000), resolutionunit=3, bigtiff=True), 0.5),
    "imagej.tif": (tiff(imagej=True, resolution=(4, 4), metadata={"unit": "um"}), 0.25),
    "imagej in a language.tif": (tiff(imagej=True, resolution=(4, 4), metadata={"unit": "micron"}), 0.25),
    "screen.tif": (tiff(resolution=(72, 72), resolutionunit=2), None),  # 353 microns
    "no unit.tif": (tiff(resolution=(20_000, 20_000), resolutionunit=1), None),
    "nothing.tif": (tiff(), None),
    "zero.tif": (tiff(resolution=((0, 1), (0, 1)), resolutionunit=3), None),
    "print.png": (lambda path: Image.fromarray(GREY).save(path, dpi=(50_800, 50_800)), None),
    "ct.dcm": (lambda path: save_dicom(path, np.zeros((4, 5)), PixelSpacing=[0.7, 0.7]), 700),
    "x-ray.dcm": (lambda path: save_dicom(path, np.zeros((4, 5)), ImagerPixelSpacing=[0.1, 0.4]), 200),
    "slide.dcm": (with_measures, 0.5),
    "unknown.dcm": (lambda path: save_dicom(path, np.zeros((4, 5))), None),
    "volume.nii.gz": (lambda path: save_nifti(path, affine=np.diag([0.5, 2.0, 9.0, 1.0])), 1000),
    "text.tif": (lambda path: path.write_text("II*"), None),
    "gone.dcm": (lambda path: None, None),
}


@pytest.mark.parametrize("name", FILES)
def test_pixel_sizes(name, tmp_path):
    make, wanted = FILES[name]
    make(tmp_path / name)
    expected = wanted and pytest.approx(wanted)
    assert microns_of(str(tmp_path / name)) == expected
    if name.endswith((".tif", ".png")) and name != "text.tif":
        assert pixels.microns(tmp_path / name) == expected
    if (tmp_path / name).exists() and not name.endswith(".gz"):
        with (tmp_path / name).open("rb") as opened:
            assert microns_in(opened, name) == expected
            assert opened.tell() == 0


def test_a_volume_cut_along_another_axis_has_other_pixels(tmp_path):
    save_nifti(tmp_path / "a.nii.gz", affine=np.diag([0.5, 2.0, 8.0, 1.0]))
    assert microns_of(str(tmp_path / "a.nii.gz"), axis=0) == pytest.approx(4000)
