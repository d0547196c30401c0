"""Where commands write unless told otherwise: ``runs/NAME/…``, ``runs/studies/NAME`` and ``runs/searches/NAME``.

NAME is that of the recipe's or study's file; of one that is used on other data than it names, that of the data.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from preceptor.errors import UserError
from preceptor.files import expand
from preceptor.runs.names import RECIPE
from preceptor.study_index import INDEX, STUDY

RUNS = Path("runs")
STUDIES = RUNS / "studies"
SEARCHES = RUNS / "searches"

_HOLDS = {
    "a run": (RECIPE,),
    "a study": (STUDY, INDEX),
    "a search": ("journal.log", "trials.csv"),
}
"""What lies in the folder of each."""


def other_data(own: object, now: object) -> str | None:
    """What to call the data ``now`` where a file's ``own`` data part names another source or path; else None."""
    before, after = (part if isinstance(part, Mapping) else {} for part in (own, now))
    if all(before.get(key) == after.get(key) for key in ("source", "path")):
        return None
    return name_of_data(after)


def name_of_data(data: Mapping[str, Any]) -> str:
    """The last folder of its path, or the file without its ending; its source where there is no path."""
    if path := data.get("path"):
        place = expand(str(path)).resolve()
        if found := slug(place.stem if place.is_file() else place.name):
            return found
    return slug(str(data.get("source") or "")) or "data"


def slug(name: str) -> str:
    """``name`` as part of a path."""
    return re.sub(r"[^\w.]+", "-", name).strip("-.")


def require_own_place(out: Path, what: str, *, name: str | None = None, there: str | None = None) -> None:
    """Refuse a folder for ``what`` ("a study", "a search") that is something else's.

    Args:
        name: of the study.
        there: the name of the study that lies in the folder, if any.

    Raises:
        UserError: what it holds.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; {what} wants a folder of its own")
    for other, files in _HOLDS.items():
        if other != what and any((out / file).exists() for file in files):
            raise UserError(f"{out} is the folder of {other}; {what} wants one of its own, give another with --out")
    if name is not None and there is not None and there != name:
        raise UserError(f"{out} holds the study {there!r}, this one is {name!r}; give another folder with --out")
