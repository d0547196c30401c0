"""Tables, MedMNIST files and HDF5 files that are damaged, hostile, or claim what they do not hold."""

import os

import h5py
import numpy as np

from .make import Evil, Table, claiming, h5_file, medmnist, pcam, recipe, table, train

TABLE = Table()
case = TABLE.case


def with_table(folder, change=list, **options):
    return train(folder, recipe(data=table(folder, change, **options)))


def with_row(folder, row, **options):
    """A table whose sixth line is ``row``."""
    return with_table(folder, lambda lines: [*lines[:5], row, *lines[6:]], **options)


@case(2, r"no\.csv")
def table_missing(folder):
    options = {"image": "image", "label": "label"}
    return train(folder, recipe(data={"source": "table", "path": str(folder / "no.csv"), "options": options}))


@case(2, "no column klass: it has image, label, patient")
def table_wrong_column(folder):
    return with_table(folder, label="klass")


@case(0, "1 images without a label are in the training part")
def table_blank_label(folder):
    return with_row(folder, "4.png,,p9")


@case(0, "run folder", slow=True)
def table_bom(folder):
    return with_table(folder, lambda lines: b"\xef\xbb\xbf" + "\n".join(lines).encode())


def table_utf16(folder):
    return with_table(folder, lambda lines: "\n".join(lines).encode("utf-16"))


def table_semicolons(folder):
    return with_table(folder, lambda lines: "\n".join(lines).replace(",", ";"))


@case(2, r"labels\.csv.*line 6")
def table_ragged(folder):
    return with_row(folder, "4.png,a,p2,extra,extra")


@case(2, r"labels\.csv")
def table_unclosed_quote(folder):
    return with_row(folder, '"4.png,a,p2')


@case(2, r"labels\.csv|4.*png")
def table_nul(folder):
    return with_row(folder, "4\0.png,a,p2")


@case(2, "passwd")
def table_traversal_passwd(folder):
    return with_row(folder, "../../../../../../etc/passwd,a,p9", unlisted="ignore")


@case(2, "passwd")
def table_absolute_passwd(folder):
    return with_row(folder, "/etc/passwd,a,p9", unlisted="ignore")


@case(2, "not there")
def table_long_name(folder):
    return with_row(folder, "x" * 5000 + ".png,a,p9", unlisted="ignore")


@case(2, r"labels\.csv")
def table_empty(folder):
    return with_table(folder, lambda lines: "")


@case(2, r"labels\.csv.*no rows")
def table_header_only(folder):
    return with_table(folder, lambda lines: lines[0])


@case(2, "only one patient")
def table_one_group(folder):
    return with_table(folder, lambda lines: [lines[0], *(f"{line.rpartition(',')[0]},p0" for line in lines[1:])])


@case(2, "expected train, validation, test")
def table_bad_split_word(folder):
    return with_table(folder, split="patient")


@case(2, "several rows")
def table_twice(folder):
    return with_table(folder, lambda lines: [*lines, "3.png,a,p1"])


@case(2, "2 columns label")
def table_dup_column(folder):
    return with_table(folder, lambda lines: ["image,label,label", *lines[1:]], group=None)


def with_npz(folder, **arrays):
    return train(folder, recipe(data=medmnist(folder, **arrays)))


@case(2, r"xmnist\.npz")
def npz_pickled_labels(folder):
    return with_npz(folder, train_labels=np.array([Evil(folder)] * 12, dtype=object))


@case(2, r"xmnist\.npz")
def npz_pickled_images(folder):
    return with_npz(folder, train_images=np.array([Evil(folder)] * 12, dtype=object))


@case(2, "test_labels")
def npz_missing_key(folder):
    return with_npz(folder, test_labels=None)


@case(2, r"xmnist\.npz")
def npz_truncated(folder):
    data = medmnist(folder)
    content = (folder / "data" / "xmnist.npz").read_bytes()
    (folder / "data" / "xmnist.npz").write_bytes(content[: len(content) // 2])
    return train(folder, recipe(data=data))


@case(2, r"xmnist\.npz")
def npz_flip(folder):
    data = medmnist(folder)
    content = bytearray((folder / "data" / "xmnist.npz").read_bytes())
    content[3000] ^= 0xFF
    (folder / "data" / "xmnist.npz").write_bytes(content)
    return train(folder, recipe(data=data))


@case(2, r"xmnist\.npz.*train_labels|train_labels.*xmnist\.npz")
def npz_huge_label_claim(folder):
    return train(folder, recipe(data=claiming(folder, "train_labels", (10**12, 1), "<i8")), gib=6)


@case(2, r"xmnist\.npz.*train_images|train_images.*xmnist\.npz")
def npz_huge_image_claim(folder):
    return train(folder, recipe(data=claiming(folder, "train_images", (10**9, 28, 28, 3), "|u1")), gib=6)


@case(2, r"x\.npz")
def npz_is_text(folder):
    (folder / "x.npz").write_text("hi")
    return train(folder, recipe(data={"source": "medmnist", "path": str(folder / "x.npz"), "options": {}}))


def with_h5(folder, fill=None):
    """PCam's files, the first filled anew by ``fill``."""
    data = pcam(folder)
    if fill is not None:
        with h5py.File(h5_file(folder, "train", "x"), "w") as file:
            fill(file)
    return train(folder, recipe(data=data), gib=6)


@case(2, r"train_x\.h5")
def h5_not_h5(folder):
    call = with_h5(folder)
    h5_file(folder, "train", "x").write_text("no")
    return call


@case(2, r"train_x\.h5")
def h5_truncated(folder):
    call = with_h5(folder)
    os.truncate(h5_file(folder, "train", "x"), 3000)
    return call


@case(2, r"train_x\.h5")
def h5_missing_dataset(folder):
    return with_h5(folder, lambda file: file.create_dataset("z", data=1))


@case(2, r"train_x\.h5.*group")
def h5_group_in_place(folder):
    return with_h5(folder, lambda file: file.create_group("x"))


@case(2, r"train_[xy]\.h5")
def h5_huge_claim(folder):
    claim = {"dtype": "u1", "chunks": (1, 96, 96, 3)}
    call = with_h5(folder, lambda file: file.create_dataset("x", shape=(10**11, 96, 96, 3), **claim))
    with h5py.File(h5_file(folder, "train", "y"), "w") as file:
        file.create_dataset("y", shape=(10**11, 1, 1, 1), dtype="u1", chunks=(1000, 1, 1, 1))
    return call


@case(2, r"train_x\.h5.*link")
def h5_external_link(folder):
    def fill(file):
        file["x"] = h5py.ExternalLink("/etc/passwd", "/x")

    return with_h5(folder, fill)


@case(2, r"train_x\.h5.*(external|outside|other file)")
def h5_external_raw_storage(folder):
    store = [("/etc/passwd", 0, 12 * 48)]
    return with_h5(folder, lambda file: file.create_dataset("x", shape=(12, 4, 4, 3), dtype="u1", external=store))
