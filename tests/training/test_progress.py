"""What a terminal shows while a run is trained."""

import io

import pytest

from preceptor.recipe import load_recipe
from preceptor.screen import Screen
from preceptor.shipped import shipped_recipe
from preceptor.training.progress import ProgressPanel, WholeRun


@pytest.fixture
def stages():
    """A teacher for 6 epochs, then 2 epochs of distillation."""
    recipe, _ = load_recipe(
        shipped_recipe("phantom"),
        ["technique.name=kd_offline", "training.epochs=2", "teacher_training.epochs=6"],
    )
    found = recipe.plan().stages
    assert [stage.last_epoch - stage.first_epoch for stage in found] == [6, 2]
    return found


def test_the_whole_run_counts_the_epochs_of_every_stage(stages):
    whole = WholeRun(stages)
    whole.begin(stages[0].name)
    assert (whole.place, whole.epochs_left(6), whole.share(6)) == ("stage 1 of 2", 8, 0)
    assert whole.share(2) == 0.5
    whole.begin(stages[1].name)
    assert (whole.place, whole.epochs_left(1), whole.share(1)) == ("stage 2 of 2", 1, 0.875)


def test_a_stage_that_was_not_told_of_has_no_share():
    assert WholeRun(()).share(1) is None


@pytest.mark.parametrize("width", [30, 80, 200])
def test_the_panel_shows_the_run_and_the_stage_at_any_width(stages, width):
    screen = Screen(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    progress = ProgressPanel(screen, "accuracy", stages)
    progress.stage(stages[0], first_epoch=0, steps=10)
    for step in range(1, 6):
        progress.step(4, step, images=8, waited=0.0)  # 3.5 of 8 epochs are done
    screen.file = shown = io.StringIO()
    screen.print(progress._panel())
    lines = shown.getvalue().splitlines()
    text = " ".join(" ".join(lines).split())
    assert "run: stage 1 of 2, 44% of the epochs" in text
    assert "epoch 4/" in text
    assert "\x1b" not in text
    assert max(map(len, lines)) <= width
