"""A table with one row per image: label or mask, and group and official part where there are such columns."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.data.images import FileReader
from preceptor.data.masks.runs import RunOrder
from preceptor.data.name_rules import groups_by_name, own_group_each
from preceptor.data.names import check_names
from preceptor.data.pixels.endings import IMAGE_SUFFIXES, ending_of, parted
from preceptor.data.samples import SampleTable, sample_frame
from preceptor.data.sources._layout import PART_WORDS, contents, entries, images_in, refuse, some_of
from preceptor.data.sources._table_files import NamedFiles, NamedMasks, masks_in, named_files
from preceptor.data.sources._table_labels import Spellings, labels_in, one_hot_labels
from preceptor.data.sources._table_runs import RunColumns, runs_in
from preceptor.data.sources._tables import TABLES, Table, read_table
from preceptor.errors import UserError
from preceptor.opening import no_file
from preceptor.quoting import quoted


def table(
    path: Path,
    *,
    csv: str | None = None,
    image: str = "image",
    label: str | tuple[str, ...] | None = None,
    mask: str | None = None,
    rle: str | tuple[str, ...] | None = None,
    rle_class: str | None = None,
    rle_order: RunOrder = "columns",
    group: str | None = None,
    grouping: str | None = None,
    site: str | None = None,
    split: str | None = None,
    id: str | None = None,
    class_name: str | None = None,
    classes: tuple[str, ...] | None = None,
    image_folder: str = ".",
    image_file: str = "{}",
    mask_folder: str = ".",
    mask_file: str = "{}",
    unlisted: Literal["error", "ignore"] = "error",
    spellings: Spellings = "error",
) -> SampleTable:
    """Rows of a CSV or Parquet file; every option but the folders and templates is a column name.

    CRCHistoPhenotypes: ``image: ImageName, label: cellTypeName, group: patientID, grouping: image of origin,
    image_folder: patch_images``. Its column patientID most likely numbers the images that the patches were cut from:
    the paper has nine patients.

    Args:
        path: the table, or the folder of the data.
        csv: the table's place below that folder, where it lies deeper or is one of several.
        image: column with the image, put into ``image_file`` and looked for in ``image_folder``.
        label: column with the class, of any type; or several columns, one for each class, with 1 for its images and
            0 for the others. Rows whose class is empty have no label. Give this, ``mask`` or ``rle``; an empty list
            says that there are no labels.
        mask: column with the mask, put into ``mask_file`` and looked for in ``mask_folder``. Rows where it is empty
            have no mask.
        rle: column with the mask as runs: pairs of a start and a length, the first pixel being 1. Several rows of one
            image are joined; an empty one is no foreground. Or several columns, one for each class, called like it.
        rle_class: column with the class of each row's runs. Where it is that of the image, the class is what follows
            the last underscore (``0001.jpg_fish``).
        rle_order: pixels are counted down the ``columns``, or along the ``rows``.
        group: column with the group; its name says what a group is unless ``grouping`` does. Without one, file names
            that follow a published scheme tell the groups, which is said.
        grouping: what a group is, for example ``patient``: the word that reports use.
        site: column with where an image was made: hospital, scanner. Reports say which look unlike the others; of rows
            where it is empty that is not known.
        split: column with the official part.
        id: column with the sample's id; by default the image without ending.
        class_name: column with the name of each class, where ``label`` holds numbers.
        classes: the classes in the order of their labels (default: sorted), or names of the mask values.
        image_folder, mask_folder: relative to the folder of the data. A file that is not there, as where the table
            has paths of another computer, is found by its name where that is unique, which is said.
        image_file, mask_file: file name with ``{}`` for the column's value, for example ``{}.png``.
        unlisted: what to do where the image folder has images that no row names.
        spellings: what to do with labels that differ in case, blanks or the form of a number only: ``join`` takes
            them as the most frequent one.
    """
    file, root = _table_file(path, csv)
    read = read_table(file)
    rows = read.rows
    if not len(rows):
        raise UserError(f"table: {quoted(file)} has no rows")
    twice = ""
    if rle is None and rows.duplicated().any():
        twice = (
            f"{int(rows.duplicated().sum())} rows of {file.name} stand there again, word for word: each counts once."
        )
        rows = rows.drop_duplicates()
    has_none = label is not None and not len(label)
    one_hot = () if label is None or isinstance(label, str) else tuple(name.strip() for name in label)
    image = image.strip()
    label, mask, group, site, split, id, class_name = (
        name.strip() if isinstance(name, str) else None for name in (label, mask, group, site, split, id, class_name)
    )
    texts = () if rle is None else tuple(name.strip() for name in ((rle,) if isinstance(rle, str) else rle))
    of = [rle_class.strip()] if rle_class is not None else []
    if of and not texts:
        raise UserError("table: the option rle_class is the class of runs; set the option rle to their column")
    if grouping is not None and group is None:
        raise UserError(
            f"table: the option grouping ({grouping!r}) says what a group is, and no column has groups: set the option "
            "group to the column too"
        )
    single = [name for name in (image, label, mask, group, site, split, id, class_name) if name is not None]
    _check_columns(file, read, [*single, *one_hot, *texts, *of])
    if sum((label is not None, mask is not None, bool(texts), bool(one_hot), has_none)) != 1:
        raise UserError(
            f"table: set the option label, mask or rle (one of them); columns are {', '.join(rows.columns)}"
        )
    runs, names = None, () if has_none else classes or ("background", "foreground")
    if texts:
        rows, runs, names = runs_in(rows, image, RunColumns(texts, next(iter(of), None), rle_order), classes)
    for name in single:
        check_names(f"table: column {name} of {file.name}", rows[name].tolist())
        blank = rows.index[rows[name].str.strip() == ""]
        if len(blank) and name not in (label, class_name, mask, site):
            raise UserError(
                f"table: {file.name} has no {name} in {len(blank)} rows, the first is line {blank[0] + 2}; fill it in, "
                "or take these rows out (and set the option unlisted: ignore)"
            )

    images = named_files(rows[image].tolist(), root, image_folder, image_file, "image")
    _check_rows(file, rows, images.paths, rows[label] if label else None)
    extra = (
        set(images_in(root / image_folder).values()) - set(images.paths) if (root / image_folder).is_dir() else set()
    )
    if extra and unlisted == "error":
        raise UserError(
            f"table: {len(extra)} images in {str(root / image_folder)!r} are in no row of {file.name}: "
            f"{some_of([os.path.basename(path) for path in extra])}; the option unlisted: ignore leaves them out"
        )
    masks = None if mask is None else masks_in(rows[mask], root, mask_folder, mask_file)
    labels, note = None, ""
    if label is not None:
        labels, names = labels_in(rows, label, class_name, classes, spellings)
    elif one_hot:
        labels, names, note = one_hot_labels(rows, one_hot, classes, file)
    groups, grouping, said = _groups(images.paths, rows[group].tolist() if group else None, grouping or group)
    reader = FileReader(tuple(images.paths), None if masks is None else masks.of_rows, len(names), runs=runs)
    notes = (said, *read.said, twice, note, images.note, "" if masks is None else masks.note)
    return SampleTable(
        source="table",
        task="segmentation" if masks or runs else "classification",
        classes=names,
        frame=sample_frame(
            rows[id].tolist() if id else _ids(rows[image], images, root),
            [os.path.relpath(file, root) for file in images.paths],
            labels=labels,
            masks=_mask_names(root, masks, file, rows[image] if runs else None),
            groups=groups,
            splits=_parts(rows[split], file) if split else None,
            known=None if masks is None else [bool(of_row) for of_row in masks.of_rows],
        ).assign(**({"site": _sites(rows[site])} if site else {})),
        read=reader,
        grouping=grouping,
        identity=runs.identity if runs else "",
        files=reader.files,
        notes=tuple(filter(None, notes)),
        read_besides=(str(file),),
        left_out=dict.fromkeys(extra, f"images that no row of {file.name} names"),
    )


def _sites(cells: "pd.Series[str]") -> NDArray[np.object_]:
    """Where each image was made; None where the cell is empty."""
    return np.array([cell.strip() or None for cell in cells], dtype=object)


def _mask_names(
    root: Path, masks: NamedMasks | None, file: Path, of: "pd.Series[str] | None"
) -> list[str | None] | None:
    """Where the mask of each row came from."""
    if of is not None:
        return [f"runs of {image} in {file.name}" for image in of]
    if masks is None:
        return None
    return [os.path.relpath(paths[0], root) if paths else None for paths in masks.of_rows]


def _check_columns(file: Path, read: Table, columns: Sequence[str]) -> None:
    lacking = [name for name in columns if name not in read.rows.columns]
    if lacking:
        raise UserError(
            f"table: {file.name} has no column {some_of(lacking)}: it has {', '.join(map(str, read.rows.columns))}"
        )
    _require_once(file, read.header, columns)


def _ids(values: "pd.Series[str]", images: NamedFiles, root: Path) -> list[str]:
    """The values without ending; files found by name are called as they lie here."""
    ids = [parted(value)[0] if ending_of(value) in IMAGE_SUFFIXES else value for value in values]
    for row in images.by_name:
        ids[row] = parted(os.path.relpath(images.paths[row], root))[0]
    return ids


def _groups(images: list[str], given: list[str] | None, what: str | None) -> tuple[list[str] | None, str | None, str]:
    """The group of each row, what a group is, and what is to be said of it."""
    stems = [parted(os.path.basename(path))[0] for path in images]
    if given is not None:
        return given, what, own_group_each(stems, given)
    told = groups_by_name(stems)
    if told.groups is not None:
        return list(told.groups), told.grouping, told.note.replace("sets another rule", "names a column instead")
    none = (
        "No group column is set: images of one patient can be on both sides of a split; if a column tells the patient, "
        "set data.options.group to its name."
    )
    return None, None, " ".join(filter(None, [told.note, none]))


def _table_file(path: Path, name: str | None) -> tuple[Path, Path]:
    """The table, and the folder that its paths start from."""
    if not path.is_dir():
        return path, path.parent
    found = [file for file in entries(path)[1] if file.lower().endswith(TABLES)]
    if name is None and len(found) == 1:
        name = found[0]
    if name is None or no_file(path / name) == "does not exist":
        hint = "one table, or the option csv with the file's name" if name is None else f"the file {name}"
        raise refuse("table", path, contents(path), hint)
    return path / name, path


def _require_once(file: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    """UserError where the header names one of ``columns`` twice: which is meant?"""
    twice = [name for name in columns if header.count(name) > 1]
    if twice:
        raise UserError(f"table: {file.name} has {header.count(twice[0])} columns {twice[0]}: give each its own name")


def _check_rows(file: Path, rows: pd.DataFrame, images: list[str], labels: "pd.Series[str] | None") -> None:
    """UserError where an image is in two rows."""
    paths = pd.Series(images, index=rows.index)
    repeated = paths[paths.duplicated(keep=False)]
    if not len(repeated):
        return
    lines = repeated.index[repeated == repeated.iloc[0]]
    where = ", ".join(str(line + 2) for line in lines[:5])
    given = sorted(set(labels[lines])) if labels is not None else []
    differ = f", with the labels {', '.join(given)}" if len(given) > 1 else ""
    raise UserError(
        f"table: {file.name} names {repeated.nunique()} images in several rows, for example "
        f"{os.path.basename(repeated.iloc[0])!r} in lines {where}{differ}: each image needs one row"
    )


def _parts(values: "pd.Series[str]", file: Path) -> list[str]:
    unknown = {value for value in values if value.strip().lower() not in PART_WORDS}
    if unknown:
        raise UserError(
            f"table: column {values.name} of {file.name} holds {some_of(unknown)}: expected train, validation, test"
        )
    return [PART_WORDS[value.strip().lower()] for value in values]
