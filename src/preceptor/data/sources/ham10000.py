"""HAM10000: dermatoscopic images of pigmented skin lesions, 7 diagnoses, several images of some lesions.

Tschandl, Rosendahl & Kittler 2018, Scientific Data 5, 180161, doi:10.1038/sdata.2018.161 (CC BY-NC 4.0).
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from preceptor.data.images import FileReader
from preceptor.data.pixels.endings import parted
from preceptor.data.samples import SampleTable, sample_frame
from preceptor.data.sources._layout import contents, entries, folder_at, image_places, matched, refuse, some_of
from preceptor.data.sources._tables import read_table
from preceptor.errors import UserError

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
PARTS = ("HAM10000_images_part_1", "HAM10000_images_part_2")
_PART = re.compile(r"(?:^|/)HAM10000_images_part_[12]/", re.IGNORECASE)
TABLES = ("HAM10000_metadata.csv", "HAM10000_metadata.tab", "HAM10000_metadata", "HAM10000_metadata.tsv")
"""What Kaggle, Dataverse's two ways of downloading, and spreadsheets call it."""
MASK = "_segmentation"
LAYOUT = f"{TABLES[0]} (or {', '.join(TABLES[1:])}) and the images in {PARTS[0]}, {PARTS[1]} or any one folder"
COPIES = "second copies of images, in another folder"


def ham10000(path: Path, *, task: Literal["classification", "segmentation"] = "classification") -> SampleTable:
    """``HAM10000_metadata`` and folders of images, as Dataverse, Kaggle or a single folder have them.

    Args:
        path: the folder of these.
        task: ``classification`` for the diagnosis, ``segmentation`` for the lesion, whose masks are
            ``<image_id>_segmentation.png`` in any folder.
    """
    root = folder_at(path, "ham10000")
    name = next((name for name in TABLES if name in entries(root)[1]), None)
    images, masks, copies = _files(root)
    if name is None or not images:
        raise refuse("ham10000", root, contents(root), LAYOUT)
    table = _rows(root, name)
    notes = []
    folders = {os.path.relpath(os.path.dirname(file), root) for file in images.values()}
    if len(folders) == 1 and folders <= set(PARTS):  # the other part may simply not be there
        absent = (~table["image_id"].isin(list(images))).sum()
        (part,) = folders
        notes.append(
            f"Only {part} is there: {absent} of the {len(table)} rows of {name} have no image and are left out."
        )
        table = table[table["image_id"].isin(list(images))]
        masks = {key: mask for key, mask in masks.items() if key in images}
    matched(
        "ham10000",
        set(table["image_id"]),
        set(images),
        only_left=f"rows of {name} without an image",
        only_right=f"images without a row in {name}",
    )
    ids = table["image_id"].tolist()
    paths = [images[key] for key in ids]
    used = _masks_of(ids, masks, root) if task == "segmentation" else None
    left_out = dict.fromkeys(copies, COPIES)
    if used is None:
        left_out |= dict.fromkeys(masks.values(), "masks, as the task is the diagnosis")
    reader = FileReader(tuple(paths), None if used is None else tuple((mask,) for mask in used))
    origin = {"site": table["dataset"].tolist()} if "dataset" in table else {}
    return SampleTable(
        source="ham10000",
        task=task,
        classes=CLASSES if task == "classification" else ("background", "lesion"),
        frame=sample_frame(
            ids,
            [os.path.relpath(file, root) for file in paths],
            labels=None if used else [CLASSES.index(diagnosis) for diagnosis in table["dx"]],
            masks=None if used is None else [os.path.relpath(file, root) for file in used],
            groups=table["lesion_id"].tolist(),
        ).assign(**origin),
        read=reader,
        grouping="lesion",
        files=reader.files,
        notes=tuple(notes),
        read_besides=(str(root / name),),
        left_out=left_out,
    )


def _rows(root: Path, name: str) -> pd.DataFrame:
    """The table of lesions.

    Raises:
        UserError: a column is missing, an image stands there twice, or a diagnosis is unknown.
    """
    table = read_table(root / name).rows
    lacking = {"lesion_id", "image_id", "dx"} - set(table.columns)
    if lacking:
        raise refuse("ham10000", root / name, f"columns {', '.join(table.columns)}", f"also {some_of(lacking)}")
    repeated = table.loc[table["image_id"].duplicated(), "image_id"]
    if len(repeated):
        raise UserError(f"ham10000: {name} lists image {repeated.iloc[0]!r} and {len(repeated) - 1} more twice")
    unknown = set(table["dx"]) - set(CLASSES)
    if unknown:
        raise UserError(f"ham10000: {name} has the diagnoses {some_of(unknown)}: known are {', '.join(CLASSES)}")
    return table


def _files(root: Path) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Image id -> image; image id -> mask; and second copies, which Kaggle's archive has under small letters.

    Raises:
        UserError: two images of one name that differ in size.
    """
    images: dict[str, str] = {}
    masks: dict[str, str] = {}
    copies: list[str] = []
    differ: list[str] = []
    places = image_places(root)
    wanted = {place for place in places if _PART.search(place)} or set(places)  # test images may lie beside the parts
    for place in places:
        stem, file = parted(os.path.basename(place))[0], os.path.join(root, place)
        if stem.endswith(MASK):
            masks[stem.removesuffix(MASK)] = file
        elif place not in wanted:
            continue
        elif stem not in images:
            images[stem] = file
        elif os.path.getsize(file) == os.path.getsize(images[stem]):
            copies.append(file)
        else:
            differ.append(stem)
    if differ:
        raise UserError(
            f"ham10000: {len(differ)} images are in two folders below {str(root)!r} and differ there: "
            f"{some_of(differ)}; remove those that are not as published"
        )
    return images, masks, copies


def _masks_of(ids: Sequence[str], masks: dict[str, str], root: Path) -> list[str]:
    if not masks:
        raise UserError(f"ham10000: no mask <image_id>{MASK}.png in any folder of {str(root)!r}: saw {contents(root)}")
    matched("ham10000", set(ids), set(masks), only_left="images without a mask", only_right="masks without an image")
    return [masks[name] for name in ids]
