"""The tables that are judged by arrays are judged as a report judges them; the rates: benchmarks/false_claims.py."""

import importlib

import numpy as np
import pytest

from .test_scripts import BENCHMARKS


@pytest.fixture
def script(monkeypatch):
    """The script as a module, found where it lies."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("false_claims")


def test_a_report_judges_made_up_tables_alike(script):
    world = script.World("both", is_equal=False, methods=5, seeds=4, groups=9, effect=9.0)
    tables = world.tables(6, np.random.default_rng(0))
    found = [script.claims(scores) for scores in tables]
    assert any(found)
    assert found == [script.claims_of_a_report(scores) for scores in tables]


def test_with_five_groups_nothing_is_claimed(script):
    world = script.World("both", is_equal=True, methods=2, seeds=10, groups=5, effect=50.0)
    (scores,) = world.tables(1, np.random.default_rng(0))
    assert script.claims(scores) == script.claims_of_a_report(scores) == frozenset()


def test_the_effect_is_what_is_published_in_spreads_over_seeds(script):
    assert script.published_effect() == 5.5


def test_the_page_shows_what_the_script_prints(script):
    page = (BENCHMARKS.parent / "docs" / "report.md").read_text(encoding="utf-8")
    rows = [f"| {m} | {s} | {g} | " for m in script.METHODS for s in script.SEEDS for g in script.GROUPS]
    assert all(row in page for row in rows)
    assert f"better by {script.published_effect():g} points" in page
