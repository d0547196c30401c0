"""Files that users give: regular ones are opened, everything else is named and left alone.

Opening a named pipe waits for ever, opening a device may do anything: so what stands at a path is looked at
first, and what was opened is looked at again.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from preceptor.errors import UserError
from preceptor.quoting import quoted

_KINDS = {
    stat.S_IFDIR: "is a folder",
    stat.S_IFIFO: "is a named pipe (FIFO)",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFCHR: "is a device",
    stat.S_IFBLK: "is a device",
}
_ERRORS = {
    errno.ELOOP: "is a link that leads back to itself",
    errno.EACCES: "may not be read: check its permissions",
    errno.EPERM: "may not be read: check its permissions",
    errno.ENAMETOOLONG: "has a longer name than the system allows",
}


def no_file(path: str | Path) -> str | None:
    """What is wrong where ``path`` is no regular file, as the rest of a sentence about it; None where it is one."""
    try:
        status = os.stat(path)
    except ValueError:
        return "has a NUL character in its name"
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR) and os.path.islink(path):
            return f"is a link to {quoted(os.readlink(path))}, which does not exist"
        return _ERRORS.get(error.errno or 0, "does not exist")
    return _of(status)


def require_file(path: str | Path, what: str) -> None:
    """Refuse what is no regular file, without opening it.

    Args:
        path: what is to be opened by a library that wants a path.
        what: it is, for the message: ``image``, ``recipe``.

    Raises:
        UserError: names the path and what stands there.
    """
    wrong = no_file(path)
    if wrong is not None:
        raise UserError(f"{what} {quoted(path)} {wrong}")


def open_file(path: str | Path, what: str) -> BinaryIO:
    """The regular file ``path``, open for reading.

    Raises:
        UserError: it is none, or may not be read.
    """
    require_file(path, what)
    try:
        file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115  # its caller closes it
    except OSError as error:
        wrong = _ERRORS.get(error.errno or 0, f"cannot be opened: {error.strerror}")
        raise UserError(f"{what} {quoted(path)} {wrong}") from None
    now = _of(os.fstat(file.fileno()))
    if now is not None:  # it was exchanged in between
        file.close()
        raise UserError(f"{what} {quoted(path)} {now}")
    return file


def read_text(path: str | Path, what: str) -> str:
    """The text of the regular file ``path``, UTF-8.

    Raises:
        UserError: it is none, or may not be read.
        UnicodeDecodeError: other text than UTF-8.
    """
    with open_file(path, what) as file:
        return file.read().decode("utf-8")


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _of(status: os.stat_result) -> str | None:
    if stat.S_ISREG(status.st_mode):
        return None
    return f"{_KINDS.get(stat.S_IFMT(status.st_mode), 'is no file')}; a regular file was expected"
