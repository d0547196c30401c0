"""The blocks of CONTRIBUTING.md work as a user's own files."""

import re

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from preceptor.data.sources import open_source
from preceptor.knowledge import catalogue
from preceptor.measures import ClassAnswers
from preceptor.measures.own import loaded, measures_in_recipe
from preceptor.networks.build import build_network
from preceptor.recipe import changed_recipe, load_recipe
from preceptor.specs import NetworkSpec

from .command import preceptor
from .pages import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the files, and images for them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRECEPTOR_CACHE", str(tmp_path / "cache"))
    for name, body in FILES.items():
        (tmp_path / name).write_text(body)
    (tmp_path / "images").mkdir()
    noise = np.random.default_rng(0)
    for number in range(24):
        name = f"{('benign', 'malignant')[number % 2]}_p{number // 4}_{number}.png"
        Image.fromarray(noise.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(tmp_path / "images" / name)
    return tmp_path


def test_there_is_one_of_each():
    assert list(FILES) == [f"my_{what}.py" for what in ("loss", "technique", "source", "measure", "network")] + [
        "mine.yaml"
    ]
    assert all(len(body.splitlines()) <= 35 for body in FILES.values())


def test_the_loss(here):
    """Two sure of nothing and a teacher sure by 1/2 more: (1 - 1/2)² at power 2, 1/2 at power 1."""
    entry = catalogue.entry_for("my_loss.py:CertaintyLoss")
    assert [option.name for option in entry.options] == ["power"]
    student, teacher = torch.zeros(2, 2), torch.tensor([[100.0, 0.0]] * 2)
    for power, expected in ((2.0, 0.25), (1.0, 0.5)):
        loss = catalogue.load(entry)(**catalogue.check_options(entry, {"power": power}))
        torch.testing.assert_close(loss(student, teacher, torch.zeros(2).long()), torch.tensor(expected))


def test_the_source(here):
    table = open_source("my_source.py:labelled", "images", {"classes": ["malignant", "benign"]})
    assert (len(table), table.classes) == (24, ("malignant", "benign"))
    assert table.frame["group"].nunique() == 6
    assert table.read(0)[0].shape == (16, 16, 3)


def test_the_network(here):
    spec = NetworkSpec(architecture="my_network.py:Small", taps=("early", "late"), options={"width": 4})
    network = build_network(spec, task="classification", classes=("a", "b"), image_size=(16, 16), seed=0)
    assert (network.shapes["early"], network.shapes["last"]) == ((4, 8, 8), (8, 4, 4))


def test_the_measure(here):
    """Of four, two are right and sure."""
    measure = loaded("my_measure.py:SURE")
    answers = ClassAnswers(np.array([[0.9, 0.1], [0.6, 0.4], [0.05, 0.95], [0.05, 0.95]]), np.array([0, 0, 0, 1]))
    assert measure.of(answers) == 0.5
    assert "sure" in measures_in_recipe("classification", ["my_measure.py:SURE"])


def test_the_technique_and_the_loss_in_a_plan(here):
    answer = preceptor("plan", "mine.yaml")
    assert answer.code == 0, answer.error
    assert "loss: task + 0.8 · kd(T, temperature 3)" in answer.out
    losses = [("technique.name", "kd_offline"), ("technique.losses", [{"loss": "my_loss.py:CertaintyLoss"}])]
    recipe, _ = changed_recipe(yaml.safe_load(FILES["mine.yaml"]), losses)
    assert recipe.plan().stages[-1].edges[0].loss.entry.term == "certainty"


@pytest.mark.slow
def test_all_of_them_are_trained(here):
    assert load_recipe(here / "mine.yaml")[0].monitor == "sure"
    answer = preceptor("train", "mine.yaml", "--out", "run", "--device", "cpu")
    assert answer.code == 0, answer.error
    assert "sure" in (here / "run" / "metrics.csv").read_text()
