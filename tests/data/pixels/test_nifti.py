"""NIfTI: slices by hand, nibabel's own values, subjects as groups."""

import re
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pytest

from preceptor.data.images import read_image, read_stored
from preceptor.data.inspect import inspect
from preceptor.data.pixels import PixelRules
from preceptor.data.pixels.reading import ReadRequest
from preceptor.data.sources import open_source
from preceptor.errors import UserError
from preceptor.specs import DataSpec

SHIPPED = Path(nibabel.__file__).parent / "tests" / "data"
VALUES = np.random.default_rng(0).integers(0, 256, (5, 6, 7), dtype=np.uint8)


def save(path, values=VALUES, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([2.0, 2, 3, 1]) if affine is None else affine), path)
    return path


def slice_of(path, place, **rules):
    request = ReadRequest(path=path, place=place, axis=rules.get("axis", 2), stack=rules.get("stack", 1))
    return read_stored(request).values


def test_slices_by_hand(tmp_path):
    file = save(tmp_path / "a.nii.gz")
    axial = slice_of(file, 3)[..., 0]
    assert axial.shape == (6, 5)
    assert axial[0, 0] == VALUES[0, 5, 3]  # front left of the array: the highest second index at the top
    assert np.array_equal(axial, VALUES[:, :, 3].T[::-1])
    assert np.array_equal(slice_of(file, 2, axis=0)[..., 0], VALUES[2].T[::-1])
    assert np.array_equal(slice_of(file, 4, axis=1)[..., 0], VALUES[:, 4].T[::-1])


def test_neighbours_are_channels_and_the_ends_are_repeated(tmp_path):
    file = save(tmp_path / "a.nii")
    first = slice_of(file, 0, stack=3)
    assert np.array_equal(first, np.stack([VALUES[:, :, k].T[::-1] for k in (0, 0, 1)], axis=2))
    assert np.array_equal(slice_of(file, 6, stack=5)[..., 4], VALUES[:, :, 6].T[::-1])


def test_volumes_are_turned_to_one_orientation(tmp_path):
    """The same anatomy, stored with its first axis to the left and its last two exchanged."""
    affine = np.array([[-2.0, 0, 0, 8], [0, 0, 2, 0], [0, 3, 0, 0], [0, 0, 0, 1]])
    turned = save(tmp_path / "t.nii", np.swapaxes(VALUES[::-1], 1, 2), affine)
    assert np.array_equal(slice_of(turned, 3), slice_of(save(tmp_path / "a.nii"), 3))


def test_images_and_label_maps_slice_by_slice(tmp_path):
    labels = (VALUES > 200).astype(np.uint8)
    for subject in ("sub-01", "sub-02", "sub-03"):
        save(tmp_path / "images" / f"{subject}_T1w.nii.gz")
        save(tmp_path / "masks" / f"{subject}_T1w.nii.gz", labels)
    found = inspect(str(tmp_path))
    assert (found.task, found.grouping, found.group_count, found.damaged) == ("segmentation", "patient", 3, {})
    assert any("voxels are 2 x 2 mm" in note for note in found.notes)
    table = open_source("folder", str(tmp_path), {"stack": 3}, DataSpec(source="folder", channels=3))
    assert len(table) == 21
    image, mask = table.read(8)
    assert np.array_equal(mask, labels[:, :, 1].T[::-1])
    assert np.array_equal(image[..., 1], VALUES[:, :, 1].T[::-1])
    assert set(table.frame["group"]) == {"sub-01", "sub-02", "sub-03"}


def test_what_has_no_range_says_what_to_set(tmp_path):
    file = save(tmp_path / "a.nii", (VALUES.astype(np.int16) * 10 - 1000))
    with pytest.raises(UserError, match="7 slices along axis 2: one was expected"):
        read_image(file)
    one = save(tmp_path / "b.nii", (VALUES[:, :, :1].astype(np.int16) * 10 - 1000))
    with pytest.raises(UserError, match=r"int16 values.*\n.*data\.options\.range"):
        read_image(one)
    assert read_image(one, PixelRules(range=(-1000, 1550)))[0, 0, 0] == VALUES[0, 5, 0]


def test_what_is_no_volume_is_named():
    with pytest.raises(UserError, match="surfaces or networks"):
        read_stored(ReadRequest(path=SHIPPED / "row_major.dconn.nii", place=0))


def test_a_mask_with_other_slices_is_named(tmp_path):
    for name, slices in (("a", 5), ("b", 7)):
        save(tmp_path / "images" / f"{name}.nii")
        save(tmp_path / "masks" / f"{name}.nii", (VALUES[:, :, :slices] > 200).astype(np.uint8))
    found = inspect(str(tmp_path))
    assert list(found.damaged) == ["a"]
    assert re.search(r"a\.nii' has 5 slices, its image '.*a\.nii' 7", found.damaged["a"])
    assert int(found.counts.to_numpy().sum()) == 8  # the one volume, and the slices of the other
    assert (found.account.images, found.account.masks, found.account.unused) == (2, 2, ())
    table = open_source("folder", str(tmp_path))
    with pytest.raises(UserError, match=r"a\.nii' has 5 slices"):
        table.read(0)
    assert table.take(np.array([1])).read(0)[1] is not None, (
        "a row is known by its own number where others are left out"
    )


def test_volumes_over_time_are_refused_or_channels(tmp_path):
    file = save(tmp_path / "a.nii", np.stack([VALUES] * 4, axis=3))
    with pytest.raises(UserError, match=r"4 volumes of 5 x 6 x 7.*data\.channels=4"):
        slice_of(file, 0)
    values = read_stored(ReadRequest(path=file, place=2, channels=4)).values
    assert np.array_equal(values[..., 3], VALUES[:, :, 2].T[::-1])


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.nii*")), ids=lambda file: file.name)
def test_files_of_nibabel_are_read_right_or_named(file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = nibabel.load(file)
        try:
            found = read_stored(ReadRequest(path=file, place=1)).values
        except UserError:
            found = None
        if found is None:
            assert len(image.shape) != 3
            return
        canonical = nibabel.as_closest_canonical(image).get_fdata()
    assert np.allclose(found[..., 0], np.squeeze(canonical)[:, :, 1].T[::-1], equal_nan=True)


def test_cut_files_are_never_half_read(tmp_path):
    for name in ("a.nii", "a.nii.gz"):
        file = save(tmp_path / name)
        content = file.read_bytes()
        for end in range(0, len(content) - 10, 31):
            file.write_bytes(content[:end])
            with pytest.raises(UserError):
                slice_of(file, 0)


def test_a_damaged_volume_is_named_and_the_others_are_read(tmp_path):
    for label in ("a", "b"):
        for number in range(2):
            save(tmp_path / label / f"{number}.nii")
    (tmp_path / "b" / "2.nii").write_bytes(b"no volume")
    found = inspect(str(tmp_path), options={"axis": 2})
    assert list(found.damaged) == ["b/2"]
    assert "2.nii" in found.damaged["b/2"]
    assert sum(found.sizes.values()) == 28


def test_a_cut_volume_is_not_called_an_archive(tmp_path):
    file = save(tmp_path / "a.nii.gz")
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(UserError, match="is damaged") as raised:
        slice_of(file, 0)
    assert "unpack" not in str(raised.value)


def test_a_name_that_files_of_several_folders_have_is_no_group(tmp_path):
    for folder in ("ad/p1", "ad/p2", "cn/p3"):
        save(tmp_path / folder / "scan.nii.gz")
    table = open_source("folder", str(tmp_path))
    assert sorted(set(table.frame["group"])) == ["ad/p1/scan", "ad/p2/scan", "cn/p3/scan"]
    assert any("files of several folders have one name" in note for note in table.notes)
