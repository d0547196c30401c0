"""Metastases in lymph node patches of 96 px, the Kaggle copy of PatchCamelyon without its exact duplicates."""

import os
from pathlib import Path

from preceptor.data.images import FileReader
from preceptor.data.samples import SampleTable, sample_frame
from preceptor.data.sources._layout import contents, folder_at, images_in, matched, refuse
from preceptor.data.sources._tables import read_table
from preceptor.errors import UserError

TABLE = "train_labels.csv"


def histopathologic_cancer(path: Path) -> SampleTable:
    """``train/<id>.tif`` and ``train_labels.csv`` with the columns id and label (1: tumour in the centre).

    The images of ``test/`` have no labels and are left out.
    """
    root = folder_at(path, "histopathologic_cancer")
    if not (root / TABLE).is_file() or not (root / "train").is_dir():
        raise refuse("histopathologic_cancer", root, contents(root), f"a folder train/ of <id>.tif and {TABLE}")
    table = read_table(root / TABLE).rows
    if list(table.columns) != ["id", "label"]:
        raise refuse("histopathologic_cancer", root / TABLE, f"columns {', '.join(table.columns)}", "columns id, label")
    wrong = table.loc[~table["label"].isin(["0", "1"])]
    if len(wrong):
        raise UserError(
            f"histopathologic_cancer: {TABLE} gives {wrong['id'].iloc[0]!r} the label {wrong['label'].iloc[0]}: "
            "expected 0 or 1"
        )
    repeated = table.loc[table["id"].duplicated(), "id"]
    if len(repeated):
        raise UserError(
            f"histopathologic_cancer: {TABLE} lists {repeated.iloc[0]!r} and {len(repeated) - 1} more ids twice"
        )
    found = images_in(root / "train")
    matched(
        "histopathologic_cancer",
        set(table["id"]),
        set(found),
        only_left="labels without an image in train/",
        only_right=f"images in train/ without a label in {TABLE}",
    )
    ids = list(found)
    files = tuple(found.values())
    reader = FileReader(files)
    return SampleTable(
        source="histopathologic_cancer",
        task="classification",
        classes=("normal", "tumour"),
        frame=sample_frame(
            ids,
            [f"train/{os.path.basename(file)}" for file in files],
            labels=table.set_index("id")["label"].loc[ids].astype(int).to_numpy(),
        ),
        read=reader,
        files=reader.files,
        read_besides=(str(root / TABLE),),
        left_out=dict.fromkeys(images_in(root / "test").values(), "images of test/, which have no labels")
        if (root / "test").is_dir()
        else {},
        notes=("This copy names no slides: patches of one slide can be on both sides of a split.",),
    )
