"""``preceptor plan``."""

import subprocess
import sys
from pathlib import Path

import pytest

from preceptor.cli.plan import split_in_words
from preceptor.recipe import load_recipe

from ..command import preceptor
from ..computing import computing

ROOT = Path(__file__).parents[2]
PHANTOM = str(ROOT / "recipes" / "phantom.yaml")


def test_a_recipe_is_told_and_drawn_without_reading_an_image(tmp_path):
    answer = preceptor("plan", PHANTOM, "--set", "technique.strategy=predictions", "--svg", str(tmp_path / "graph.svg"))
    assert answer.code == 0
    assert answer.out.startswith("kd_ml predictions (classification)\nsplit: whole groups on one side; 75:10:15")
    assert "\nstage main: 8 epochs; batches of 32" in answer.out
    assert "loss: 0.2 · task + 0.4 · kd(T, temperature 2) + 0.4 · kd(S2, temperature 2)" in answer.out
    assert (tmp_path / "graph.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("recipe", "changes", "said"),
    [
        ("crc_small", [], "whole images of origin on one side; 75:10:15 for training, validation, test"),
        ("crc_small", ["data.options.grouping=null"], "whole groups (patientID) on one side"),
        ("crc_small", ["split.by=auto"], "official parts where the data have them, else whole images of origin where"),
        ("crc_small", ["split.by=image"], "single images, whoever they are of; 75:10:15"),
        ("crc_small", ["split.folds=5"], "whole images of origin on one side; fold 0 of 5 for test"),
        ("monuseg_small", [], "the data's official parts"),
    ],
)
def test_groups_are_called_what_the_recipe_calls_them(recipe, changes, said):
    found, _ = load_recipe(ROOT / "recipes" / f"{recipe}.yaml", changes)
    assert split_in_words(found).startswith(said)


def test_weights_that_are_missing_are_named():
    answer = preceptor("plan", PHANTOM, "--set", "technique.name=kd_offline", "technique.teacher=runs/absent")
    assert answer.code == 0
    assert "technique.teacher: runs/absent: MISSING: 'runs/absent' does not exist." in answer.out


def test_what_is_assumed_is_said():
    answer = preceptor("plan", PHANTOM, "--set", "technique.name=graft", "technique.teacher=runs/absent")
    assert "note: test_resnet is taken to have 4 stages" in answer.out


def test_what_cannot_be_trained_is_an_error_after_it_was_shown():
    answer = preceptor("plan", PHANTOM, "--set", "technique.name=kd_offline", "split.shots=5")
    assert answer.code == 2
    assert "stage teacher" in answer.out
    assert "split.shots 5: the teacher would be trained on these few images too" in answer.error


def test_a_study_tells_what_its_runs_share():
    answer = preceptor("plan", str(ROOT / "studies" / "phantom.yaml"), "--scale", "small")
    assert answer.code == 0
    assert answer.out.startswith(
        "phantom: 2 teachers, 2 baselines, 4 runs; seeds 0, 1\nsplit: whole groups on one side; "
    )
    assert "teaches 1 run" in answer.out
    assert "2 runs compared with it" in answer.out


def test_a_study_tells_which_runs_are_one(tmp_path):
    study = tmp_path / "study.yaml"
    axes = "axes: {technique: {online: {technique.name: kd_online}, both: {technique.name: kd_ml}}}"
    study.write_text(f"name: mine\nrecipe: {PHANTOM}\nseeds: [0]\ntogether: true\n{axes}\n")
    answer = preceptor("plan", str(study))
    assert answer.code == 0, answer.error
    (line,) = answer.out.partition("trained as one cohort:\n")[2].partition("\nfrom outside")[0].splitlines()
    assert "online-seed0" in line
    assert "both-seed0" in line


@pytest.mark.parametrize("path", [PHANTOM, str(ROOT / "studies" / "phantom.yaml")])
def test_nothing_heavy_is_imported_and_it_is_quick(path):
    code = (
        "import sys\n"
        f"sys.argv = ['preceptor', 'plan', {path!r}]\n"
        "from preceptor.cli.main import main\n"
        "heavy = ('torch', 'timm', 'pandas')\n"
        "try: main()\n"
        "finally: print([name for name in heavy if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert computing(code, enough=5) < 5
