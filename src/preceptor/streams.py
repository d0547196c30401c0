"""The standard input, output and errors, which the caller may have closed and whoever reads them may leave."""

import contextlib
import os
import select
import sys

from preceptor.errors import ClosedOutputError
from preceptor.quoting import plain


def say(text: str = "", *, nl: bool = True) -> None:
    """Print a line as it is, unwrapped, with control characters written out."""
    try:
        print(plain(text), end="\n" if nl else "", flush=True)
    except BrokenPipeError:
        raise ClosedOutputError from None


def open_standard_streams() -> None:
    """Give input, output and errors a place where the caller closed them; files would take their numbers otherwise."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def is_output_closed() -> bool:
    """Whether nobody reads the standard output any more."""
    watch = select.poll()
    try:
        watch.register(sys.stdout.fileno(), select.POLLOUT)
        return any(events & select.POLLERR for _, events in watch.poll(0))
    except (AttributeError, OSError, ValueError):  # no stream, or one without a file
        return False


def flush_output() -> None:
    """Write what is still held back.

    Raises:
        ClosedOutputError: nobody reads it any more.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise ClosedOutputError from None


def drop_output() -> None:
    """Let nothing more be written to an output that nobody reads, also not while Python ends."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        target = os.open(os.devnull, os.O_WRONLY)
        os.dup2(target, sys.stdout.fileno())
        os.close(target)
