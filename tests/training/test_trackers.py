"""Other tools are told what metrics.csv holds."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from preceptor.errors import UserError
from preceptor.recipe import load_recipe
from preceptor.runs.files import RunFiles
from preceptor.shipped import shipped_recipe
from preceptor.training.trackers import require_trackers, trackers_for, wanted_trackers
from preceptor.training.trackers.curves import flat_settings, lasting_id

LOSSES = {"S1/task": 0.5, "T->S1/kd": 0.25}
SCORES = {"S1": {"accuracy": 0.75}}
CURVES = {"main/train/S1/task": 0.5, "main/train/T->S1/kd": 0.25, "main/validation/S1/accuracy": 0.75}


def recipe_with(*changes):
    return load_recipe(shipped_recipe("phantom"), changes)[0]


def told(recipe, folder, epochs=(1,)):
    with trackers_for(recipe, RunFiles(folder)) as trackers:
        for tracker in trackers:
            tracker.stage(recipe.plan().stages[-1], 0, 10)
            for epoch in epochs:
                tracker.epoch(epoch, LOSSES, SCORES)


def test_none_is_on_by_default(tmp_path):
    assert wanted_trackers(recipe_with()) == []
    told(recipe_with(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_may_be_said_in_two_ways():
    assert wanted_trackers(recipe_with("training.tensorboard=true")) == ["tensorboard"]
    both = recipe_with("training.tensorboard=true", "training.trackers=[mlflow, tensorboard]")
    assert wanted_trackers(both) == ["tensorboard", "mlflow"]


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_one_that_is_not_installed_is_refused_with_the_command(name, monkeypatch):
    monkeypatch.setattr("preceptor.training.trackers.find_spec", lambda name: None)
    with pytest.raises(UserError, match=rf"is not installed: pip install .*\[{name}\]"):
        require_trackers(recipe_with(f"training.trackers=[{name}]"))


def test_a_stage_of_the_teacher_has_no_trackers_of_its_own():
    with pytest.raises(UserError, match="teacher_training: trackers is for the whole run"):
        recipe_with("teacher_training.trackers=[wandb]")


def test_a_run_keeps_its_name_in_a_tool(tmp_path):
    assert lasting_id(tmp_path / "wandb") == lasting_id(tmp_path / "wandb")


def test_settings_are_dotted_keys():
    raw = {"a": 1, "b": {"c": [2], "d": {"e": None}}, "f": {}}
    assert dict(flat_settings(raw)) == {"a": 1, "b.c": [2], "b.d.e": None, "f": {}}


@pytest.fixture
def fake_wandb(monkeypatch):
    """In place of Weights & Biases: notes what it is asked for."""
    asked = []
    run = SimpleNamespace(
        define_metric=lambda name, step_metric: asked.append(("axis", name, step_metric)),
        log=lambda curves: asked.append(("log", curves)),
        finish=lambda: asked.append(("finish",)),
    )
    module = ModuleType("wandb")
    module.Settings = dict
    module.init = lambda **settings: asked.append(("init", settings)) or run
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delitem(sys.modules, "preceptor.training.trackers.wandb", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    yield asked
    sys.modules.pop("preceptor.training.trackers.wandb", None)


def test_wandb_stays_on_this_machine_and_goes_on_in_the_same_run(fake_wandb, tmp_path):
    recipe = recipe_with("training.trackers=[wandb]")
    told(recipe, tmp_path)
    told(recipe, tmp_path, epochs=[2])
    (_, first), (_, second) = (one for one in fake_wandb if one[0] == "init")
    assert first["mode"] == "offline"
    assert first["id"] == second["id"]
    assert first["config"]["training"]["trackers"] == ["wandb"]
    assert [one[1] for one in fake_wandb if one[0] == "log"] == [
        {**CURVES, "main/epoch": 1},
        {**CURVES, "main/epoch": 2},
    ]
    assert fake_wandb[-1] == ("finish",)


def test_wandb_goes_where_the_user_says(fake_wandb, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    told(recipe_with("training.trackers=[wandb]"), tmp_path)
    assert fake_wandb[0][1]["mode"] == "online"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_wandb_itself_writes_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    told(recipe_with("training.trackers=[wandb]"), tmp_path)
    (kept,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    assert kept.stat().st_size > 0
    assert lasting_id(tmp_path / "wandb") in kept.name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_itself_keeps_every_curve_and_goes_on_in_the_same_run(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    recipe = recipe_with("training.trackers=[mlflow]")
    told(recipe, tmp_path / "run")
    told(recipe, tmp_path / "run", epochs=[2])
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'run' / 'mlflow' / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("phantom").experiment_id])
    history = client.get_metric_history(run.info.run_id, "main/train/T to S1/kd")
    assert [(point.step, point.value) for point in history] == [(1, 0.25), (2, 0.25)]
    assert run.data.params["technique.name"] == "kd_ml"
    assert (run.info.status, run.info.run_name) == ("FINISHED", "run")


@pytest.mark.slow
def test_tensorboard_itself_writes_events(tmp_path):
    pytest.importorskip("tensorboard")
    told(recipe_with("training.trackers=[tensorboard]"), tmp_path)
    assert list((tmp_path / "tensorboard").glob("events.*"))
