"""A data source in a user's own file: a function from a path and options to a sample table."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from preceptor.data.samples import Pixels, Reader, SampleTable
from preceptor.data.sources._options import opened
from preceptor.errors import UserError
from preceptor.own_code import OwnCode, load_code
from preceptor.refusals import refusal


def open_own(name: str, path: str | None, options: Mapping[str, Any]) -> SampleTable:
    """The sample table that the function in a user's file makes; what is packed of it depends on the file's content.

    Raises:
        UserError: the file cannot be run, the function takes no ``path``, or what it gives is no sample table.
    """
    code = load_code(name, "data source")
    if "path" not in inspect.signature(code.target).parameters:
        raise UserError(
            f"data source {name!r} takes no `path`; write def {code.target.__name__}(path: Path, *, …) -> SampleTable, "
            "or path: Path | None = None for data that are generated"
        )
    try:
        table = opened(name, code.target, path, options)
    except UserError:
        raise
    except Exception as error:  # the user's own code may raise anything
        raise UserError(f"data source {name!r}: {refusal(error) or f'{type(error).__name__}: {error}'}") from error
    if not isinstance(table, SampleTable):
        raise UserError(f"data source {name!r} gives {type(table).__name__}; a SampleTable was wanted")
    return replace(
        table,
        source=_key(code),
        read=_checked(table.read, table, name),
        identity=f"{table.identity} {code.portable} {code.sha256}".strip(),
    )


def _key(code: OwnCode) -> str:
    """As it can be part of a folder's name."""
    file, _, name = code.portable.rpartition(":")
    return f"{Path(file).stem}-{name}"


def _checked(read: Reader, table: SampleTable, name: str) -> Reader:
    """``read``, its pixels compared with what was promised."""

    def checked(row: int) -> tuple[Pixels, Pixels | None]:
        where = f"data source {name!r}: {table.frame['image'].iloc[row]}"
        found: object = read(row)
        if not isinstance(found, tuple) or len(found) != 2:
            raise UserError(f"{where}: read gives {type(found).__name__}; the pair (image, mask or None) was wanted")
        image, mask = found
        _require_pixels(image, 3, f"{where}: the image", "(H, W, 3) uint8")
        if mask is not None:
            _require_pixels(mask, 2, f"{where}: the mask", "(H, W) uint8, the number of the class of each pixel")
        return image, mask

    return checked


def _require_pixels(found: object, dimensions: int, what: str, wanted: str) -> None:
    came = type(found).__name__
    if isinstance(found, np.ndarray):
        if found.dtype == np.uint8 and found.ndim == dimensions and found.shape[2:] in ((), (3,)):
            return
        came = f"{found.shape} {found.dtype}"
    raise UserError(f"{what} is {came}; {wanted} was wanted")
