"""Python code of a user's own is named before it runs, and a received folder's runs only where it is trusted."""

import hashlib
import json
import re

import pytest
import yaml

from preceptor.errors import UserError
from preceptor.own_files import is_of_a_run, own_files, settle
from preceptor.recipe import parse_recipe

from .command import preceptor
from .test_bad_input import CLASSIFIER, recipe_for

OWN = '''
from pathlib import Path

from preceptor.catalogue import Setting
from preceptor.knowledge.base import Loss

Path("RAN").write_text("code of the folder was run")


class Own(Loss):
    """Mine.

    Source: none.
    """

    key = "own"
    settings = {"classification": Setting(weight=1.0, student_tap="logits")}

    def forward(self, student, teacher, targets):
        return (student - teacher).square().mean()
'''
DIGEST = hashlib.sha256(OWN.encode()).hexdigest()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the file, in which commands are given."""
    monkeypatch.setenv("PRECEPTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def recipe(**technique):
    return recipe_for(technique=technique, networks={"teacher": CLASSIFIER, "student": CLASSIFIER, "count": 1})


@pytest.mark.parametrize(
    "technique",
    [
        {"name": "kd_offline", "losses": [{"loss": "kd"}, {"loss": "own.py:Own"}]},
        {"name": "kd_offline", "hint": {"loss": "own.py:Own"}},
        {"name": "graph", "edges": [{"loss": "own.py:Own", "source": "T", "target": "S1"}]},
    ],
    ids=["losses", "hint", "edges"],
)
def test_every_option_that_names_a_file_is_seen(here, technique):
    parsed = parse_recipe(recipe(**technique))
    (file,) = own_files(parsed)
    assert (file.use, file.sha256, file.path) == ("the loss own.py:Own", DIGEST, here / "own.py")
    said = []
    settle(parsed, here / "recipe.yaml", said.append, trust=False)
    assert said == [f"Python code of your own is run: {here}/own.py (sha256 {DIGEST}) for the loss own.py:Own"]
    (here / "split.csv").write_text("")
    with pytest.raises(UserError, match="give --trust"):
        settle(parsed, here / "recipe.yaml", said.append, trust=False)
    settle(parsed, here / "recipe.yaml", said.append, trust=True)
    assert not (here / "RAN").exists()


TECHNIQUE = '''
from pathlib import Path

from preceptor.techniques import Technique

Path("RAN").write_text("code of the folder was run")


class Alone(Technique):
    """Nobody teaches.

    Source: none.
    """

    name: str

    def plan(self, cast):
        raise AssertionError
'''


def test_a_technique_of_ones_own_is_seen_and_a_plan_of_a_received_recipe_asks(here):
    (here / "own_technique.py").write_text(TECHNIQUE)
    raw = recipe(name="own_technique.py:Alone")
    (file,) = own_files(parse_recipe(raw))
    assert (file.use, file.path) == ("the technique own_technique.py:Alone", here / "own_technique.py")
    (here / "recipe.yaml").write_text(yaml.safe_dump(raw))
    (here / "split.csv").write_text("")
    answer = preceptor("plan", here / "recipe.yaml")
    assert answer.code == 2
    assert "give --trust" in answer.error
    assert not (here / "RAN").exists()
    preceptor("plan", here / "recipe.yaml", "--trust")
    assert (here / "RAN").exists()


def test_networks_and_a_data_source_of_ones_own_are_seen_and_checked_as_text(here):
    (here / "net.py").write_text("import absent\n\n\ndef make(num_classes, width=3):\n    return None\n")
    (here / "data.py").write_text("import absent\n\n\ndef images(path, *, side=3):\n    return None\n")

    def own(**options):
        raw = recipe_for(networks={"student": {"architecture": "net.py:make", "options": options}})
        raw["data"] = {"source": "data.py:images", "path": "."}
        return parse_recipe(raw)

    assert [file.use for file in own_files(own(width=4))] == [
        "the network net.py:make",
        "the data source data.py:images",
    ]
    with pytest.raises(UserError, match=r"architecture 'net.py:make': no option 'widht'; did you mean 'width'"):
        own_files(own(widht=4))
    with pytest.raises(UserError, match="option 'num_classes' is set by preceptor"):
        own_files(own(num_classes=4))
    raw = recipe_for(networks={"student": {"architecture": "torchvision.models:resnet18"}})
    (module,) = own_files(parse_recipe(raw))
    assert str(module) == "the installed module torchvision.models for the network torchvision.models:resnet18"


def test_a_recipe_without_such_a_file_is_never_asked(here):
    (here / "result.json").write_text("{}")
    assert is_of_a_run(here / "recipe.yaml")
    settle(parse_recipe(recipe(name="kd_offline", losses=[{"loss": "kd"}])), here / "recipe.yaml", print, trust=False)


def received(here):
    """A finished run, as of somebody else, whose recipe names a file that lies here."""
    (here / "mine.yaml").write_text(yaml.safe_dump(recipe(name="kd_offline", losses=[{"loss": "own.py:Own"}])))
    answer = preceptor("train", "mine.yaml", "--out", "run", "--device", "cpu")
    assert answer.code == 0, answer.error
    (here / "RAN").unlink()


def test_a_received_run_is_evaluated_and_reported_without_its_code_and_opened_only_where_trusted(here):
    received(here)
    for command in (
        ["analyse", "run"],
        ["bench", "run/recipe.yaml"],
        ["train", "run/recipe.yaml", "--out", "again"],
        ["search", "run/recipe.yaml", "--over", "training.lr=0.1,0.2", "--out", "found"],
    ):
        answer = preceptor(*command, "--device", "cpu")
        assert answer.code == 2, command
        assert "names Python code that would be run here" in answer.error
        assert str(here / "own.py") in answer.error
        assert DIGEST in answer.error
        assert "--trust" in answer.error
    assert preceptor("evaluate", "run", "--device", "cpu").code == 0
    assert preceptor("report", "run").code == 0
    assert {path.name for path in here.iterdir()} == {"own.py", "mine.yaml", "run", "cache"}


@pytest.mark.slow
def test_what_is_trusted_runs(here):
    received(here)
    answer = preceptor("train", "run/recipe.yaml", "--out", "again", "--device", "cpu", "--trust")
    assert answer.code == 0, answer.error
    assert preceptor("analyse", "again", "--device", "cpu").code == 2
    assert preceptor("analyse", "again", "--device", "cpu", "--trust").code == 0


def test_training_names_the_file_before_it_runs(here):
    raw = recipe(name="kd_offline", losses=[{"loss": "own.py:Own"}])
    (here / "mine.yaml").write_text(yaml.safe_dump(raw))
    (here / "own.py").write_text(OWN.replace('"code of the folder was run"', "str(1 / 0)"))
    answer = preceptor("train", "mine.yaml", "--out", "run", "--device", "cpu")
    assert answer.code == 2
    assert re.match(
        r"Python code of your own is run: .*own.py \(sha256 [0-9a-f]{64}\) for the loss own.py:Own\n", answer.out
    )
    assert "own.py, line 7, in <module>: ZeroDivisionError" in answer.error


def test_a_study_names_the_file_and_a_received_one_asks(here, monkeypatch):
    study = {"name": "x", "recipe": recipe(name="kd_offline", losses=[{"loss": "own.py:Own"}]), "axes": {}}
    (here / "s.yaml").write_text(yaml.safe_dump(study))
    monkeypatch.setattr("preceptor.cli.study.run_jobs", lambda *_, **__: None)
    answer = preceptor("study", "s.yaml", "--out", "found", "--device", "cpu")
    assert "Python code of your own is run" in answer.out, answer
    assert json.loads((here / "found" / "index.json").read_text())["jobs"]
    answer = preceptor("study", "found/study.yaml", "--device", "cpu")
    assert (answer.code, "--trust" in answer.error) == (2, True)
    assert not (here / "RAN").exists()
