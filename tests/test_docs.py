"""The documentation says what the package does."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from preceptor.cli.methods import methods_page
from preceptor.knowledge import catalogue
from preceptor.plan.draw import cohort_svg
from preceptor.recipe import load_recipe, parse_recipe
from preceptor.reference import recipe_page, sources_page
from preceptor.techniques import TECHNIQUES

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize(
    ("name", "page"), [("methods", methods_page), ("recipe", recipe_page), ("sources", sources_page)]
)
def test_the_generated_pages_are_up_to_date(name: str, page: Callable[[], str]) -> None:
    assert (DOCS / f"{name}.md").read_text(encoding="utf-8") == page(), "run `make docs`"


def test_the_picture_of_the_readme_is_that_of_its_recipe() -> None:
    recipe, _ = load_recipe(DOCS.parent / "recipes" / "phantom.yaml")
    assert (DOCS / "cohort.svg").read_text(encoding="utf-8") == cohort_svg(recipe.plan(), recipe.task), (
        "run `make docs`"
    )


def test_the_page_has_a_row_for_every_method() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", methods_page(), flags=re.MULTILINE)
    assert {"baseline", "kd_ml", "kd_offline", "kthf2", "self_distill"} < set(TECHNIQUES)
    assert rows == [*TECHNIQUES, *catalogue.losses()]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_examples_of_the_page_are_recipes(number: int) -> None:
    example = re.findall(r"```yaml\n(.*?)```", methods_page(), flags=re.DOTALL)[number]
    network = {"architecture": "resnet10t"}
    parse_recipe(
        {
            "task": "classification",
            "data": {"source": "phantom"},
            "networks": {"teacher": network, "student": network},
            **yaml.safe_load(example),
        }
    )


def test_the_example_technique_is_one(tmp_path: Path) -> None:
    page = (DOCS / "own-technique.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "mine.py").write_text(found)
    recipe, _ = load_recipe(
        DOCS.parent / "recipes" / "phantom.yaml", [f"technique={{name: '{tmp_path}/mine.py:Mine', weight: 0.8}}"]
    )
    assert [edge.weight for edge in recipe.plan().stages[-1].edges] == [0.8, 0.8]
