"""What the machine refuses, and what a user's own file breaks, is not called a defect."""

import errno
import os
import re
import shutil

import pytest

from preceptor.errors import UserError
from preceptor.knowledge import catalogue
from preceptor.refusals import refusal

OWN = '''
from preceptor.catalogue import Setting
from preceptor.knowledge.base import Loss


class Own(Loss):
    """Mine.

    Source: none.
    """

    key = "own"
    settings = {"classification": Setting(weight=1.0, student_tap="logits")}

    def forward(self, student, teacher, targets):
        BODY
'''


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "the memory of this machine is not enough"),
        (MemoryError("Unable to allocate 7.28 TiB for an array"), r"\(Unable to allocate 7.28 TiB"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "training.batch_size"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20 MiB"), "the GPU's memory is not enough"),
        (RuntimeError("std::bad_alloc"), "memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory"),
        (RuntimeError("can't start new thread"), "no more threads"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "no more threads"),
        (OSError(errno.ENOSPC, "No space left on device", "/runs/a"), "^/runs/a: No space left on device; free"),
        (OSError(errno.ENOSPC, "No space left on device", "/from", None, "/to"), "^/to: No space left on device; free"),
        (
            shutil.Error([("/from/a", "/to/a", "[Errno 28] No space left on device: '/from/a' -> '/to/a'")]),
            "^/to/a: No space left on device; free",
        ),
        (OSError(errno.EMFILE, "Too many open files", "x"), "ulimit -n"),
        (OSError(errno.EFBIG, "File too large", "x"), "ulimit -f"),
        (FileExistsError(errno.EEXIST, "File exists", "/etc/passwd"), "choose another folder"),
        (OSError(errno.EIO, "Input/output error", "x"), "check it"),
    ],
)
def test_what_the_machine_refuses_is_said_with_what_to_do(error, message):
    assert re.search(message, refusal(error) or "")


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("shapes differ"), FileNotFoundError(2, "no", "x")])
def test_our_own_mistakes_stay_ours(error):
    assert refusal(error) is None


def loss_of(tmp_path, body):
    (tmp_path / "own.py").write_text(OWN.replace("BODY", body))
    return catalogue.load(catalogue.entry_for("own.py:Own", tmp_path))()


def test_a_loss_that_raises_is_named_with_its_line(tmp_path):
    import torch

    tensor = torch.zeros(2, 3)
    loss = loss_of(tmp_path, "raise ZeroDivisionError('boom')")
    with pytest.raises(ZeroDivisionError) as found:
        loss(tensor, tensor, torch.zeros(2, dtype=torch.int64))
    words = refusal(found.value)
    assert words
    assert words.startswith("own.py, line 16, in forward: ZeroDivisionError: boom\n  raise ZeroDivisionError('boom')")


@pytest.mark.parametrize(
    ("body", "returned"),
    [
        ("return None", "returned NoneType None"),
        ("return 1.0", "returned float 1.0"),
        ("return student.mean(dim=1)", r"returned a tensor of shape \(2,\) and type float32"),
        ("return targets.sum()", r"returned a tensor of shape \(\) and type int64"),
    ],
)
def test_a_loss_that_gives_no_number_is_named_with_its_line(tmp_path, body, returned):
    import torch

    tensor = torch.zeros(2, 3)
    with pytest.raises(UserError, match=rf"loss own: forward \(own.py, line 15\) {returned}; .* values.mean"):
        loss_of(tmp_path, body)(tensor, tensor, torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize("line", ["import no_such_module", "raise SystemExit(0)"])
def test_a_file_that_cannot_be_run_is_named_with_its_line(tmp_path, line):
    (tmp_path / "own.py").write_text(f"{line}\n{OWN}")
    with pytest.raises(UserError, match=r"running its file fails: own.py, line 1, in <module>"):
        catalogue.load(catalogue.entry_for("own.py:Own", tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = " + "(" * 20_000, "nested too deeply|not valid Python"),
        ("#" * 1_000_001, "longer than 1,000,000 bytes"),
        (OWN.replace("    def", "    def __init__(self, a: A = 1): ...\n    def") + "A = B\nB = A\n", "has the type"),
        (OWN.replace("    def", "    def __init__(self, a: 'in t' = 1): ...\n    def"), "'in t' is no type"),
        ("x = 1\n", "no class 'Own'; it has none"),
    ],
)
def test_files_that_would_break_the_reader_are_refused(tmp_path, text, message):
    (tmp_path / "own.py").write_text(text)
    with pytest.raises(UserError, match=message):
        catalogue.entry_for("own.py:Own", tmp_path)


def test_a_pipe_is_no_loss(tmp_path):
    os.mkfifo(tmp_path / "own.py")
    with pytest.raises(UserError, match="is a named pipe"):
        catalogue.entry_for("own.py:Own", tmp_path)
