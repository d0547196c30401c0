"""Runs commands of preceptor for the tests of bad inputs, each in a child of its own that may hang, die or eat memory.

Reads one JSON object a line from standard input (``arguments``, ``folder`` and limits) and answers with one (``code``,
``text``, ``seconds``). Everything heavy is imported once, before the children are forked.
"""

import ctypes
import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import time
from pathlib import Path

import lightning_fabric  # noqa: F401  # imported for the children
import matplotlib.pyplot  # noqa: F401
import pyarrow.pandas_compat  # noqa: F401
import rich.status  # noqa: F401
import scipy.sparse.csgraph  # noqa: F401
import torch
from PIL import Image

import preceptor.analysis.analyse
import preceptor.cli
import preceptor.cli.main
import preceptor.report.write
import preceptor.training.exported
import preceptor.training.run

for package in (preceptor.cli, preceptor.data, preceptor.networks, preceptor.runs, preceptor.training):
    for part in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if ".trackers." not in part.name:
            importlib.import_module(part.name)
Image.init()

HUNG = "hung"


def answer(call):
    """Run one command and say how it ended."""
    folder, began = Path(call["folder"]), time.monotonic()
    child = os.fork()
    if not child:
        _be(call, folder)
    code = _wait(child, began + call["seconds"])
    log = folder / "log.txt"
    text = log.read_text(errors="backslashreplace") if log.exists() else ""
    return {"code": code, "text": text, "seconds": time.monotonic() - began}


def _wait(child, end):
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return HUNG


def _be(call, folder):
    """Become the command; never returns."""
    code = 99
    try:
        os.setsid()
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.environ["PRECEPTOR_CACHE"] = str(folder / "cache")
        for name, value in call["environment"].items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _limit(call)
        os.chdir(folder)
        sys.argv = ["preceptor", *call["arguments"]]
        try:
            preceptor.cli.main.main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as error:
        os.write(2, f"Traceback: {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


def _limit(call):
    if call["files"]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (call["files"],) * 2)
    if call["file_bytes"]:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (call["file_bytes"],) * 2)
    if call["gib"]:
        resource.setrlimit(resource.RLIMIT_AS, (int(call["gib"] * 2**30),) * 2)
    if call["as_user"]:
        _drop_privileges()
    if call["closed"]:
        os.close(1)


def _drop_privileges():
    """Let permissions hold for root too: without CAP_DAC_OVERRIDE and its kin."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, data)
    for part in range(3):
        data[part] &= ~0b1110
    assert libc.capset(header, data) == 0, os.strerror(ctypes.get_errno())


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
