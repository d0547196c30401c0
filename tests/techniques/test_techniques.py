"""All techniques: what can be said of them, and what they promise."""

import pytest

from preceptor.techniques import TECHNIQUES, technique_rows
from preceptor.techniques.mixture import Mixture


def test_every_technique_has_a_line_of_its_own_a_source_and_options():
    rows = technique_rows()
    assert [row["technique"] for row in rows] == list(TECHNIQUES)
    for column in ("what it does", "options"):
        assert len({row[column] for row in rows}) == len(rows)
    assert all(row["source"] for row in rows)


def test_every_option_of_the_mixtures_has_a_meaning_in_one_of_them():
    used = {option for technique in TECHNIQUES.values() if issubclass(technique, Mixture) for option in technique.uses}
    assert used == set(Mixture.model_fields) - {"name"}


@pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=list(TECHNIQUES))
def test_the_name_comes_first_in_a_written_recipe(technique):
    """So that a recipe of today reads like those that older versions wrote."""
    assert next(iter(technique.model_fields)) == "name"
