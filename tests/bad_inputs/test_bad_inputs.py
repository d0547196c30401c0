"""Every bad input and odd circumstance ends with the exit code wanted and a short message that names the thing."""

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from . import cases_commands, cases_images, cases_own_code, cases_recipe, cases_tables, cases_weights
from .make import Case, recipe, train

MODULES = (cases_recipe, cases_own_code, cases_weights, cases_images, cases_tables, cases_commands)
CASES: dict[str, Case] = {name: case for module in MODULES for name, case in module.TABLE.items()}
SCREEN = 24  # lines
RAN = ("YAML-RAN", "PICKLE-RAN")


class Children:
    """The process that runs commands, each in a child of its own."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("child.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def run(self, call, folder):
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({**asdict(call), "folder": str(folder)}), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def close(self):
        self._process.communicate(timeout=30)


@pytest.fixture(scope="module")
def children():
    found = Children()
    yield found
    found.close()


@pytest.fixture(scope="module")
def done(children, tmp_path_factory):
    """A finished run with a teacher and a student."""
    folder = tmp_path_factory.mktemp("done")
    ended = children.run(train(folder, recipe(technique={"name": "kd_offline"})), folder)
    assert ended["code"] == 0, ended["text"]
    return folder / "run"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if case.is_slow else []) for name, case in CASES.items()]
)
def test_it_ends_as_it_should(name, tmp_path, children, request):
    case = CASES[name]
    tmp_path.chmod(0o777)
    call = case.make(tmp_path, request.getfixturevalue("done")) if case.wants_run else case.make(tmp_path)
    ended = children.run(call, tmp_path)
    text = ended["text"]
    assert ended["code"] == case.code, text[-2000:]
    assert re.search(case.says, text), text[-2000:]
    assert "Traceback" not in text
    assert "likely a defect" not in text
    if case.code == 2:
        assert text.count("\n") <= SCREEN, text
        assert "error: " in text or "Error" in text, text
    for mark in RAN:
        assert not (tmp_path / mark).exists()
