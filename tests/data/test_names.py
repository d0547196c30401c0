"""Names that no table or terminal can hold are refused where data is opened, with what to do."""

import os

import pytest

from preceptor.data.inspect import inspect
from preceptor.data.names import check_names
from preceptor.data.sources import open_source
from preceptor.errors import UserError

from .trees import class_folders, pairs, save_image, write


def rename(root, old, new: bytes):
    os.rename(os.fsencode(root / old), os.fsencode(root) + b"/" + new)


def test_umlauts_are_fine():
    check_names("images", ["hämatom/é.png", None, "emoji 🔬"])


@pytest.mark.parametrize("of", ["class", "image", "mask", "root"])
def test_latin_1_names_are_named_with_the_remedy(tmp_path, of):
    root = tmp_path / "data"
    if of == "mask":
        pairs(root)
        for kind in ("images", "masks"):
            rename(root / kind, "TCGA-AA-0001-01Z.png", b"h\xe4matom.png")
    else:
        class_folders(root)
        if of == "root":
            rename(tmp_path, "data", b"h\xe4matom")
            root = next(path for path in tmp_path.iterdir() if path.name != "data")
        else:
            rename(root / ("" if of == "class" else "cat"), "dog" if of == "class" else "p0_0.png", b"h\xe4matom")
            if of == "image":
                rename(root / "cat", os.fsdecode(b"h\xe4matom"), b"h\xe4matom.png")
    for look in (lambda: inspect(str(root)), lambda: open_source("folder", str(root))):
        with pytest.raises(UserError, match=r"not UTF-8.*h\\xe4matom(.|\n)*convmv") as caught:
            look()
        str(caught.value).encode("utf-8")  # can be written anywhere


def test_utf_8_names_in_another_locale_are_told_apart(monkeypatch):
    monkeypatch.setattr("preceptor.data.names.os.fsencode", lambda name: b"h\xc3\xa4matom")
    with pytest.raises(UserError, match="LC_ALL"):
        check_names("images", ["h\udcc3\udca4matom"])


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "a\x9bb", "a\rb", "a\tb"])
def test_control_characters_are_shown_escaped(tmp_path, name):
    class_folders(tmp_path)
    save_image(tmp_path / "cat" / f"{name}.png")
    with pytest.raises(UserError, match="control characters") as caught:
        open_source("folder", str(tmp_path))
    assert name not in str(caught.value)
    assert repr(name)[1:-1] in str(caught.value)


@pytest.mark.parametrize(
    ("header", "row", "where"),
    [
        ("image,la\x1bbel", "0.png,a", r"columns of labels\.csv"),
        ("image,label", '0.png,"a\nb"', r"column label of labels\.csv"),
    ],
)
def test_tables_are_looked_at_too(tmp_path, header, row, where):
    for number in range(2):
        save_image(tmp_path / f"{number}.png", seed=number)
    write(tmp_path / "labels.csv", "\n".join([header, row, "1.png,c"]) + "\n")
    with pytest.raises(UserError, match=f"{where}.*control characters"):
        open_source("table", str(tmp_path), {"image": "image", "label": "label"})
