"""Where runs go by default, and what they are called."""

import pytest
import yaml

from preceptor.cli import train
from preceptor.cli.places import other_data
from preceptor.recipe import load_recipe

from ..study.studies import raw


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(raw()["recipe"] | {"name": "tiny"}))
    return path


def called(path, *overrides):
    recipe, folder = train.named_after_file(path, load_recipe(path, overrides)[0])
    return recipe.name, folder


def test_a_run_is_called_by_its_file_its_name_or_its_data(written, tmp_path):
    (tmp_path / "My slides").mkdir()
    own = ("data.source=folder", f"data.path={tmp_path / 'My slides'}", "data.options={}")
    assert called(written) == ("tiny", "tiny")
    assert called(written, "training.epochs=3", "data.options.images=96") == ("tiny", "tiny")
    assert called(written, *own) == ("My-slides", "My-slides")
    assert called(written, *own, "name=first try") == ("first try", "first-try")
    assert called(written, "data.source=medmnist") == ("medmnist", "medmnist")


def test_data_are_called_by_the_end_of_their_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v1.2").mkdir()
    (tmp_path / "tissue.csv").write_text("")
    monkeypatch.setenv("SLIDES", str(tmp_path / "v1.2"))
    for path, name in {"v1.2": "v1.2", "$SLIDES": "v1.2", "tissue.csv": "tissue", ".": tmp_path.name}.items():
        assert other_data({"source": "phantom"}, {"source": "folder", "path": path}) == name
    assert other_data({"source": "folder", "path": "a"}, {"source": "folder", "path": "a", "image_size": 32}) is None
    assert other_data(None, {"source": "phantom"}) == "phantom"


def test_what_an_older_version_began_goes_on_under_its_name(written, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("preceptor.training.run.train_recipe", lambda recipe, out, **_: calls.append(recipe.name) or {})
    monkeypatch.setattr(train, "print_result", lambda *_: None)
    changes = ["data.source=folder", f"data.path={tmp_path / 'slides'}", "data.options={}"]
    out = tmp_path / "out"
    train.train_file(written, changes, out, "cpu")
    out.mkdir()
    (out / "recipe.yaml").write_text(load_recipe(written, changes)[0].to_yaml())
    train.train_file(written, changes, out, "cpu")
    assert calls == ["slides", "tiny"]


def test_a_run_whose_folder_an_older_version_named_is_gone_on_with(written, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe(written)[0]
    now = train.default_folder("tiny", recipe)
    older = now.with_name(now.name[:-8] + "01234567")
    older.mkdir(parents=True)
    (older / "recipe.yaml").write_text("task: [")
    assert train.default_folder("tiny", recipe) == now
    (older / "recipe.yaml").write_text(recipe.to_yaml())
    assert train.default_folder("tiny", recipe) == older
    assert train.default_folder("tiny", load_recipe(written, ["training.lr=0.5"])[0]) not in (now, older)
