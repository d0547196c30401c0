"""The tables of a run, ``metrics.csv`` and ``split.csv``, as data frames."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from preceptor.errors import UserError
from preceptor.runs.begun import split_text
from preceptor.runs.files import RunFiles
from preceptor.runs.finished import FinishedRun
from preceptor.sealed import read_whole


def read_metrics(folder: Path, finished: FinishedRun | None = None) -> pd.DataFrame | None:
    """stage, epoch, network, split, metric, value; None where nothing was measured yet.

    Args:
        finished: the run, where it is finished: the file is then verified.

    Raises:
        UserError: the file is damaged.
    """
    path = RunFiles(folder).metrics
    try:
        content = finished.content(path) if finished else read_whole(path)
    except FileNotFoundError:
        return None
    columns = ("stage", "epoch", "network", "split", "metric", "value")
    return table_from(content, path, columns, {"stage": str, "network": str, "split": str, "metric": str})


def read_split(folder: Path) -> pd.DataFrame | None:
    """id, group, label, split as text, verified where the checksum is known; None where the run did not begin.

    Raises:
        UserError: the file is damaged.
    """
    try:
        content = split_text(folder)
    except FileNotFoundError:
        return None
    return table_from(content, RunFiles(folder).split, ("id", "group", "label", "split"), str)


def read_looks(run: FinishedRun) -> pd.DataFrame | None:
    """id, site where sites are known, as text, and what its image looks like; None where an older version left none.

    Raises:
        UserError: the file is damaged.
    """
    path = run.files.looks
    try:
        content = run.content(path)
    except FileNotFoundError:
        return None
    return table_from(content, path, ("id", "brightness"), {"id": str, "site": str})


def table_from(
    content: bytes, path: Path, columns: Sequence[str], types: type | Mapping[str, type]
) -> pd.DataFrame | None:
    """The table in ``content`` of the file ``path``, without a last line that is still being written.

    None where there is no whole line.

    Raises:
        UserError: no table, or a column is missing.
    """
    whole = content[: content.rfind(b"\n") + 1]
    if not whole:
        return None
    kinds = types if isinstance(types, type) else dict(types)
    try:
        table = pd.read_csv(io.BytesIO(whole), dtype=kinds, keep_default_na=False, na_values=["", "nan"])
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a readable table: {error}") from None
    missing = [column for column in columns if column not in table]
    if missing:
        raise UserError(f"{path}: column {missing[0]!r} is missing; it has {', '.join(map(str, table.columns))}")
    return table
