"""Patterns find what `re` finds, and end."""

import time

import pytest

from preceptor.data.patterns import first_brackets
from preceptor.errors import UserError


def test_the_first_bracket_or_all():
    texts = ["p1_a", "p22_b", "x", "ü3"]
    assert first_brackets(r"^p(\d+)_(.)", texts, "rule") == ["1", "22", None, None]
    assert first_brackets(r"\w\d", texts, "rule") == ["p1", "p2", None, "ü3"]
    assert first_brackets(r"x", [], "rule") == []


def test_many_texts_while_the_clock_ticks():
    texts = [f"patient_{number // 7}_{number}" for number in range(200_000)]
    assert first_brackets(r"patient_(\d+)", texts, "rule")[-1] == str(199_999 // 7)


def test_a_search_without_end_is_ended(monkeypatch):
    monkeypatch.setattr("preceptor.data.patterns.SECONDS", 0.5)
    start = time.monotonic()
    with pytest.raises(
        UserError, match=r"rule \^\(a\+\)\+\$ does not come to an end within 1 s at 'a+!'(.|\n)*Repeat once"
    ):
        first_brackets("^(a+)+$", ["b", "aa", "a" * 60 + "!", "c"], "rule")
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("pattern", ["([", "(?<!a*)", "a{99999999999999999999}"])
def test_what_is_no_pattern_is_explained(pattern):
    with pytest.raises(UserError, match="rule is no regular expression"):
        first_brackets(pattern, ["a"], "rule")
