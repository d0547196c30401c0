"""A data source in a user's own file."""

import numpy as np
import pytest

from preceptor.data.sources import open_source
from preceptor.data.store import pack
from preceptor.errors import UserError

from ..own_things import SOURCE
from .trees import save_image


@pytest.fixture
def mine(tmp_path):
    """``file.py:tissues``, and a folder with four images."""
    (tmp_path / "blobs.py").write_text(SOURCE)
    for name in ("stroma_p1_0", "stroma_p2_0", "tumour_p1_0", "tumour_p3_0"):
        save_image(tmp_path / "images" / f"{name}.png")
    return f"{tmp_path / 'blobs.py'}:tissues", str(tmp_path / "images")


def packed(mine, folder, options=None):
    return pack(open_source(*mine, options), size=(8, 8), folder=folder)


def test_the_example_of_the_page(mine, tmp_path):
    table = open_source(*mine, {"classes": ["tumour", "stroma"]})
    assert table.source == "blobs-tissues"
    assert table.frame["label"].tolist() == [1, 1, 0, 0]
    assert table.frame["group"].tolist() == ["p1", "p2", "p1", "p3"]


def test_packed_images_depend_on_the_content_of_the_file(mine, tmp_path):
    first = packed(mine, tmp_path / "cache")
    assert packed(mine, tmp_path / "cache").folder == first.folder
    moved = tmp_path / "elsewhere" / "blobs.py"
    moved.parent.mkdir()
    moved.write_text(SOURCE)
    assert packed((f"{moved}:tissues", mine[1]), tmp_path / "cache").folder == first.folder
    moved.write_text(SOURCE.replace('.convert("RGB"))', '.convert("RGB"))[::-1]'))
    assert packed((f"{moved}:tissues", mine[1]), tmp_path / "cache").fingerprint != first.fingerprint


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("classes: tuple", "kinds: tuple", "has no option 'classes'"),
        ("path: Path, *", "*", "takes no `path`"),
        ("    def read(row", "    return frame\n\n    def read(row", "gives DataFrame; a SampleTable was wanted"),
        ('glob("*.png")', 'glob("*.png", 1 / 0)', "blobs.py, line 11, in tissues: ZeroDivisionError"),
        ('glob("*.png")', 'glob("*.gif")', "the data set has no images"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(mine, tmp_path, old, new, message):
    (tmp_path / "blobs.py").write_text(SOURCE.replace(old, new))
    with pytest.raises(UserError, match=message):
        open_source(*mine, {"classes": ["stroma", "tumour"]})


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ("return None", r"stroma_p1_0\.png: read gives NoneType; the pair"),
        ("return np.zeros((4, 4), np.uint8), None", r"the image is \(4, 4\) uint8; \(H, W, 3\) uint8 was wanted"),
        ("return np.zeros((4, 4, 3)), None", r"is \(4, 4, 3\) float64"),
    ],
)
def test_pixels_that_are_none_are_told(mine, tmp_path, new, message):
    (tmp_path / "blobs.py").write_text(
        SOURCE.replace('return np.asarray(Image.open(files[row]).convert("RGB")), None', new)
    )
    with pytest.raises(UserError, match=message):
        packed(mine, tmp_path / "cache")


def test_names_that_are_none(tmp_path):
    with pytest.raises(UserError, match=r"Your own is named path/to/file\.py:name"):
        open_source("tisues")
    (tmp_path / "blobs.py").write_text(SOURCE)
    with pytest.raises(UserError, match="has no class or function 'tisues'; did you mean 'tissues'"):
        open_source(f"{tmp_path / 'blobs.py'}:tisues")


def test_data_without_files_name_what_they_depend_on(tmp_path):
    (tmp_path / "noise.py").write_text(
        "from pathlib import Path\n\nimport numpy as np\n\n"
        "from preceptor.data.samples import SampleTable, sample_frame\n\n\n"
        "def noise(path: Path | None = None, *, count: int = 4) -> SampleTable:\n"
        "    ids, labels = [f'n{n}' for n in range(count)], [n % 2 for n in range(count)]\n"
        "    frame = sample_frame(ids, ['noise'] * count, labels=labels)\n"
        "    read = lambda row: (np.full((8, 8, 3), row, np.uint8), None)\n"
        "    return SampleTable('noise', 'classification', ('a', 'b'), frame, read, identity=f'{count}')\n"
    )
    table = open_source(f"{tmp_path / 'noise.py'}:noise", None, {"count": 6})
    assert len(table) == 6
    assert np.array_equal(table.read(3)[0], np.full((8, 8, 3), 3, np.uint8))
