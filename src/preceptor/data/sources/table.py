"""A CSV with one row per image: label or mask, and group and official part where there are such columns."""

import os
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from preceptor.data.images import IMAGE_SUFFIXES, FileReader
from preceptor.data.name_rules import groups_by_name, own_group_each
from preceptor.data.names import check_names
from preceptor.data.samples import SampleTable, sample_frame
from preceptor.data.sources._layout import contents, entries, images_in, named, read_table, refuse
from preceptor.errors import UserError
from preceptor.opening import no_file, open_file
from preceptor.quoting import quoted

PART_WORDS = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


def table(
    path: Path,
    *,
    csv: str | None = None,
    image: str = "image",
    label: str | None = None,
    mask: str | None = None,
    group: str | None = None,
    split: str | None = None,
    id: str | None = None,
    class_name: str | None = None,
    classes: tuple[str, ...] | None = None,
    image_folder: str = ".",
    image_file: str = "{}",
    mask_folder: str = ".",
    mask_file: str = "{}",
    unlisted: Literal["error", "ignore"] = "error",
) -> SampleTable:
    """Rows of a CSV; every option but the folders and templates is a column name.

    CRCHistoPhenotypes: ``image: ImageName, label: cellTypeName, group: patientID, image_folder: patch_images``.

    Args:
        path: the CSV (or TSV), or its folder.
        csv: the file's name where the folder has several.
        image: column with the image, put into ``image_file`` and looked for in ``image_folder``.
        label: column with the class, of any type; give this or ``mask``.
        mask: column with the mask, put into ``mask_file`` and looked for in ``mask_folder``.
        group, split, id: columns with the group (its name says what a group is; without one, file names that
            follow a published scheme tell the groups, which is said), the official part and the sample's id
            (default: the image without ending).
        class_name: column with the name of each class, where ``label`` holds numbers.
        classes: the classes in the order of their labels (default: sorted), or names of the mask values.
        image_folder, mask_folder: relative to the CSV's folder.
        image_file, mask_file: file name with ``{}`` for the column's value, for example ``{}.png``.
        unlisted: what to do where the image folder has images that no row names.
    """
    file = _csv_file(path, csv)
    rows = _read(file)
    columns = [name for name in (image, label, mask, group, split, id, class_name) if name is not None]
    lacking = [name for name in columns if name not in rows.columns]
    if lacking:
        hint = "; its values are separated by ';', commas were expected" if ";" in rows.columns[0] else ""
        raise UserError(f"table: {file.name} has no column {named(lacking)}: it has {', '.join(rows.columns)}{hint}")
    _require_once(file, columns)
    if (label is None) == (mask is None):
        raise UserError(
            f"table: set the option label or the option mask (one of them); columns are {', '.join(rows.columns)}"
        )
    for name in columns:
        check_names(f"table: column {name} of {file.name}", rows[name].tolist())
        blank = rows.index[rows[name].str.strip() == ""]
        if len(blank):
            raise UserError(f"table: {file.name} has no {name} in {len(blank)} rows, the first is line {blank[0] + 2}")

    root = file.parent
    images = _paths(rows[image], root / image_folder, image_file, "image")
    _check_rows(file, rows, images, rows[label] if label else None)
    if unlisted == "error":
        extra = set(images_in(root / image_folder).values()) - set(images)
        if extra:
            raise UserError(
                f"table: {len(extra)} images in {str(root / image_folder)!r} are in no row of {file.name}: "
                f"{named([os.path.basename(path) for path in extra])}; the option unlisted: ignore leaves them out"
            )
    masks = None if mask is None else _paths(rows[mask], root / mask_folder, mask_file, "mask")
    labels, names = (None, classes or ("background", "foreground"))
    if label is not None:
        labels, names = _labels(rows, label, class_name, classes)
    groups, grouping, note = _groups(images, rows[group].tolist() if group else None, group)
    reader = FileReader(tuple(images), None if masks is None else tuple((file,) for file in masks), len(names))
    return SampleTable(
        source="table",
        task="segmentation" if masks else "classification",
        classes=names,
        frame=sample_frame(
            rows[id].tolist() if id else [os.path.splitext(value)[0] for value in rows[image]],
            [os.path.relpath(file, root) for file in images],
            labels=labels,
            masks=None if masks is None else [os.path.relpath(file, root) for file in masks],
            groups=groups,
            splits=_parts(rows[split], file) if split else None,
        ),
        read=reader,
        grouping=grouping,
        files=reader.files,
        notes=tuple(filter(None, [note])),
    )


def _groups(images: list[str], given: list[str] | None, column: str | None) -> tuple[list[str] | None, str | None, str]:
    """The group of each row, what a group is, and what is to be said of it."""
    stems = [os.path.splitext(os.path.basename(path))[0] for path in images]
    if given is not None:
        return given, column, own_group_each(stems, given)
    told = groups_by_name(stems)
    if told.groups is not None:
        return list(told.groups), told.grouping, told.note.replace("sets another rule", "names a column instead")
    none = (
        "No group column is set: images of one patient can be on both sides of a split; if a column tells the patient, "
        "set data.options.group to its name."
    )
    return None, None, " ".join(filter(None, [told.note, none]))


def _csv_file(path: Path, name: str | None) -> Path:
    if not path.is_dir():
        return path
    found = [file for file in entries(path)[1] if file.lower().endswith((".csv", ".tsv"))]
    if name is None and len(found) == 1:
        name = found[0]
    if name is None or no_file(path / name) == "does not exist":
        hint = "one CSV, or the option csv with the file's name" if name is None else f"the file {name}"
        raise refuse("table", path, contents(path), hint)
    return path / name


def _read(file: Path) -> pd.DataFrame:
    rows = read_table(file)
    if not len(rows):
        raise UserError(f"table: {quoted(file)} has no rows")
    return rows


def _require_once(file: Path, columns: list[str]) -> None:
    """UserError where the header names one of ``columns`` twice: which is meant?"""
    separator = "\t" if file.suffix.lower() == ".tsv" else ","
    with open_file(file, "table") as opened:
        header = pd.read_csv(opened, header=None, nrows=1, dtype=str, keep_default_na=False, sep=separator)
    names = header.iloc[0].tolist()
    twice = [name for name in columns if names.count(name) > 1]
    if twice:
        raise UserError(f"table: {file.name} has {names.count(twice[0])} columns {twice[0]}: give each its own name")


def _paths(values: "pd.Series[str]", folder: Path, template: str, kind: str) -> list[str]:
    """A path per row; folders are scanned once instead of asking for each file."""
    if "{}" not in template:
        raise UserError(f"table: the option {kind}_file is {template!r}: it needs {{}} where the column's value goes")
    paths = [os.path.normpath(os.path.join(folder, template.replace("{}", value))) for value in values]
    there = {
        where: set(entries(Path(where))[1])
        for where in {os.path.dirname(path) for path in paths}
        if os.path.isdir(where)
    }
    absent = [path for path in paths if os.path.basename(path) not in there.get(os.path.dirname(path), ())]
    if absent:
        hint = "; add the files, or leave the rows out"
        if os.path.splitext(absent[0])[1].lower() not in IMAGE_SUFFIXES:
            hint = f"; if the column has no file ending, set the option {kind}_file, for example to {{}}.png"
        raise UserError(
            f"table: {len(absent)} rows name an {kind} that is not there, for example {quoted(absent[0])}{hint}"
        )
    return paths


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


def _labels(
    rows: pd.DataFrame, label: str, class_name: str | None, classes: tuple[str, ...] | None
) -> tuple[list[int], tuple[str, ...]]:
    values = rows[label]
    present = sorted(set(values), key=_number_or_text)
    if class_name is not None:
        pairs = rows[[label, class_name]].drop_duplicates()
        if len(pairs) != len(present) or pairs[class_name].nunique() != len(present):
            clash = pairs[pairs[label].duplicated(keep=False) | pairs[class_name].duplicated(keep=False)]
            shown = ", ".join(f"{value} = {name}" for value, name in clash.head(4).itertuples(index=False))
            raise UserError(f"table: columns {label} and {class_name} do not name classes one to one: {shown}")
        names = dict(pairs.itertuples(index=False, name=None))
        values = values.map(names)
        present = [names[value] for value in present]
    order = classes or tuple(present)
    if len(order) < 2:
        raise UserError(f"table: column {label} has one class, {present[0]!r}: two or more were expected")
    if set(order) != set(present):
        unknown, empty = set(present) - set(order), set(order) - set(present)
        what = f"holds {named(unknown)}, which is not in" if unknown else f"has no {named(empty)} of"
        raise UserError(f"table: column {label} {what} the option classes: {', '.join(order)}")
    return [order.index(value) for value in values], tuple(order)


def _number_or_text(value: str) -> tuple[int, Any, str]:
    try:
        return (0, float(value), value)
    except ValueError:
        return (1, 0, value)


def _parts(values: "pd.Series[str]", file: Path) -> list[str]:
    unknown = {value for value in values if value.strip().lower() not in PART_WORDS}
    if unknown:
        raise UserError(
            f"table: column {values.name} of {file.name} holds {named(unknown)}: expected train, validation, test"
        )
    return [PART_WORDS[value.strip().lower()] for value in values]
