"""Textures in colorectal cancer histology: 5,000 H&E tiles of 150 px, 8 tissue classes.

Kather et al. 2016, Scientific Reports 6, 27988; doi:10.5281/zenodo.53169 (CC BY 4.0).
"""

from pathlib import Path

from preceptor.data.images import FileReader
from preceptor.data.name_rules import KATHER
from preceptor.data.samples import SampleTable, sample_frame
from preceptor.data.sources._layout import contents, entries, folder_at, images_in, refuse, some_of
from preceptor.errors import UserError

FOLDER = "Kather_texture_2016_image_tiles_5000"
CLASSES = ("01_TUMOR", "02_STROMA", "03_COMPLEX", "04_LYMPHO", "05_DEBRIS", "06_MUCOSA", "07_ADIPOSE", "08_EMPTY")


def kather2016(path: Path) -> SampleTable:
    """``Kather_texture_2016_image_tiles_5000/01_TUMOR/*.tif`` and seven more classes.

    Args:
        path: that folder, or the one it lies in.
    """
    root = folder_at(path, "kather2016")
    root = root / FOLDER if (root / FOLDER).is_dir() else root
    missing = set(CLASSES) - set(entries(root)[0])
    if missing:
        raise refuse("kather2016", root, contents(root), f"the class folders {', '.join(CLASSES)}")
    ids, files, labels = [], [], []
    empty = []
    for label, name in enumerate(CLASSES):
        found = images_in(root / name)
        if not found:
            empty.append(name)
        ids += [f"{name}/{stem}" for stem in found]
        files += list(found.values())
        labels += [label] * len(found)
    if empty:
        raise UserError(f"kather2016: no images in {some_of(empty)} below {str(root)!r}: each class needs some")
    slides = [KATHER.group(stem.rpartition("/")[2]) for stem in ids]
    unnamed = [stem for stem, slide in zip(ids, slides, strict=True) if slide is None]
    reader = FileReader(tuple(files))
    return SampleTable(
        source="kather2016",
        task="classification",
        classes=tuple(name[3:].lower() for name in CLASSES),
        frame=sample_frame(
            ids,
            [f"{key}{Path(file).suffix}" for key, file in zip(ids, files, strict=True)],
            labels=labels,
            groups=None if unnamed else slides,
        ),
        read=reader,
        grouping=None if unnamed else "slide",
        files=reader.files,
        notes=(
            f"{len(unnamed)} names, for example {unnamed[0]!r}, do not tell the slide as published names do "
            "(CRC-Prim-HE-03): no groups are known, tiles of one slide can be on both sides of a split."
            if unnamed
            else "Groups are slides, by their names; which slides are of one patient was not published.",
        ),
    )
