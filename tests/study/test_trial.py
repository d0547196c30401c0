"""A real trial: what it tells, and that it ends when it is told to."""

import json

from preceptor.recipe import parse_recipe
from preceptor.study.trial import score_of, train_trial, trial_request

from .studies import raw


def recipe(**technique):
    base = raw()["recipe"]
    training = {**base["training"], "epochs": 2}
    return parse_recipe({**base, "training": training, "technique": technique})


def test_epochs_are_counted_over_stages_and_told_where_students_learn_their_task(tmp_path):
    told = []
    request = trial_request("0", recipe(name="kd_offline"), tmp_path, "cpu")
    train_trial(request, lambda number, score: told.append((number, score)) or True)

    assert [number for number, _ in told] == [3, 4]  # two epochs of the teacher come before
    result = json.loads((request.folder / "result.json").read_text())
    assert (result["status"], result["test"]) == ("validated", {})
    assert score_of(request.folder, "accuracy") == result["validation"][result["chosen"]]["accuracy"]
    assert not (request.folder / "predictions" / "test.csv").exists()


def test_a_hopeless_trial_ends_and_leaves_no_result(tmp_path):
    request = trial_request("0", recipe(name="baseline"), tmp_path, "cpu")
    train_trial(request, lambda number, score: False)
    assert not (request.folder / "result.json").exists()


def test_the_same_settings_have_the_same_folder(tmp_path):
    one, same, other = (
        trial_request(id, recipe(name=name), tmp_path, "cpu").folder
        for id, name in (("0", "ml"), ("7", "ml"), ("8", "kd_ml"))
    )
    assert one == same
    assert one != other
