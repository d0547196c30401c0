"""Lower-grade glioma in brain MRI slices with tumour masks (kaggle_3m), 110 patients of TCGA-LGG.

Buda, Saha & Mazurowski 2019, Computers in Biology and Medicine 109, doi:10.1016/j.compbiomed.2019.05.002.
"""

import os
import re
from pathlib import Path

from preceptor.data.images import FileReader
from preceptor.data.samples import SampleTable, sample_frame
from preceptor.data.sources._layout import contents, entries, folder_at, images_in, matched, refuse, some_of

LAYOUT = "kaggle_3m/TCGA_<site>_<patient>_<date>/TCGA_<site>_<patient>_<date>_<n>.tif and …_<n>_mask.tif"
CASE = re.compile(r"(?P<patient>TCGA_[A-Z0-9]+_[A-Z0-9]+)_\d+")


def lgg(path: Path) -> SampleTable:
    """``kaggle_3m/TCGA_*/TCGA_*_<n>.tif`` with ``TCGA_*_<n>_mask.tif``.

    Args:
        path: ``kaggle_3m``, or the folder it lies in.
    """
    root = folder_at(path, "lgg")
    root = root / "kaggle_3m" if (root / "kaggle_3m").is_dir() else root
    cases = [name for name in entries(root)[0] if CASE.fullmatch(name)]
    if not cases:
        raise refuse("lgg", root, contents(root), LAYOUT)
    ids, images, masks, groups = [], [], [], []
    for case in cases:
        found = images_in(root / case)
        odd = [stem for stem in found if not re.fullmatch(rf"{case}_\d+(_mask)?", stem)]
        if odd:
            raise refuse("lgg", root / case, f"images named {some_of(odd)}", LAYOUT)
        masked = {stem.removesuffix("_mask") for stem in found if stem.endswith("_mask")}
        slices = sorted(
            {stem for stem in found if not stem.endswith("_mask")}, key=lambda stem: int(stem.rsplit("_", 1)[1])
        )
        matched("lgg", set(slices), masked, only_left="slices without a mask", only_right="masks without a slice")
        ids += slices
        images += [found[stem] for stem in slices]
        masks += [found[f"{stem}_mask"] for stem in slices]
        groups += [CASE.fullmatch(case)["patient"]] * len(slices)  # type: ignore[index]  # cases are those it fits
    reader = FileReader(tuple(images), tuple((mask,) for mask in masks))
    return SampleTable(
        source="lgg",
        task="segmentation",
        classes=("background", "tumour"),
        frame=sample_frame(
            ids,
            [os.path.relpath(file, root) for file in images],
            masks=[os.path.relpath(file, root) for file in masks],
            groups=groups,
        ),
        read=reader,
        grouping="patient",
        files=reader.files,
    )
