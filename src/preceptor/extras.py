"""Installing what only some need: the command for an extra, as it may be pasted where preceptor runs now."""

import os
import shlex
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
"""The top of the repository, where the package is used from one."""


def install_command(*extras: str) -> str:
    """``pip install`` of the extras, into a checkout or beside an installed package."""
    wanted = f"[{','.join(extras)}]"
    if not is_checkout():
        return f"pip install {shlex.quote(f'preceptor{wanted}')}"
    place = "." if Path.cwd() == CHECKOUT else os.path.relpath(CHECKOUT)
    place = place if len(place) < len(str(CHECKOUT)) else str(CHECKOUT)
    return f"pip install -e {shlex.quote(place + wanted)}"


def is_checkout() -> bool:
    """Whether the package is used from a checkout of its repository."""
    return (CHECKOUT / "pyproject.toml").is_file() and (CHECKOUT / "src" / "preceptor").is_dir()
