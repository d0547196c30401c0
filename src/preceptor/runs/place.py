"""Where a run, study or search may write: a new or empty folder, or one that it already has."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from preceptor.errors import UserError
from preceptor.files import expand
from preceptor.runs.names import (
    BEGUN,
    CHECKPOINTS,
    ENVIRONMENT,
    LOCK,
    LOOKS,
    METRICS,
    NETWORKS,
    PIXELS,
    PREDICTIONS,
    RECIPE,
    RESULT,
    SPLIT,
    TOGETHER,
)

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)\.part")
_OWN = {BEGUN, RECIPE, SPLIT, PIXELS, LOOKS, METRICS, RESULT, ENVIRONMENT, TOGETHER}
_PRINTED = {".log", ".out", ".err", ".txt"}
"""What a shell or a cluster's scheduler puts into the folder before the command begins."""


def is_run(folder: Path) -> bool:
    """Whether a run has begun in ``folder``, of this version or an older one."""
    if (folder / BEGUN).exists() or (folder / TOGETHER).exists():
        return True
    return (folder / RECIPE).exists() and any(
        (folder / name).exists() for name in (SPLIT, CHECKPOINTS, METRICS, RESULT)
    )


def require_place(out: Path, data: Iterable[str | None], *, is_own: bool, what: str = "run") -> None:
    """Refuse to write into a folder that is somebody else's.

    Args:
        data: where the images lie, as recipes say it.
        is_own: whether ``out`` already holds such a run, study or search.

    Raises:
        UserError: the folder holds other things, or lies in, above or at the data.
    """
    if is_own:
        return
    own = f"{'these' if what.endswith('s') else 'this'} {what}"
    advice = f"Give a new or empty folder, or one that already holds {own}, with --out."
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file. {advice}")
    here = out.resolve()
    for given in dict.fromkeys(filter(None, data)):
        images = expand(given).resolve()
        if here == images:
            raise UserError(f"--out {out} is the folder of the data. {advice}")
        if images.is_dir() and here.is_relative_to(images):
            raise UserError(f"--out {out} lies in the folder of the data, {given}. {advice}")
        if images.exists() and images.is_relative_to(here):
            raise UserError(f"--out {out} holds the data, {given}. {advice}")
    others = sorted(filter(_is_other, out.iterdir())) if out.is_dir() else []
    if others:
        raise UserError(f"--out {out} holds other things, such as {others[0].name}, and no {what}. {advice}")


def _is_other(path: Path) -> bool:
    if path.name == LOCK or (path.is_file() and path.suffix.lower() in _PRINTED):
        return False
    found = _TEMPORARY.fullmatch(path.name)
    return not (found and found["name"] in _OWN)


def remove_leftovers(run: Path, *, is_alone: bool) -> None:
    """Remove the temporary files of killed processes in the places where a run writes, and nowhere else.

    Args:
        is_alone: whether the run's lock is held; without it, files of processes that live are left.
    """
    for path in _temporary(run):
        found = _TEMPORARY.fullmatch(path.name)
        if found and path.is_file() and (is_alone or not is_alive(int(found["process"]))):
            path.unlink(missing_ok=True)


def _temporary(run: Path) -> Iterator[Path]:
    for path in run.glob(".*.part"):
        found = _TEMPORARY.fullmatch(path.name)
        if found and found["name"] in _OWN:
            yield path
    yield from run.glob(f"{CHECKPOINTS}/*/.*.part")
    yield from run.glob(f"{PREDICTIONS}/.*.part")
    yield from run.glob(f"{NETWORKS}/**/.*.part")


def is_alive(process: int) -> bool:
    """Whether a process of this machine lives, or may."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
