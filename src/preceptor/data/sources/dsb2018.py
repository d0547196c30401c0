"""Nuclei of the 2018 Data Science Bowl, stage 1: one mask per nucleus, joined to one mask per image.

Caicedo et al. 2019, Nature Methods 16, doi:10.1038/s41592-019-0612-7; BBBC038v1 (CC0).
"""

from pathlib import Path

from preceptor.data.images import FileReader
from preceptor.data.samples import SampleTable, sample_frame
from preceptor.data.sources._layout import contents, entries, folder_at, images_in, refuse, some_of
from preceptor.errors import UserError

LAYOUT = "stage1_train/<id>/images/<id>.png and stage1_train/<id>/masks/*.png"


def dsb2018(path: Path) -> SampleTable:
    """``stage1_train/<id>/images/*.png`` and ``masks/*.png``; the mask of an image is their union.

    Args:
        path: ``stage1_train``, or the folder it lies in.
    """
    root = folder_at(path, "dsb2018")
    root = root / "stage1_train" if (root / "stage1_train").is_dir() else root
    ids = entries(root)[0]
    if not ids:
        raise refuse("dsb2018", root, contents(root), LAYOUT)
    images, masks = [], []
    for name in ids:
        inside = entries(root / name)[0]
        if "images" not in inside:
            raise refuse("dsb2018", root / name, contents(root / name), LAYOUT)
        found = images_in(root / name / "images")
        if len(found) != 1:
            raise refuse("dsb2018", root / name / "images", some_of(list(found)), "one image")
        nuclei = images_in(root / name / "masks") if "masks" in inside else {}
        if not nuclei:
            raise UserError(f"dsb2018: image {name!r} has no mask in {str(root / name / 'masks')!r}")
        images.append(next(iter(found.values())))
        masks.append(tuple(nuclei.values()))
    reader = FileReader(tuple(images), tuple(masks))
    return SampleTable(
        source="dsb2018",
        task="segmentation",
        classes=("background", "nucleus"),
        frame=sample_frame(
            ids,
            [f"{name}/images/{Path(image).name}" for name, image in zip(ids, images, strict=True)],
            masks=[f"{name}/masks" for name in ids],
            groups=ids,
        ),
        read=reader,
        grouping="image",
        files=reader.files,
        notes=(
            "No patients were published, each image is its own group: "
            "images cut from one slide can be on both sides of a split.",
        ),
    )
