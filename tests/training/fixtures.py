"""Teachers that are trained once for many tests, and a look into the loop."""

import pytest

from preceptor.training import run
from preceptor.training.fit import InterruptedRunError, train_stage

from .phantoms import DATA, recipe_for, stopping_fit, train


@pytest.fixture(scope="session")
def packed(tmp_path_factory):
    """Where the packed phantoms are kept."""
    return tmp_path_factory.mktemp("packed")


@pytest.fixture(scope="session")
def teachers(tmp_path_factory, packed):
    """A run folder with a trained teacher, by task."""
    folders = {}
    for task in DATA:
        folders[task] = tmp_path_factory.mktemp(task)
        technique = {"name": "baseline", "network": "teacher"}
        train(recipe_for(task, technique, packed, training={"epochs": 1}), folders[task])
    return folders


@pytest.fixture
def starts(monkeypatch):
    """What learns in the cohort of each stage, as it was at the start."""
    found = {}

    def noting(fabric, stage, cohort, *more, **options):
        learning = {name for name, parameter in cohort.named_parameters() if parameter.requires_grad}
        found[stage.name] = {name: value.clone() for name, value in cohort.state_dict().items() if name in learning}
        return train_stage(fabric, stage, cohort, *more, **options)

    monkeypatch.setattr(run, "train_stage", noting)
    return found


@pytest.fixture
def interrupted(monkeypatch):
    """``interrupted(recipe, out, epoch=, step=)`` begins a run that is asked to stop there."""

    def start(recipe, out, *, epoch, step, stage="main"):
        with monkeypatch.context() as patch:
            patch.setattr(run, "train_stage", stopping_fit(stage, epoch, step))
            with pytest.raises(InterruptedRunError):
                train(recipe, out)

    return start
