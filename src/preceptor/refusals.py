"""What the machine refuses, or a user's own file breaks, in words: what it was, and what the user can do."""

import errno
import os
import re
import shutil
import sys
import traceback
from pathlib import Path

OWN_MODULE = "preceptor_own_"
"""How the names of modules begin that are made of users' own files."""

_SPACE = "free some space and give the same command again; nothing that was on disk is lost"
_ELSEWHERE = "choose another folder"
_FILES = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "files of this size are not allowed here: raise the limit (ulimit -f), or take another disk",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: _ELSEWHERE,
    errno.EEXIST: _ELSEWHERE,
    errno.ENOTDIR: _ELSEWHERE,
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "links lead in a circle there; choose another folder",
    errno.EIO: "the disk or network share cannot be read or written there; check it",
    errno.ESTALE: "the network share has changed underneath; mount it again and give the same command again",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n), or lower training.workers and --workers",
    errno.ENFILE: "too many files are open on this machine: close other programs, or lower --workers",
}
_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_NUMBER = re.compile(r"\[Errno (\d+)\]")
_NO_MEMORY = re.compile(
    r"out of memory|not enough memory|can(?:'t|not) allocate memory|bad_alloc|unable to allocate|STATUS_ALLOC_FAILED",
    re.IGNORECASE,
)
_NO_THREADS = re.compile(
    r"can't start new thread|thread creation failed|resource temporarily unavailable", re.IGNORECASE
)


def refusal(error: BaseException) -> str | None:
    """What to say of ``error`` where preceptor is not to blame; None where it may be."""
    if words := _of_memory(error) or _of_threads(error):
        return words
    if isinstance(error, shutil.Error):
        error = _first_of_many(error)
    if isinstance(error, OSError) and error.errno in _FILES:
        where = error.filename2 if error.errno in _OF_WRITING and error.filename2 else error.filename
        return f"{f'{where}: ' if where else ''}{error.strerror}; {_FILES[error.errno]}."
    return _of_own_file(error)


def own_files_run() -> list[str]:
    """The users' own files that this process has run, by name."""
    return sorted(Path(file).name for file in _own_paths())


def _first_of_many(error: shutil.Error) -> OSError:
    """What stopped a folder's copying first: shutil tells it as a list of (from, to, words), without the number."""
    told = error.args[0] if error.args and isinstance(error.args[0], list) else []
    for source, target, words in told:
        if found := _NUMBER.search(str(words)):
            number = int(found[1])
            return OSError(number, os.strerror(number), source, None, target)
    return error


def _of_memory(error: BaseException) -> str | None:
    text = _first_line(error)
    is_error = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    if not (is_error or (isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)))):
        return None
    where = "the GPU's memory" if "cuda" in str(error).lower() else "the memory of this machine"
    return (
        f"{where} is not enough{f' ({text})' if text else ''}.\n"
        "Lower training.batch_size or data.image_size, take smaller networks, or fewer runs side by side (--workers). "
        "The same command then goes on where the recipe stays the same."
    )


def _of_threads(error: BaseException) -> str | None:
    is_error = isinstance(error, OSError) and error.errno == errno.EAGAIN
    if not (is_error or (isinstance(error, RuntimeError) and _NO_THREADS.search(str(error)))):
        return None
    return (
        f"this machine lets the command start no more threads ({_first_line(error)}).\n"
        "Lower training.threads or training.workers, take fewer runs side by side (--workers), or raise the limit "
        "(ulimit -u)."
    )


def _of_own_file(error: BaseException) -> str | None:
    """The line of the user's own file in which ``error`` was raised, the innermost where several were passed."""
    own = _own_paths()
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in own]
    if not lines:
        return None
    at = lines[-1]
    shown = f"\n  {at.line}" if at.line else ""
    where = f"{Path(at.filename).name}, line {at.lineno}, in {at.name}"
    return (
        f"{where}: {type(error).__name__}: {_first_line(error)}{shown}\n"
        "The file is your own: mend it and give the same command again; it goes on from the last checkpoint. "
        "`preceptor --debug …` shows how it came there."
    )


def _own_paths() -> set[str]:
    found = (
        getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if name.startswith(OWN_MODULE)
    )
    return {file for file in found if file}


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")
