"""Options that every source of image files has: how its files become pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from preceptor.data.images import FileReader
from preceptor.data.pixels import OPTIONS, USUAL, PixelRules, StoredImage, to_pixels
from preceptor.data.pixels.volumes import (
    Volume,
    groups_of_volumes,
    places_of,
    unequal_slices,
    unfolded_frame,
    volume_at,
    volumes_in_words,
)
from preceptor.data.samples import Pixels, Reader, SampleTable
from preceptor.data.sources._layout import NO_GROUPS
from preceptor.errors import UserError
from preceptor.specs import DataSpec


def separated(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A source's own options, and those on pixels."""
    own = {name: value for name, value in options.items() if name not in OPTIONS}
    return own, {name: value for name, value in options.items() if name in OPTIONS}


def with_pixels(table: SampleTable, options: Mapping[str, Any], spec: DataSpec | None) -> SampleTable:
    """``table`` with images as ``options`` and ``spec`` want them, and a row for each slice of a volume.

    Raises:
        UserError: wrong options, or some where images are no files.
    """
    rules = rules_with(table.source, options, spec)
    if isinstance(table.read, FileReader):
        in_tiles = spec is not None and spec.tile is not None
        return _as_wanted(_unfolded(table, replace(table.read, rules=rules, in_tiles=in_tiles)), rules)
    if options:
        raise UserError(f"source {table.source!r} has no option {next(iter(options))!r}: its images are no files")
    if rules == USUAL:
        return table
    return _as_wanted(replace(table, read=_converted(table.read, table.source, rules)), rules)


def rules_with(source: str, options: Mapping[str, Any], spec: DataSpec | None) -> PixelRules:
    """How files become pixels by these ``options`` and what ``spec`` wants of images."""
    of_spec = {"channels": spec.channels, "depth": spec.depth} if spec is not None else {}
    return _rules(source, {**options, **of_spec})


def _rules(source: str, values: Mapping[str, Any]) -> PixelRules:
    try:
        return PixelRules.model_validate(values)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in detail["loc"])
        message = detail["msg"].removeprefix("Value error, ")
        where = f"option {name} is {values[name]!r}: {message}" if name in values else f"option {message}"
        raise UserError(f"source {source!r}: {where}") from None


def _unfolded(table: SampleTable, reader: FileReader) -> SampleTable:
    """``table`` with a row for each slice of its volumes, read by ``reader``."""
    rules = reader.rules
    volumes = [volume_at(path, rules) for path in reader.images]
    if not any(volumes):
        return replace(table, read=reader, files=reader.files)
    unfit = _unfit(reader, volumes)
    rows, places = places_of(
        [replace(volume or Volume(), slices=1) if row in unfit else volume for row, volume in enumerate(volumes)]
    )
    slices = replace(
        reader,
        images=tuple(reader.images[row] for row in rows),
        masks=None if reader.masks is None else tuple(reader.masks[row] for row in rows),
        second=None if reader.second is None else tuple(reader.second[row] for row in rows),
        places=tuple(places),
        unfit={number: unfit[row] for number, row in enumerate(rows) if row in unfit},
    )
    groups = groups_of_volumes(volumes, table.frame["id"].tolist())
    is_told = not table.frame["group"].notna().any() and any(groups)
    notes = [note for note in table.notes if not (is_told and NO_GROUPS in note)]
    return replace(
        table,
        frame=unfolded_frame(table.frame, rows, places, groups),
        read=slices,
        files=slices.files,
        grouping="patient" if is_told else table.grouping,
        notes=(*notes, *volumes_in_words(volumes, rules)),
    )


def _unfit(reader: FileReader, volumes: Sequence[Volume | None]) -> dict[int, str]:
    """Rows whose masks have another number of slices -> what is wrong: each stays one row, which cannot be read."""
    found: dict[int, str] = {}
    for row, marks in enumerate(reader.masks or ()):
        for mask in marks:
            why = unequal_slices(reader.images[row], mask, volumes[row], volume_at(mask, reader.rules))
            if why is not None:
                found.setdefault(row, why)
    return found


def _as_wanted(table: SampleTable, rules: PixelRules) -> SampleTable:
    identity = "; ".join(filter(None, [table.identity, f"pixels {rules.given}" if rules != USUAL else ""]))
    return replace(table, channels=rules.channels, depth=rules.depth, identity=identity)


def _converted(read: Reader, source: str, rules: PixelRules) -> Reader:
    """``read`` with other channels or another depth than its 8-bit RGB."""

    def reader(row: int) -> tuple[Pixels, Pixels | None]:
        image, mask = read(row)
        stored = StoredImage(values=image, white=255, colours=3)
        return to_pixels(stored, f"{source}, row {row}", rules), mask

    return reader
