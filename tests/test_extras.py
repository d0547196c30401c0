"""The command that installs an extra works where it is pasted."""

import re
import tomllib
from pathlib import Path

from preceptor.extras import install_command

TOP = Path(__file__).parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_at_the_top_of_a_checkout(monkeypatch):
    monkeypatch.chdir(TOP)
    assert install_command("dicom") == "pip install -e '.[dicom]'"


def test_elsewhere_the_checkout_is_named(monkeypatch, tmp_path):
    monkeypatch.chdir(TOP / "docs")
    assert install_command("dicom") == "pip install -e '..[dicom]'"
    monkeypatch.chdir(tmp_path)
    found = re.fullmatch(r"pip install -e '(.*)\[dicom\]'", install_command("dicom"))
    assert found
    assert Path(found[1]).resolve() == TOP.resolve()


def test_an_installed_package_is_named_as_such(monkeypatch, tmp_path):
    monkeypatch.setattr("preceptor.extras.CHECKOUT", tmp_path)
    assert install_command("mlflow", "wandb") == "pip install 'preceptor[mlflow,wandb]'"


def test_every_extra_that_is_named_exists_and_is_named_by_the_function():
    for path in (TOP / "src").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "preceptor[" not in text or path.stem == "extras", f"{path}: install_command says it"
        for extra in re.findall(r"install_command\(['\"](\w+)", text):
            assert extra in PROJECT["optional-dependencies"]
