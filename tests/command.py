"""The command line, called in this process: starting another one costs seconds of importing torch."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from preceptor.cli.main import main


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    error: str


def preceptor(*arguments: object) -> Answer:
    """What ``preceptor ARGUMENTS`` prints, and its exit code."""
    out, error = io.StringIO(), io.StringIO()
    code: object = 0
    with patch.object(sys, "argv", ["preceptor", *map(str, arguments)]), redirect_stdout(out), redirect_stderr(error):
        try:
            main()
        except SystemExit as stop:
            code = stop.code
    assert code is None or isinstance(code, int)
    return Answer(code or 0, out.getvalue(), error.getvalue())
