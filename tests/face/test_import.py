"""``import preceptor`` waits for nothing and gives every name when it is asked for."""

import subprocess
import sys

import pytest

import preceptor as pc
from preceptor.errors import UserError
from preceptor.recipe import Recipe, load_recipe


def in_a_new_process(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_import_is_quick_and_brings_no_torch():
    code = (
        "import sys, time; began = time.perf_counter(); import preceptor as pc; spent = time.perf_counter() - began;"
        "print(spent, *(one for one in ('torch', 'numpy', 'pandas', 'pydantic', 'yaml') if one in sys.modules));"
        "pc.Recipe; print('torch' in sys.modules)"
    )
    lines = [in_a_new_process(code).splitlines() for _ in range(3)]
    assert min(float(first.split()[0]) for first, _ in lines) < 0.1
    assert all(len(first.split()) == 1 for first, _ in lines)
    assert all(second == "False" for _, second in lines)


@pytest.mark.slow
def test_no_name_draws_random_numbers_or_changes_threads():
    code = (
        "import random; random.seed(1); import torch; threads = torch.get_num_threads(); torch.manual_seed(1);"
        "import preceptor as pc; [getattr(pc, name) for name in dir(pc)];"
        "first = random.random(), torch.rand(()).item(); random.seed(1); torch.manual_seed(1);"
        "print(first == (random.random(), torch.rand(()).item()), torch.get_num_threads() == threads)"
    )
    assert in_a_new_process(code) == "True True\n"


def test_all_names_are_there_and_no_others():
    assert {"Recipe", "train", "load_run", "Cohort", "frozen", "teach", "mutual", "fit", "taps"} <= set(pc.__all__)
    assert all(hasattr(pc, name) for name in dir(pc))
    assert not hasattr(pc, "softtarget")
    with pytest.raises(AttributeError, match="SoftTarget"):
        pc.Softtarget  # noqa: B018  # asking for it is the test


def test_a_recipe_is_loaded_and_changed(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "task: classification\ndata: {source: phantom}\n"
        "networks: {student: {architecture: test_resnet, weights: none}, count: 2}\ntechnique: {name: ml}\n"
    )
    recipe = pc.Recipe.load(str(path))
    assert recipe == load_recipe(path)[0]
    changed = recipe.with_({"training.epochs": 3}, seed=5)
    assert (changed.training.epochs, changed.seed) == (3, 5)
    assert recipe.seed == 0
    assert isinstance(changed, Recipe)
    with pytest.raises(UserError, match="epochs"):
        recipe.with_({"training.epochs": "many"})
