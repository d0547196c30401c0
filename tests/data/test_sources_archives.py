"""HDF5 and .npz files: nothing outside the file is read, and no claim is believed."""

import io
import os
import zipfile

import h5py
import numpy as np
import pytest

from preceptor.data.sources import open_source
from preceptor.data.sources._hdf5 import dataset
from preceptor.data.sources._npz import open_array, read_array
from preceptor.errors import UserError

X = np.zeros((3, 4, 4, 3), dtype=np.uint8)


def h5(tmp_path, fill):
    file = tmp_path / "a.h5"
    with h5py.File(file, "w") as opened:
        fill(opened)
    return file


@pytest.mark.parametrize("options", [{}, {"chunks": (2, 4, 4, 3)}, {"chunks": True, "compression": "gzip"}])
def test_what_is_stored_is_read(tmp_path, options):
    values = np.random.default_rng(0).integers(0, 256, X.shape, dtype=np.uint8)
    with dataset(h5(tmp_path, lambda file: file.create_dataset("x", data=values, **options)), "x", "pcam") as found:
        assert np.array_equal(found[...], values)


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (lambda file: file.create_group("x"), "x is a group"),
        (lambda file: file.create_group("z"), "no data set x, but z"),
        (lambda file: file.update(x=h5py.ExternalLink("other.h5", "/x")), "x is a link"),
        (lambda file: file.update(x=h5py.SoftLink("/y")), "x is a link"),
        (lambda file: file.create_dataset("x", X.shape, "u1", external=[("outside", 0, X.nbytes)]), "in other files"),
        (lambda file: file.create_dataset("x", (10**11, 96, 96, 3), "u1"), "only 0 are stored"),
        (lambda file: file.create_dataset("x", (10**11, 96, 96, 3), "u1", chunks=(1, 96, 96, 3)), "only 0 blocks"),
        (
            lambda file: file.create_dataset("x", (4, 2**30), "u1", chunks=(1, 2**31 - 1), maxshape=(4, None)),
            "in blocks of",
        ),
        (lambda file: file.update(x="text"), "numbers were expected"),
        (lambda file: file.create_dataset("x", data=h5py.Empty("u1")), "numbers were expected"),
    ],
)
def test_what_is_elsewhere_or_claimed_is_not(tmp_path, fill, message):
    (tmp_path / "outside").write_bytes(b"secret" * 100)
    with pytest.raises(UserError, match=rf"pcam: '.*a\.h5': .*{message}"), dataset(h5(tmp_path, fill), "x", "pcam"):
        pass


def test_a_virtual_data_set_is_not_followed(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = X
    layout = h5py.VirtualLayout(X.shape, "u1")
    layout[...] = h5py.VirtualSource(tmp_path / "other.h5", "x", X.shape)
    file = h5(tmp_path, lambda opened: opened.create_virtual_dataset("x", layout))
    with pytest.raises(UserError, match="in other files"), dataset(file, "x", "pcam"):
        pass


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0.5, 1, 0]), "whole numbers"),
        (np.zeros((3, 2), np.uint8), "one label per image"),
        (np.zeros(4, np.uint8), "4 labels, its images are 3"),
        (np.array([0, 1, 2]), "labels"),
    ],
)
def test_labels_of_another_kind(tmp_path, labels, message):
    stem = tmp_path / "camelyonpatch_level_2_split_train"
    with h5py.File(f"{stem}_x.h5", "w") as file:
        file["x"] = X
    with h5py.File(f"{stem}_y.h5", "w") as file:
        file["y"] = labels
    with pytest.raises(UserError, match=message):
        open_source("pcam", str(tmp_path))


def claiming(path, shape, dtype="<i8", descr=None, body=b"\0" * 64):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": descr or dtype, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", head.getvalue() + body)
    return path


def test_arrays_are_read_as_numpy_reads_them(tmp_path):
    values = {"a": np.arange(6, dtype=">i2").reshape(2, 3), "b": np.zeros((0, 3)), "c": np.float32(3)}
    np.savez_compressed(tmp_path / "x.npz", **values)
    for name, value in values.items():
        assert np.array_equal(read_array(tmp_path / "x.npz", name, "medmnist"), value)


@pytest.mark.parametrize("shape", [(10**12, 1), (7,), (9,), (-2, -4)])
def test_an_array_that_is_not_there_is_not_allocated(tmp_path, shape):
    with pytest.raises(UserError, match=r"a claims the shape .* but \d+ are stored"):
        read_array(claiming(tmp_path / "x.npz", shape), "a", "medmnist")


def test_a_directory_that_lies_is_not_believed(tmp_path):
    """The archive's directory and the array's header agree on a size that the compressed bytes cannot have."""
    file = claiming(tmp_path / "x.npz", (2**28,))
    size = os.stat(file).st_size
    with zipfile.ZipFile(file) as archive:
        claimed = archive.getinfo("a.npy").file_size - 64 + 2**31
    content = file.read_bytes()
    directory = content.rindex(b"PK\x01\x02")
    file.write_bytes(content[: directory + 24] + claimed.to_bytes(4, "little") + content[directory + 28 :])
    assert os.stat(file).st_size == size
    with pytest.raises(UserError, match="compressed ones can hold"):
        open_array(file, "a", "medmnist")


def test_objects_are_refused_without_numpys_advice(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([{}], dtype=object))
    with pytest.raises(UserError, match="Python objects") as caught:
        read_array(tmp_path / "x.npz", "a", "medmnist")
    assert "allow_pickle" not in str(caught.value)


def test_text_and_pipes_are_no_archives(tmp_path):
    (tmp_path / "x.npz").write_text("hi")
    with pytest.raises(UserError, match=r"x\.npz' is damaged or no \.npz file") as caught:
        open_source("medmnist", str(tmp_path / "x.npz"))
    assert "pickle" not in str(caught.value)
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(UserError, match=r"pipe\.npz' is a named pipe"):
        open_source("medmnist", str(tmp_path / "pipe.npz"))
