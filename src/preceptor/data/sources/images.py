"""Images without labels: all below a folder, or those that a table names."""

import os
from pathlib import Path
from typing import Literal

from preceptor.data.images import FileReader
from preceptor.data.samples import SampleTable, sample_frame
from preceptor.data.sources._layout import contents, folder_at, images_below, refuse
from preceptor.data.sources._sites import with_sites
from preceptor.data.sources._tables import TABLES
from preceptor.data.sources.folder import groups_of
from preceptor.data.sources.table import table
from preceptor.errors import UserError


def images(
    path: Path,
    *,
    group: str | None = None,
    group_from: Literal["name", "folder"] = "name",
    grouping: str = "group",
    csv: str | None = None,
    image: str = "image",
    site: str | None = None,
    split: str | None = None,
    id: str | None = None,
    image_folder: str = ".",
    image_file: str = "{}",
    unlisted: Literal["error", "ignore"] = "error",
) -> SampleTable:
    """Images without labels: all in a folder and below it, or those that a CSV or Parquet file names.

    No column of labels, and no name of a folder as a class, is read.

    Args:
        path: the folder, or the table.
        group: of a folder, a regular expression searched in the file name without ending, or with ``group_from:
            folder`` in the folder's; its first bracket, or all that it matches, is the group. Of a table, the column
            with the group. Without it, names that follow a published scheme tell the groups, which is said.
        group_from: ``folder`` takes the group from the first folder below ``path`` that an image lies in.
        grouping: what such a group is, for example ``patient``.
        site: where images were made: a regular expression searched in the place of each image below ``path``, whose
            first bracket, or all that it matches, is the site; of a table, the column with it.
        csv: the table's place below that folder. Without it, a folder's images are taken and its tables are not read.
        image, split, id, image_folder, image_file, unlisted: of a table, as for the source ``table``.
    """
    if csv is not None or path.name.lower().endswith(TABLES):
        if group_from == "folder":
            raise UserError("images: group_from is for folders; of a table, the option group names a column")
        return table(
            path,
            csv=csv,
            image=image,
            label=(),
            group=group,
            site=site,
            split=split,
            id=id,
            image_folder=image_folder,
            image_file=image_file,
            unlisted=unlisted,
        )
    of_tables = {"split": split, "id": id}
    if strange := [name for name, value in of_tables.items() if value is not None]:
        raise UserError(f"images: the option {strange[0]} names a column of a table, and {str(path)!r} is none")
    path = folder_at(path, "images")
    found = images_below(path)
    if not found:
        raise refuse("images", path, contents(path), "images, in the folder or in folders below it")
    files = list(found.values())
    groups, what, notes = groups_of(files, [os.path.dirname(place) for place in found], group, group_from, grouping)
    reader = FileReader(tuple(files), None, 0)
    every = SampleTable(
        source="images",
        task="classification",
        classes=(),
        frame=sample_frame(list(found), [os.path.relpath(file, path) for file in files], groups=groups),
        read=reader,
        grouping=what,
        files=reader.files,
        notes=notes,
    )
    return with_sites(every, site)
