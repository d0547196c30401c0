"""Searches whose trials take no time."""

import io
import json
import os
import signal
from pathlib import Path

import pandas as pd
import pytest
import yaml
from rich.console import Console

from preceptor.errors import InterruptedRunError, UserError
from preceptor.recipe import load_recipe
from preceptor.study.local import LocalCrew
from preceptor.study.search import Search, open_study, run_search
from preceptor.study.space import parse_over
from preceptor.study.work import Epoch, JobOutcome

from .studies import raw

RATES = "training.lr=0.1,0.2,0.3,0.9"


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """``searched("key=values", …, script={}, workers=1)``; the best trial, all trials, and what was printed."""
    pytest.importorskip("optuna", reason="the extra `search` is not installed")
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import fake_trial

    def run(*overs, script=None, workers=1, recipe=None, crew=None, **options):
        (tmp_path / "script.json").write_text(json.dumps(script or {}))
        search = Search(recipe or raw()["recipe"], [parse_over(text) for text in overs], tmp_path, **options)
        crew = crew or LocalCrew(workers, 1, device="cpu", work=fake_trial.trial)
        text = io.StringIO()
        best = run_search(search, crew, Console(file=text, width=200))
        return best, pd.read_csv(tmp_path / "trials.csv"), text.getvalue()

    return run


def test_a_grid_tries_every_combination_once_and_writes_the_best_down(searched, tmp_path):
    best, trials, text = searched(RATES, "technique.temperature=1.0,4.0", sampler="grid", prune=False)
    assert len(trials) == 8
    assert set(zip(trials["training.lr"], trials["technique.temperature"], strict=True)) == {
        (rate, temperature) for rate in (0.1, 0.2, 0.3, 0.9) for temperature in (1.0, 4.0)
    }
    assert (best.value, best.params["training.lr"]) == (1.0, "0.3")
    recipe, _ = load_recipe(tmp_path / "best.yaml")
    assert (recipe.training.lr, recipe.technique.temperature) == (0.3, 1.0)
    assert "8 of 8" in text


def test_hopeless_trials_are_cut_short(searched, tmp_path):
    """The first four say what is usual; the fifth is worse, and ends with its second epoch."""
    grid = "training.lr=0.2,0.25,0.3,0.35,0.95"
    _, trials, text = searched(grid, sampler="grid")
    assert list(trials["state"]) == ["complete"] * 4 + ["pruned"]
    assert "cut short" in text
    folder = tmp_path / "trials" / trials["folder"][4]
    assert not (folder / "result.json").exists()
    assert len((folder / "epochs").read_text()) == 1


def test_the_same_search_again_does_nothing_and_more_trials_go_on(searched, tmp_path):
    space = "training.lr=0.01..1.0"
    _, first, _ = searched(space, sampler="random", trials=3, prune=False)
    _, again, text = searched(space, sampler="random", trials=3, prune=False)
    assert (len(first), len(again), text) == (3, 3, "")
    best, more, _ = searched(space, sampler="random", trials=6, prune=False)
    assert list(more["training.lr"][:3]) == list(first["training.lr"])
    assert more["training.lr"].is_unique
    assert best.value == more["accuracy"].max()


def test_tpe_comes_close_to_the_best(searched):
    best, trials, _ = searched("training.lr=0.01..1.0", trials=25, prune=False, seed=1)
    assert len(trials) == 25
    assert best.value > 0.97


def test_a_dead_worker_and_a_failed_trial_stop_nothing(searched, tmp_path):
    best, trials, _ = searched(
        RATES, sampler="grid", script={"0.1": "die_once", "0.2": "defect"}, workers=2, prune=False
    )
    assert best.value == 1.0
    assert dict(zip(trials["training.lr"], trials["state"], strict=True)) == {
        0.1: "complete",
        0.2: "fail",
        0.3: "complete",
        0.9: "complete",
    }
    assert list(trials.loc[trials["state"] == "fail", "error"]) == ["KeyError: 'boom'"]
    _, trials, text = searched(RATES, sampler="grid", prune=False)
    assert text.count("trial ") == 1
    assert list(trials["state"]).count("complete") == 4


class Stopped:
    """A crew that is stopped while its worker asks whether to go on, and leaves only when it has heard."""

    free = 1
    busy = False
    heard = None

    def give(self, request):
        self.job, self.free, self.busy = request.id, 0, True

    def events(self, seconds):
        if self.heard is not None:
            self.busy = False
            return [(self.job, JobOutcome("stopped"))]
        os.kill(os.getpid(), signal.SIGINT)
        return [(self.job, Epoch(1, 0.5))]

    def reply(self, id, goes_on):
        self.heard = goes_on

    def stop(self): ...
    def close(self): ...


def test_a_stopped_search_goes_on_with_the_trial_it_was_at(searched, tmp_path):
    crew = Stopped()
    with pytest.raises(InterruptedRunError, match="0 of 4 trials are done"):
        searched(RATES, sampler="grid", crew=crew)
    assert crew.heard is True
    with (tmp_path / "journal.log").open("a") as journal:
        journal.write('{"op_code": 4, "torn')

    _, trials, _ = searched(RATES, sampler="grid", prune=False)
    assert sorted(trials.loc[trials["state"] == "complete", "training.lr"]) == [0.1, 0.2, 0.3, 0.9]


def test_another_recipe_is_another_search(searched, tmp_path):
    searched(RATES, sampler="grid", prune=False)
    changed = {**raw()["recipe"], "seed": 5}
    _, trials, _ = searched(RATES, sampler="grid", prune=False, recipe=changed)
    assert len(trials) == 4
    assert len(list((tmp_path / "trials").iterdir())) == 8


def test_nothing_finished_is_said(searched):
    with pytest.raises(UserError, match="no trial could be finished"):
        searched("training.lr=0.1,0.2", sampler="grid", script={"0.1": "defect", "0.2": "defect"})


@pytest.mark.parametrize(
    ("overs", "sampler", "message"),
    [
        ([], "tpe", "what is searched over"),
        (["training.lr=0.1,0.2", "training.lr=0.3,0.4"], "tpe", "names a setting twice"),
        (["training.lr=0.1..0.2"], "grid", "grid wants lists"),
        (["training.rate=0.1,0.2"], "tpe", r"the recipe with training.rate=0.1:\n.*unknown 'rate'"),
        (["training.epochs=0..4"], "tpe", r"training.epochs=0.*\n.*greater than 0"),
    ],
)
def test_what_cannot_be_searched_is_refused_at_once(tmp_path, overs, sampler, message):
    with pytest.raises(UserError, match=message):
        Search(raw()["recipe"], [parse_over(text) for text in overs], tmp_path, sampler=sampler)


def test_the_journal_lies_where_one_process_may_write(tmp_path):
    optuna = pytest.importorskip("optuna")
    search = Search(raw()["recipe"], [parse_over(RATES)], tmp_path, sampler="grid")
    study = open_study(search)
    study.tell(study.ask(), 0.5)
    assert [trial.state for trial in open_study(search).trials] == [optuna.trial.TrialState.COMPLETE]
    assert {path.name for path in tmp_path.iterdir()} == {"journal.log"}
    assert all(yaml.safe_load(line) for line in (tmp_path / "journal.log").read_text().splitlines())
