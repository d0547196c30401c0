"""HAM10000: dermatoscopic images of pigmented skin lesions, 7 diagnoses, several images of some lesions.

Tschandl, Rosendahl & Kittler 2018, Scientific Data 5, 180161, doi:10.1038/sdata.2018.161 (CC BY-NC 4.0).
"""

import os
from pathlib import Path
from typing import Literal

from preceptor.data.images import FileReader
from preceptor.data.samples import SampleTable, sample_frame
from preceptor.data.sources._layout import contents, entries, folder_at, images_in, matched, named, read_table, refuse
from preceptor.errors import UserError

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
PARTS = ("HAM10000_images_part_1", "HAM10000_images_part_2")
TABLE = "HAM10000_metadata.csv"
MASK = "_segmentation"


def ham10000(path: Path, *, task: Literal["classification", "segmentation"] = "classification") -> SampleTable:
    """``HAM10000_metadata.csv`` and ``HAM10000_images_part_1/``, ``HAM10000_images_part_2/`` or both.

    Args:
        path: the folder of these.
        task: ``classification`` for the diagnosis, ``segmentation`` for the lesion, whose masks
            ``<image_id>_segmentation.png`` are looked for in every other folder.
    """
    root = folder_at(path, "ham10000")
    folders, files = entries(root)
    parts = [name for name in PARTS if name in folders]
    if TABLE not in files or not parts:
        raise refuse("ham10000", root, contents(root), f"{TABLE} and {' or '.join(PARTS)}")
    table = read_table(root / TABLE)
    lacking = {"lesion_id", "image_id", "dx"} - set(table.columns)
    if lacking:
        raise refuse("ham10000", root / TABLE, f"columns {', '.join(table.columns)}", f"also {named(lacking)}")
    repeated = table.loc[table["image_id"].duplicated(), "image_id"]
    if len(repeated):
        raise UserError(f"ham10000: {TABLE} lists image {repeated.iloc[0]!r} and {len(repeated) - 1} more twice")
    unknown = set(table["dx"]) - set(CLASSES)
    if unknown:
        raise UserError(f"ham10000: {TABLE} has the diagnoses {named(unknown)}: known are {', '.join(CLASSES)}")

    images: dict[str, str] = {}
    for part in parts:
        found = images_in(root / part)
        twice = set(found) & set(images)
        if twice:
            raise UserError(f"ham10000: {len(twice)} images are in both part folders: {named(twice)}")
        images |= found
    notes = []
    if len(parts) < len(PARTS):  # the other part may simply not be there
        absent = (~table["image_id"].isin(list(images))).sum()
        notes.append(
            f"Only {parts[0]} is there: {absent} of the {len(table)} rows of {TABLE} have no image and are left out."
        )
        table = table[table["image_id"].isin(list(images))]
    matched(
        "ham10000",
        set(table["image_id"]),
        set(images),
        only_left=f"rows of {TABLE} without an image",
        only_right=f"images without a row in {TABLE}",
    )

    ids = table["image_id"].tolist()
    paths = [images[name] for name in ids]
    masks: list[str] | None = None
    if task == "segmentation":
        available = _masks(root)
        if not available:
            raise UserError(
                f"ham10000: no mask <image_id>{MASK}.png in any folder of {str(root)!r}: saw {contents(root)}"
            )
        if len(parts) < len(PARTS):
            available = {name: mask for name, mask in available.items() if name in images}
        matched(
            "ham10000", set(ids), set(available), only_left="images without a mask", only_right="masks without an image"
        )
        masks = [available[name] for name in ids]
    reader = FileReader(tuple(paths), None if masks is None else tuple((mask,) for mask in masks))
    return SampleTable(
        source="ham10000",
        task=task,
        classes=CLASSES if task == "classification" else ("background", "lesion"),
        frame=sample_frame(
            ids,
            [os.path.relpath(file, root) for file in paths],
            labels=None if masks else [CLASSES.index(name) for name in table["dx"]],
            masks=None if masks is None else [os.path.relpath(file, root) for file in masks],
            groups=table["lesion_id"].tolist(),
        ),
        read=reader,
        grouping="lesion",
        files=reader.files,
        notes=tuple(notes),
    )


def _masks(root: Path) -> dict[str, str]:
    """Image id -> mask, from every folder but the image folders (archives unpack one or two levels deep)."""
    found = {}
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(set(subfolders) - set(PARTS))
        for name in names:
            stem = os.path.splitext(name)[0]
            if stem.endswith(MASK) and not name.startswith("."):
                found[stem.removesuffix(MASK)] = os.path.join(folder, name)
    return found
