"""What is declared is what is imported, and the wheel holds all that the package reads."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from preceptor import __version__

TOP = Path(__file__).parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DISTRIBUTION = {"PIL": "pillow", "yaml": "pyyaml", "mlflow": "mlflow-skinny"}
"""Of modules that are called otherwise than what is installed."""

OPTIONAL = {"openvino", "pixels"}
"""Named by the package where it is missing, and no extra of it; and the second file of a bundle's own script."""


def imported(folder: Path) -> set[str]:
    """The distributions that the modules below ``folder`` import, wherever in them."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(str(node.module))
    tops = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"preceptor"}
    return {DISTRIBUTION.get(name, name).replace("_", "-") for name in tops}


def declared(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~ \[;]", text, maxsplit=1)[0].lower() for text in requirements}


def test_what_is_declared_is_imported():
    assert declared(PROJECT["dependencies"]) - imported(TOP / "src") == set()


def test_what_is_imported_is_declared():
    extras = set[str]().union(*map(declared, PROJECT["optional-dependencies"].values()))
    assert imported(TOP / "src") - declared(PROJECT["dependencies"]) - extras - OPTIONAL == set()


def test_what_is_installed_for_tests_is_pinned():
    pinned = declared((TOP / "constraints.txt").read_text(encoding="utf-8").split())
    used = {"dev", "mlflow", "search", "tensorboard", "wandb", "peers"}
    for extra in used:
        assert declared(PROJECT["optional-dependencies"][extra]) <= pinned
    assert declared(PROJECT["dependencies"]) | {"torchvision"} <= pinned


def test_there_is_one_version():
    assert "version" in PROJECT["dynamic"]
    citation = (TOP / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in citation


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The package from a wheel that was built in a clean clone, in a folder of its own."""
    place = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", TOP, place / "clone"], check=True)
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", place, place / "clone"], check=True)
    (wheel,) = place.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", place / "installed", wheel], check=True)
    return place / "installed"


def elsewhere(installed: Path, folder: Path, *command: object) -> str:
    """What a command prints in another folder, with the installed package alone."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(installed), "HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_of_a_clean_clone_imports_every_module(installed, tmp_path):
    code = (
        "import importlib, pathlib, preceptor\n"
        "top = pathlib.Path(preceptor.__file__).parent\n"
        "for path in sorted(top.rglob('*.py')):\n"
        "    if path.name != '__main__.py':\n"
        "        name = '.'.join(path.relative_to(top.parent).with_suffix('').parts).removesuffix('.__init__')\n"
        "        importlib.import_module(name)\n"
        "print(top)\n"
    )
    assert elsewhere(installed, tmp_path, "-c", code).strip() == str(installed / "preceptor")


@pytest.mark.slow
def test_the_wheel_holds_recipes_and_studies_and_says_its_version(installed, tmp_path):
    for kind in ("recipes", "studies", "studies/published"):
        expected = {path.name for path in (TOP / kind).iterdir() if path.is_file()}
        assert {path.name for path in (installed / "preceptor" / kind).iterdir() if path.is_file()} == expected
    assert elsewhere(installed, tmp_path, "-m", "preceptor", "--version").strip() == __version__
    assert (installed / f"preceptor-{__version__}.dist-info").is_dir()
    assert " jobs, 0 done" in elsewhere(
        installed, tmp_path, "-m", "preceptor", "study", "phantom", "--scale", "small", "--dry-run"
    )
    assert (installed / "preceptor" / "py.typed").is_file()
