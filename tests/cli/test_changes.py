"""Changes of a recipe as people type them."""

import pytest

from preceptor.cli.changes import whole_changes
from preceptor.errors import UserError

from ..command import preceptor


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("epochs=2", "training.epochs=2"),
        ("options.fold=1", "data.options.fold=1"),
        ("strategy=diverse", "technique.strategy=diverse"),
        ("image_size=64", "data.image_size=64"),
    ],
)
def test_a_key_is_taken_from_the_one_part_that_has_it_and_that_is_said(typed, whole):
    short, full = typed.partition("=")[0], whole.partition("=")[0]
    assert whole_changes([typed]) == ([whole], [f"{short} is taken as {full}"])


@pytest.mark.parametrize("typed", ["seed=3", "training.epochs=2", "name=epochs", "data.options={a: 1}"])
def test_a_key_of_the_recipe_itself_stays(typed):
    assert whole_changes([typed]) == ([typed], [])


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("folds=3", r"several parts .* split\.folds or technique\.folds"),
        ("teacher=runs/a", r"networks\.teacher or technique\.teacher"),
        ("epoch=3", r"unknown 'epoch'; did you mean training\.epochs\?"),
        ("epochs", r"unexpected argument 'epochs'; .*training\.epochs=5"),
    ],
)
def test_what_may_mean_several_things_or_none_is_refused(typed, message):
    with pytest.raises(UserError, match=message):
        whole_changes([typed])


@pytest.mark.parametrize("command", ["train", "study", "search", "bench", "plan"])
def test_every_command_that_takes_a_recipe_takes_changes_alike(command):
    answer = preceptor(command, "phantom", "--set", "seed=1", "folds=3")
    assert answer.code == 2
    assert "split.folds or technique.folds" in answer.error


def test_a_completed_key_is_named():
    answer = preceptor("plan", "phantom", "epochs=2")
    assert answer.out.startswith("note: epochs is taken as training.epochs\n")
    assert "2 epochs" in answer.out
