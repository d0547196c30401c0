"""Every package lists its public names: all are there and documented, and nobody waits for those not asked for."""

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "preceptor"
ROOMS = sorted(path.parent.name for path in SOURCE.glob("*/__init__.py") if path.parent.name != "cli")
EAGER = {"analysis", "composed", "drafting", "measures", "networks", "reference", "report", "techniques"}
"""Their names cost nothing more than the package does."""


def test_no_package_is_without_public_names():
    assert {room for room in ROOMS if not getattr(import_module(f"preceptor.{room}"), "__all__", [])} == set()


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_there_and_documented(room):
    package = import_module(f"preceptor.{room}")
    found = {name: getattr(package, name) for name in package.__all__}
    own = [one for one in found.values() if inspect.isclass(one) or inspect.isfunction(one)]
    assert [one.__name__ for one in own if not inspect.getdoc(one)] == []
    with pytest.raises(AttributeError, match="no_such_name"):
        package.no_such_name  # noqa: B018  # asking for it is the test


@pytest.mark.parametrize("room", sorted(set(ROOMS) - EAGER))
def test_what_type_checkers_see_is_what_is_there(room):
    names, homes = [], {}
    for node in ast.walk(ast.parse((SOURCE / room / "__init__.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith(f"preceptor.{room}."):
            names += [(node.module.removeprefix(f"preceptor.{room}."), alias.name) for alias in node.names]
        elif isinstance(node, ast.Dict):
            homes = ast.literal_eval(node)
    assert sorted(names) == sorted((home, name) for home, listed in homes.items() for name in listed)
    assert sorted(import_module(f"preceptor.{room}").__all__) == sorted(name for _, name in names)


def test_packages_whose_names_are_not_asked_for_bring_neither_torch_nor_pandas():
    code = (
        f"import sys\nfor room in {sorted(set(ROOMS) - EAGER)}: __import__('preceptor.' + room)\n"
        "print([one for one in ('torch', 'numpy', 'pandas', 'pydantic', 'fastapi') if one in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
