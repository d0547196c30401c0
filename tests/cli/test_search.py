import builtins

import pytest
import yaml

from preceptor.extras import install_command

from ..command import preceptor
from ..study.studies import raw


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(raw()["recipe"]))
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "what is searched over?"),
        (["--over", "training.lr"], "write it as key=a,b,c"),
        (["--over", "training.rate=1,2"], "unknown 'rate'"),
        (["--over", "training.lr=1,2", "--sampler", "gird"], "did you mean 'grid'?"),
        (["--over", "training.lr=1,2", "--set", "training.epoch=1"], "did you mean 'epochs'?"),
        (["--over", "training.lr=1,2", "--device", "gpu"], "there are auto, cpu and cuda"),
        (["--over", "training.lr=1,2", "--set", "data={source: folder, path: /nowhere}"], "/nowhere"),
        (["--over", "training.lr=1,2", "--set", "networks.student.weights=/no/weights"], "no such file or folder"),
    ],
)
def test_mistakes_are_the_users(written, tmp_path, arguments, message):
    answer = preceptor("search", written, "--out", tmp_path / "out", *arguments)
    assert answer.code == 2
    assert message in answer.error
    assert not (tmp_path / "out").exists()


def test_without_optuna_the_extra_is_named(written, tmp_path, monkeypatch):
    found = builtins.__import__

    def without_optuna(name, *more, **named):
        if name.startswith("optuna"):
            raise ImportError(name)
        return found(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without_optuna)
    answer = preceptor("search", written, "--out", tmp_path / "out", "--over", "training.lr=1e-4,1e-3")
    assert answer.code == 2
    assert install_command("search") in answer.error
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_refused(written, tmp_path):
    (tmp_path / "study.yaml").write_text("")
    answer = preceptor("search", written, "--out", tmp_path, "--over", "training.lr=1e-4,1e-3")
    assert answer.code == 2
    assert "is the folder of a study" in answer.error


@pytest.mark.slow
def test_a_real_search_writes_a_recipe_that_has_not_seen_the_test_images(written, tmp_path):
    pytest.importorskip("optuna", reason="the extra `search` is not installed")
    out = tmp_path / "out"
    search = (
        "search",
        written,
        "--over",
        "technique.alpha=0.2,0.6",
        "--sampler",
        "grid",
        "--out",
        out,
        "--device",
        "cpu",
    )
    answer = preceptor(*search)
    assert answer.code == 0
    assert "2 of 2" in answer.out
    assert f"preceptor train {out / 'best.yaml'}" in answer.out
    assert list(out.glob("trials/*/predictions/*")) == sorted(out.glob("trials/*/predictions/validation.csv"))

    again = preceptor(*search)
    assert (again.code, "trial" in again.out.replace("trials", "")) == (0, False)
