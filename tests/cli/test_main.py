"""The entry point: what is answered quickly, how recipes are changed, and what every exit code means."""

import errno
import os
import subprocess
import sys

import pytest

from preceptor import __version__
from preceptor.errors import InterruptedRunError, UserError

from ..command import preceptor
from ..computing import computing

HEAVY = ("torch", "timm", "lightning_fabric", "pandas", "numpy", "yaml", "preceptor.recipe")


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy_and_is_quick(arguments):
    code = (
        "import sys\n"
        f"sys.argv = ['preceptor', *{arguments}]\n"
        "from preceptor.cli.main import main\n"
        "try: main()\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert "train" in done.stdout
    assert computing(code, enough=2.5) < 2.5


def test_version():
    assert preceptor("--version").out == f"{__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "Did you mean 'train'?"),
        (["train"], "Missing argument 'recipe'"),
        (["train", "r.yaml", "--sett", "a=1"], "No such option: --sett"),
        (["evaluate"], "Missing argument 'run'"),
    ],
)
def test_mistaken_commands_are_the_users(arguments, message):
    answer = preceptor(*arguments)
    assert answer.code == 2
    assert message in answer.error


@pytest.fixture
def asked(monkeypatch):
    """The overrides that `preceptor train` hands on, in place of training."""
    given = []
    monkeypatch.setattr(
        "preceptor.cli.train.train_file", lambda recipe, overrides, out, device, trust: given.extend(overrides)
    )
    return given


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set", "seed=1", "--set", "training.lr=2", "--set", "data.path=x=y"],
        ["--set", "seed=1", "training.lr=2", "data.path=x=y"],
        ["seed=1", "training.lr=2", "data.path=x=y"],
        ["seed=1", "lr=2", "--set", "data.path=x=y"],
        ["--set", "seed=1", "training.lr=2", "--device", "cpu", "data.path=x=y"],
    ],
)
def test_changes_follow_one_set_or_several_or_none(asked, arguments):
    assert preceptor("train", "phantom", *arguments).code == 0
    assert sorted(asked) == ["data.path=x=y", "seed=1", "training.lr=2"]


def test_stray_arguments_are_refused(asked):
    answer = preceptor("train", "phantom", "--set", "seed=1", "second.yaml")
    assert answer.code == 2
    assert "unexpected argument 'second.yaml'" in answer.error
    assert "training.epochs=5" in answer.error


def raising(error):
    def command(*arguments, **more):
        raise error

    return command


def failing(monkeypatch, error, *options):
    monkeypatch.setattr("preceptor.cli.train.train_file", raising(error))
    return preceptor(*options, "train", "phantom")


def test_the_users_mistakes_give_2_and_their_message_alone(monkeypatch):
    answer = failing(monkeypatch, UserError("the thing is wrong.\nDo this."))
    assert (answer.code, answer.error) == (2, "error: the thing is wrong.\nDo this.\n")


def test_our_mistakes_give_1_and_say_where_to_look(monkeypatch):
    answer = failing(monkeypatch, KeyError("boom"))
    assert answer.code == 1
    assert answer.error.startswith("error: KeyError: 'boom'\n")
    assert "preceptor --debug" in answer.error
    assert "Traceback" not in answer.error


def test_debug_shows_tracebacks(monkeypatch):
    answer = failing(monkeypatch, UserError("the thing is wrong"), "--debug")
    assert answer.code == 2
    assert "Traceback" in answer.error
    with pytest.raises(KeyError, match="boom"):
        failing(monkeypatch, KeyError("boom"), "--debug")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS])
def test_what_only_the_user_can_change_gives_2(monkeypatch, number):
    answer = failing(monkeypatch, OSError(number, os.strerror(number), "/data/runs/a"))
    assert answer.code == 2
    assert answer.error.startswith(f"error: /data/runs/a: {os.strerror(number)}; ")


def test_other_refusals_of_the_system_are_ours(monkeypatch):
    assert failing(monkeypatch, OSError(errno.EBADF, "Bad file descriptor")).code == 1


def test_ctrl_c_gives_130_without_a_traceback(monkeypatch):
    answer = failing(monkeypatch, KeyboardInterrupt())
    assert answer.code == 130
    assert "Traceback" not in answer.error


def test_a_run_that_was_stopped_gives_130_and_says_how_to_go_on(monkeypatch):
    answer = failing(monkeypatch, InterruptedRunError("stopped; the same command again goes on from there."))
    assert answer.code == 130
    assert "the same command again goes on" in answer.error


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (["--epochs", "2"], "give --set training.epochs=2"),
        (["--epochs=2"], "give --set training.epochs=2"),
        (["--training.lr", "0.1"], "give --set training.lr=0.1"),
        (["--image-size", "64"], "give --set data.image_size=64"),
        (["--seed"], "give --set seed=VALUE"),
    ],
)
def test_an_option_that_is_a_key_of_the_recipe_is_said_to_be(typed, hint):
    answer = preceptor("train", "phantom", *typed)
    assert answer.code == 2
    assert f"no such option: {typed[0].split('=')[0]}." in answer.error
    assert hint in answer.error


@pytest.mark.parametrize("command", [("train", "phantom", "--epoks", "2"), ("report", "runs", "--epochs", "2")])
def test_other_unknown_options_are_as_ever(command):
    answer = preceptor(*command)
    assert answer.code == 2
    assert "No such option" in answer.error
    assert "--set" not in answer.error
