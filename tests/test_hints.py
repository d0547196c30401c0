"""Every command that a message of the package tells people to type is one that the command line takes."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from preceptor.cli.main import app

SOURCE = Path(__file__).parents[1] / "src" / "preceptor"
HINT = re.compile(r"\bpreceptor ((?:data |cache |bundle )?[a-z][a-z-]+)((?: [^`\n]*)?)")


def said() -> Iterator[tuple[str, str, str]]:
    """Where, command and the rest of the line, for every string but docstrings."""
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docs = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs | inner:
                text = node.value
            else:
                continue
            for command, rest in HINT.findall(text):
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", command, rest


def named(command: str) -> click.Command | None:
    found: click.Command | None = typer.main.get_command(app)
    for word in command.split():
        found = getattr(found, "commands", {}).get(word)
    return found


HINTS = [hint for hint in said() if hint[1].split()[0] in typer.main.get_command(app).commands]  # type: ignore[attr-defined]


def test_there_are_hints() -> None:
    assert len(HINTS) > 40


@pytest.mark.parametrize(("where", "command", "rest"), HINTS)
def test_the_command_is_there_with_its_options(where: str, command: str, rest: str) -> None:
    found = named(command)
    assert found is not None, f"{where}: no command {command!r}"
    known = {option for parameter in found.params for option in parameter.opts}
    for option in re.findall(r"(?<=\s)--[a-z0-9]+(?:-[a-z0-9]+)*", rest):
        assert option in known, f"{where}: `preceptor {command}` has no {option}"


def test_a_wrong_hint_would_be_found() -> None:
    assert named("data look") is None
    assert named("train") is not None
