"""timm and smp come without torch's compiler and wandb, which are there as soon as anybody uses them."""

import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

from preceptor.networks.libraries import StandIn, standing_in

ASKED = """
import sys
import numpy as np
from preceptor.deploy.engines import TorchEngine
from preceptor.machine.fold import with_folded_norms
from preceptor.networks.build import build_network
from preceptor.specs import NetworkSpec

how = {"classes": ("a", "b"), "image_size": (32, 32), "seed": 0}
for spec, task in (
    (NetworkSpec(architecture="test_resnet", weights="none"), "classification"),
    (NetworkSpec(architecture="unet", encoder="tu-test_resnet", weights="none"), "segmentation"),
):
    network = with_folded_norms(build_network(spec, task=task, **how).eval())
    TorchEngine(network, "cpu")(np.zeros((1, 32, 32, 3), dtype=np.uint8))
print(*(name for name in ("torch._dynamo", "torch._inductor", "sympy", "wandb") if name in sys.modules))

import timm
import torch
roi = sys.modules["torchvision.ops.roi_align"]
compiler = torch._dynamo
assert compiler is sys.modules["torch._dynamo"] and compiler.utils is sys.modules["torch._dynamo.utils"]
assert roi.is_compile_supported("cpu") == compiler.utils.is_compile_supported("cpu")
assert timm.models.naflexvit.disable_compiler(lambda: compiler.is_compiling())() is False
"""
WANDB = """
assert timm.utils.summary.wandb.Settings is sys.modules["wandb"].Settings
"""


def test_a_network_is_built_and_asked_without_the_compiler_which_works_when_it_is_wanted():
    code = ASKED + (WANDB if find_spec("wandb") is not None else "")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "\n"


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """A package with a part, which says when it is imported."""
    package = tmp_path / "imported_late"
    package.mkdir()
    package.joinpath("__init__.py").write_text(
        "from imported_late import part\nfrom imported_late.part import two\none = 1\n"
    )
    package.joinpath("part.py").write_text("two = 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield (
        StandIn("imported_late", {"one": "ready"}, is_package=True),
        StandIn("imported_late.part", {"two": 3}, is_package=False),
    )
    for name in ("imported_late", "imported_late.part"):
        sys.modules.pop(name, None)


def test_what_is_foreseen_does_not_import_the_module(made_up):
    with standing_in(*made_up):
        import imported_late as package
        from imported_late.part import two

        assert (package.one, two) == ("ready", 3)
        assert not hasattr(package, "__file__")
    assert "imported_late" not in sys.modules
    assert "imported_late.part" not in sys.modules
    import imported_late as real

    assert (real.one, real.part.two, package.part.two) == (1, 2, 2)


@pytest.mark.parametrize("use", ["import imported_late.part as found", "from imported_late import part as found"])
def test_what_is_not_foreseen_is_the_real_one(made_up, use):
    names = {}
    with standing_in(*made_up[:1]):
        exec(use, names)
    assert names["found"].two == 2
    assert names["found"] is sys.modules["imported_late.part"]
    assert sys.modules["imported_late"].one == 1


def test_a_part_that_is_wanted_brings_the_whole_package(made_up):
    with standing_in(*made_up):
        from imported_late import part

        with pytest.raises(AttributeError):
            _ = part.three
    assert sys.modules["imported_late"].two == 2


def test_modules_that_are_loaded_blocked_or_missing_stay_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "blocked_one", None)
    names = ("torch", "blocked_one", "not_installed_one")
    with standing_in(*(StandIn(name, {}, is_package=True) for name in names)):
        assert sys.modules["torch"] is torch
        assert sys.modules["blocked_one"] is None
        assert "not_installed_one" not in sys.modules
