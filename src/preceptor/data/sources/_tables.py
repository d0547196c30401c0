"""Tables as people save them: which letters, which separator, which file format."""

import codecs
import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from preceptor.data.names import check_names
from preceptor.data.pixels.impostors import what_it_is
from preceptor.errors import UserError
from preceptor.extras import install_command
from preceptor.opening import open_file
from preceptor.quoting import quoted, shown

PARQUET = (".parquet", ".pq")
TABLES = (".csv", ".tsv", ".tab", *PARQUET)
"""Endings of files that are read as tables."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""How files begin that say their encoding; longer marks before those that they begin with."""
_SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r'"?sep=([,;\t|])"?\r?\n', re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """A table, all values as text.

    Args:
        rows: one column for each name.
        header: the names as the file has them, also those that stand there twice.
        said: how it was read where that is no matter of course, one sentence each.
    """

    rows: pd.DataFrame
    header: tuple[str, ...]
    said: tuple[str, ...] = ()


def read_table(file: Path) -> Table:
    """The table ``file``: CSV with commas, semicolons or tabs in UTF-8, UTF-16 or Latin-1, or Parquet.

    Blanks around the names of columns do not count.

    Raises:
        UserError: no regular file, no table, rows longer than the header, or names of columns that no terminal can
            show.
    """
    table = _read_parquet(file) if file.suffix.lower() in PARQUET else _read_text(file)
    check_names(f"columns of {shown(file.name)}", table.header)
    return table


def _read_text(file: Path) -> Table:
    with open_file(file, "table") as opened:
        content = opened.read()
    told = what_it_is(content[:512])
    if told is not None:
        raise UserError(f"table {quoted(file)} cannot be read: {told}")
    text, said = _decoded(content, file)
    text, separator, before = _without_separator_line(text)
    try:
        rows = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, sep=separator)
        first = next(csv.reader(io.StringIO(text), delimiter=separator), [])
    except (ValueError, csv.Error) as error:
        raise UserError(f"table {quoted(file)} is not a readable CSV: {shown(str(error).strip())}") from None
    if not isinstance(rows.index, pd.RangeIndex):
        raise UserError(
            f"table {quoted(file)} is not a readable CSV: its rows have more values than its first line has columns"
        )
    rows.columns = pd.Index([str(name).strip() for name in rows.columns])
    rows.index += before  # lines are counted as the file has them
    is_empty = rows.apply(lambda column: column.str.strip() == "").all(axis=1)
    if is_empty.any() and not is_empty.all():
        rows = rows[~is_empty]
        said = (*said, f"{int(is_empty.sum())} empty rows of {file.name} are left out.")
    return Table(rows, tuple(name.strip() for name in first), said)


def _without_separator_line(text: str) -> tuple[str, str, int]:
    """The text without the line ``sep=;`` that Excel is told separators by, the separator, and the lines before."""
    if "\n" not in text:
        text = text.replace("\r", "\n")  # as old computers by Apple end lines
    line = _SEPARATOR_LINE.match(text)
    return (text[line.end() :], line[1], 1) if line else (text, _separator(text), 0)


def _decoded(content: bytes, file: Path) -> tuple[str, tuple[str, ...]]:
    """The text, and what is to be said of its letters."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if encoding is None and b"\0" in content[:4096]:  # every other byte of Latin letters in UTF-16
        encoding = "utf-16-le" if content[1:4096:2].count(0) > content[:4096:2].count(0) else "utf-16-be"
    try:
        return content.decode(encoding or "utf-8"), ()
    except UnicodeDecodeError:
        if encoding is not None:
            raise UserError(
                f"table {quoted(file)} begins like {encoding.upper()} and is damaged: save it anew, as UTF-8"
            ) from None
    said = (
        f"{file.name} is not UTF-8: its letters are read as Latin-1 (Windows-1252); save it as UTF-8 if they are wrong."
    )
    try:
        return content.decode("cp1252"), (said,)
    except UnicodeDecodeError:
        return content.decode("latin-1"), (said,)


def _separator(text: str) -> str:
    """What parts the names in the first line, outside quotes: the one that stands there most often."""
    first = text.lstrip("\r\n").partition("\n")[0]
    plain = "".join(part for number, part in enumerate(first.split('"')) if number % 2 == 0)
    return max(_SEPARATORS, key=plain.count)


def _read_parquet(file: Path) -> Table:
    with open_file(file, "table") as opened:
        content = opened.read()
    try:
        import pyarrow  # noqa: F401  # pandas' own message does not name the extra
    except ImportError:
        raise UserError(
            f"table {quoted(file)} is Parquet, which needs pyarrow: {install_command('parquet')}, or save it as CSV"
        ) from None
    try:
        found = pd.read_parquet(io.BytesIO(content), engine="pyarrow", dtype_backend="numpy_nullable")
    except Exception as error:  # pyarrow has errors of its own
        raise UserError(f"table {quoted(file)} is damaged or no Parquet: {shown(str(error).strip())}") from None
    found = found.reset_index(drop=isinstance(found.index, pd.RangeIndex))
    header = tuple(str(name).strip() for name in found.columns)
    found.columns = pd.Index(header)
    rows = found.apply(lambda column: _whole_numbers(column).astype(object).map(_as_text))
    return Table(rows, header)


def _whole_numbers(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Whole numbers that are kept as fractions, as where one is missing, as whole ones: 1, not 1.0."""
    if not pd.api.types.is_float_dtype(column) or not (column.dropna() % 1 == 0).all():
        return column
    return column.astype("Int64")


def _as_text(value: object) -> str:
    return "" if value is None or value is pd.NA or value != value else str(value)
