"""A run that keeps the test part sealed."""

import pytest

from preceptor.runs.finished import read_finished
from preceptor.training import run
from preceptor.training.evaluate import Evaluator

from .phantoms import recipe_for, train

BASELINE = {"name": "baseline"}


class Noting:
    """A watcher that writes down what it is told."""

    def __init__(self):
        self.heard = []

    def stage(self, stage, first_epoch, steps):
        self.heard.append((stage.name, first_epoch))

    def step(self, epoch, step, images, waited):
        pass

    def epoch(self, epoch, losses, scores):
        self.heard.append((epoch, sorted(scores)))


def test_the_test_part_is_not_evaluated_until_it_is_opened(tmp_path, packed, monkeypatch):
    recipe = recipe_for("classification", BASELINE, packed)
    parts, call = [], Evaluator.__call__
    monkeypatch.setattr(
        Evaluator, "__call__", lambda self, *given, **named: parts.append(given[1]) or call(self, *given, **named)
    )
    watcher = Noting()

    sealed = run.train_recipe(recipe, tmp_path / "sealed", device="cpu", watchers=[watcher], opens_test=False)

    assert (sealed.status, sealed.test, sealed.fidelity) == ("validated", {}, {})
    assert sealed.validation["S1"]["accuracy"] >= 0
    assert set(parts) == {"validation"}
    assert not (tmp_path / "sealed" / "predictions" / "test.csv").exists()
    assert watcher.heard == [("main", 0), (1, ["S1"]), (2, ["S1"])]
    assert run.train_recipe(recipe, tmp_path / "sealed", device="cpu", opens_test=False) == sealed

    opened, _ = train(recipe, tmp_path / "sealed")
    straight, _ = train(recipe, tmp_path / "straight")
    timeless = [one.model_copy(update={"seconds": 0.0, "images_per_second": 0.0}) for one in (opened, straight)]
    assert timeless[0] == timeless[1]
    assert read_finished(tmp_path / "sealed").result == opened


def test_a_watcher_may_end_a_run_and_it_goes_on_from_its_checkpoint(tmp_path, packed):
    class EndingError(Exception):
        pass

    class Ending(Noting):
        def epoch(self, epoch, losses, scores):
            if epoch == 2:
                raise EndingError

    recipe = recipe_for("classification", BASELINE, packed)
    with pytest.raises(EndingError):
        run.train_recipe(recipe, tmp_path / "ended", device="cpu", watchers=[Ending()], opens_test=False)
    ended, _ = train(recipe, tmp_path / "ended")
    straight, _ = train(recipe, tmp_path / "straight")
    assert ended.test == straight.test
