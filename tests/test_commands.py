"""Every command of README and the documentation is one that preceptor takes, and is run or says why not."""

from pathlib import Path

import click
import pytest
import typer

from preceptor.cli.main import app
from preceptor.recipe import load_recipe
from preceptor.study.spec import load_study

from .pages import PAGES, ROOT, Block, blocks, named

EVERY = [block for page in PAGES for block in blocks(page) if block.commands]
OURS = [(block, words[1:]) for block in EVERY for words in block.commands if words[0] == "preceptor"]


def where(block: object) -> str:
    return f"{named(block.page)}:{block.line}" if isinstance(block, Block) else ""


@pytest.mark.parametrize(("block", "words"), OURS, ids=where)
def test_the_command_line_takes_it(block: Block, words: list[str]) -> None:
    arguments = words[: words.index(">")] if ">" in words else words
    command: click.Command = typer.main.get_command(app)
    context = click.Context(command)
    while isinstance(command, click.Group) or hasattr(command, "commands"):
        name, arguments = arguments[0], arguments[1:]
        command = command.commands[name]  # type: ignore[attr-defined]  # typer brings a group of its own
    context = command.make_context(command.name, list(arguments), parent=context)
    stray = [text for text in context.args if "=" not in text]
    assert not stray
    recipe = context.params.get("recipe")
    if isinstance(recipe, Path) and (ROOT / recipe).is_file():
        load = load_study if recipe.parts[0] == "studies" else load_recipe
        load(ROOT / recipe, overrides=[*(context.params.get("overrides") or []), *context.args])


@pytest.mark.parametrize("block", EVERY, ids=where)
def test_it_is_run_or_says_what_it_needs(block: Block) -> None:
    others = {words[0] for words in block.commands} - {"preceptor"}
    assert block.needs or not others, f"{others}: say what is needed by <!-- needs: … --> above the block"
    assert block.needs or block.language == "sh", "commands stand in a block ```sh, which tests/test_pages_run.py runs"


def test_what_is_said_to_be_run_elsewhere_is_there() -> None:
    for block in EVERY:
        _, said, place = block.needs.partition("run by ")
        if said:
            assert (ROOT / place.split()[0].rstrip(".,;")).exists(), block.needs
