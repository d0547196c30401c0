"""BreakHis: benign and malignant breast tumours at four magnifications.

Spanhol et al. 2016, IEEE Trans. Biomed. Eng. 63(7), doi:10.1109/TBME.2015.2496264.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from preceptor.data.images import FileReader
from preceptor.data.samples import SampleTable, sample_frame
from preceptor.data.sources._layout import contents, entries, folder_at, images_below, refuse, some_of
from preceptor.errors import UserError

TYPES = {
    "A": "adenosis",
    "F": "fibroadenoma",
    "PT": "phyllodes_tumor",
    "TA": "tubular_adenoma",
    "DC": "ductal_carcinoma",
    "LC": "lobular_carcinoma",
    "MC": "mucinous_carcinoma",
    "PC": "papillary_carcinoma",
}
ABOVE = ("BreaKHis_v1", "histology_slides", "breast")
"""Folders that benign/ and malignant/ lie in."""
BINARY = ("benign", "malignant")
NAME = re.compile(
    r"SOB_(?P<side>[BM])_(?P<type>[A-Z]+)-(?P<year>\d+)-(?P<slide>(?P<number>\d+)[A-Z]*)-(?P<zoom>\d+)-\d+"
)
LAYOUT = (
    "BreaKHis_v1/histology_slides/breast/{benign,malignant}/SOB/<type>/<slide>/<40X…400X>/SOB_B_A-14-22549AB-40-001.png"
)

Zoom = Literal[40, 100, 200, 400]


def breakhis(
    path: Path,
    *,
    task: Literal["binary", "types"] = "binary",
    magnifications: Annotated[tuple[Zoom, ...], Field(min_length=1)] = (40, 100, 200, 400),
) -> SampleTable:
    """The published tree; everything is read from the file names.

    Slides whose numbers differ only in their letters (16184 and 16184CD) come from one case and are
    one patient here.

    Args:
        path: ``BreaKHis_v1``, a folder it lies in, or one between it and ``breast``.
        task: ``binary`` for benign and malignant, ``types`` for the 8 tumour types.
        magnifications: which to use.
    """
    root = _breast(folder_at(path, "breakhis"))
    classes = BINARY if task == "binary" else tuple(TYPES.values())
    kinds = tuple(TYPES)
    ids, files, labels, groups = [], [], [], []
    odd = []
    left_out: dict[str, str] = {}
    for place, file in images_below(root).items():
        stem = os.path.basename(place)
        match = NAME.fullmatch(stem)
        if match is None or match["type"] not in TYPES:
            odd.append(os.path.relpath(file, root))
        elif int(match["zoom"]) not in magnifications:
            left_out[file] = f"images of other magnifications than {', '.join(map(str, magnifications))}"
        else:
            ids.append(stem)
            files.append(file)
            labels.append("BM".index(match["side"]) if task == "binary" else kinds.index(match["type"]))
            groups.append(f"{match['year']}-{match['number']}")
    if odd:
        raise refuse("breakhis", root, f"images named {some_of(odd)}", "names like SOB_B_A-14-22549AB-40-001.png")
    absent = set(classes) - {classes[label] for label in labels}
    if absent:
        raise UserError(
            f"breakhis: no images of {some_of(absent)} below {str(root)!r} at the magnifications {magnifications}"
        )
    reader = FileReader(tuple(files))
    return SampleTable(
        source="breakhis",
        task="classification",
        classes=classes,
        frame=sample_frame(ids, [os.path.relpath(file, root) for file in files], labels=labels, groups=groups),
        read=reader,
        grouping="patient",
        files=reader.files,
        left_out=left_out,
    )


def _breast(path: Path) -> Path:
    """The folder that has benign/ and malignant/; archives hold some folders twice, one in the other."""
    candidate = path
    while True:
        inside = entries(candidate)[0]
        if set(BINARY) <= set(inside):
            return candidate
        below = next((name for name in ABOVE if name in inside), None)
        if below is None:
            raise refuse("breakhis", path, contents(path), LAYOUT)
        candidate = candidate / below
