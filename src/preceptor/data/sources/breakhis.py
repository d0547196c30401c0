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
from preceptor.data.sources._layout import contents, entries, folder_at, image_names, named, refuse
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
        path: ``BreaKHis_v1``, the folder it lies in, or one between it and ``breast``.
        task: ``binary`` for benign and malignant, ``types`` for the 8 tumour types.
        magnifications: which to use.
    """
    root = _breast(folder_at(path, "breakhis"))
    classes = BINARY if task == "binary" else tuple(TYPES.values())
    kinds = tuple(TYPES)
    ids, files, labels, groups = [], [], [], []
    odd = []
    for folder, subfolders, names in os.walk(root):
        subfolders.sort()
        for name in image_names(sorted(names)):
            stem = os.path.splitext(name)[0]
            match = NAME.fullmatch(stem)
            if match is None or match["type"] not in TYPES:
                odd.append(os.path.join(os.path.relpath(folder, root), name))
                continue
            if int(match["zoom"]) in magnifications:
                ids.append(stem)
                files.append(os.path.join(folder, name))
                labels.append("BM".index(match["side"]) if task == "binary" else kinds.index(match["type"]))
                groups.append(f"{match['year']}-{match['number']}")
    if odd:
        raise refuse("breakhis", root, f"images named {named(odd)}", "names like SOB_B_A-14-22549AB-40-001.png")
    absent = set(classes) - {classes[label] for label in labels}
    if absent:
        raise UserError(
            f"breakhis: no images of {named(absent)} below {str(root)!r} at the magnifications {magnifications}"
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
    )


def _breast(path: Path) -> Path:
    """The folder that has benign/ and malignant/."""
    below = ("BreaKHis_v1", "histology_slides", "breast")
    for start in range(len(below) + 1):
        candidate = path.joinpath(*below[start:])
        if candidate.is_dir() and set(BINARY) <= set(entries(candidate)[0]):
            return candidate
    raise refuse("breakhis", path, contents(path), LAYOUT)
