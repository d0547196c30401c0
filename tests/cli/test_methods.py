from typer.testing import CliRunner

from preceptor.cli.main import app
from preceptor.cli.methods import methods_page
from preceptor.knowledge import catalogue
from preceptor.techniques import technique_rows


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["methods", *arguments], env={"COLUMNS": "100"})
    assert result.exit_code == 0
    return result.stdout


def test_every_method_is_listed_with_what_it_does() -> None:
    shown = run()
    assert max(map(len, shown.splitlines())) <= 100
    flowing = " ".join(shown.split())
    for row in (*technique_rows(), *catalogue.loss_rows()):
        name, summary, *details = row.items()
        assert f"{name[1]} {summary[1]}" in flowing
        for heading, value in details:
            assert f"{heading}: {value}" in flowing or not value


def test_markdown_is_the_page_of_the_documentation() -> None:
    assert run("--markdown") == methods_page()
