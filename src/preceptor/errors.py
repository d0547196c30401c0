"""The exceptions that the command line tells apart from defects."""

from pathlib import Path
from typing import Self


class UserError(ValueError):
    """A mistake in what the user gave: recipe, data, weights, command.

    The message names the thing in the user's words, what came, what was wanted and what to
    do next. The command line prints it without a traceback and exits with code 2.
    """


class DamagedFileError(UserError):
    """A file that preceptor wrote is not what it was.

    Attributes:
        path: the file.
        reason: what is wrong with it.
    """

    def __init__(self, path: Path, reason: str, remedy: str) -> None:
        super().__init__(f"{path}: {reason}.\n{remedy}")
        self.path, self.reason = path, reason
        self._parts = (path, reason, remedy)

    def __reduce__(self) -> tuple[type[Self], tuple[Path, str, str]]:
        return type(self), self._parts


class NonFiniteLossError(UserError):
    """A loss term stopped being a number."""


class InterruptedRunError(Exception):
    """The user or the system asked to stop; the message says where the checkpoint is and how to go on."""


class ClosedOutputError(Exception):
    """What reads the standard output has ended, as ``| head`` does; the message, if any, is for the error output."""
