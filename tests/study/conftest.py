"""Boards whose jobs are done by fake work."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from preceptor.study.board import Board
from preceptor.study.local import LocalCrew
from preceptor.study.plan import plan_study
from preceptor.study.run import run_jobs
from preceptor.study.show import Overview

from .studies import study


@pytest.fixture
def fake(monkeypatch):
    """The fake work, in a module that worker processes can import too."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import fake_work

    return fake_work.work


@pytest.fixture
def scripted(tmp_path, fake):
    """``scripted({job name: what it does}, workers=1)`` runs the tiny study; the board, and what was printed."""

    def run(script=None, workers=1, **changes):
        (tmp_path / "script.json").write_text(json.dumps(script or {}))
        made = study(**changes)
        board = Board(made, plan_study(made).jobs, tmp_path)
        board.begin()
        text = io.StringIO()
        with Overview(Console(file=text, width=200), board) as overview:
            run_jobs(board, overview, LocalCrew(workers, 1, device="cpu", work=fake), device="cpu")
        return board, text.getvalue()

    return run
