"""The generated pages say everything, and the schema takes what preceptor takes."""

import json
import re
from pathlib import Path

import pytest
import yaml

from preceptor.reference import recipe_page, recipe_schema, source_rows, sources_page
from preceptor.signatures import arguments_of

from ..command import preceptor

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", [recipe_page(), sources_page()], ids=["recipe", "sources"])
def test_every_key_and_option_says_what_it_means(page):
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", page, flags=re.MULTILINE)
    assert len(rows) > 60
    assert not [name for name, text in rows if not text.strip()]


def test_the_schema_has_a_text_for_every_key():
    schema = recipe_schema()
    parts = {**schema["$defs"], "Recipe": schema}
    bare = [f"{name}.{key}" for name, part in parts.items() for key, one in part.get("properties", {}).items()
            if "description" not in one]  # fmt: skip
    assert not bare


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_valid_by_the_schema(path):
    checker = pytest.importorskip("jsonschema")
    checker.validate(yaml.safe_load(path.read_text()), recipe_schema())


@pytest.mark.parametrize(
    ("change", "is_valid"),
    [
        ({"technique": {"name": "mine.py:Mine", "weight": 0.8}}, True),
        ({"technique": {"name": "kd_oflline"}}, False),
        ({"training": {"epochs": 0}}, False),
        ({"trainings": {}}, False),
    ],
)
def test_the_schema_refuses_mistakes(change, is_valid):
    checker = pytest.importorskip("jsonschema")
    recipe = yaml.safe_load((ROOT / "recipes" / "phantom.yaml").read_text())
    validator = checker.Draft202012Validator(recipe_schema())
    assert validator.is_valid(recipe | change) is is_valid


def test_commands_print_them():
    assert preceptor("recipe-schema", "--markdown").out == recipe_page()
    assert json.loads(preceptor("recipe-schema").out) == recipe_schema()
    assert preceptor("data", "sources", "--markdown").out == sources_page()
    listed = preceptor("data", "sources").out.splitlines()
    assert [line.split()[0] for line in listed] == [key for key, _ in source_rows()]


def test_arguments_of_a_docstring():
    text = """What it is.

    Args:
        one: first line
            and the next: with a colon.
        two, three: both.

    Raises:
        ValueError: never.
    """
    assert arguments_of(text) == {"one": "first line and the next: with a colon.", "two": "both.", "three": "both."}
    assert arguments_of("Nothing.") == {}


def test_the_page_of_deviations_is_what_the_recipes_say():
    page = preceptor("recipes", "--deviations").out
    assert page == (ROOT / "docs" / "deviations.md").read_text(encoding="utf-8")
    assert "DEPARTS" not in page
    assert "| training.balance=both; our reading" in page
