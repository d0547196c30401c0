import json

import pytest
from tests.runs.results import COMPLETE

from preceptor.errors import UserError
from preceptor.study.board import Board, is_finished, layout_of
from preceptor.study.plan import plan_study
from preceptor.study_index import read_index

from .studies import study


@pytest.fixture
def board(tmp_path):
    made = study(title="A tiny study")
    found = Board(made, plan_study(made).jobs, tmp_path)
    found.begin()
    return found


def finish(job, out, text=None):
    job.folder(out).mkdir(parents=True)
    (job.folder(out) / "recipe.yaml").write_text(text or job.recipe_in(out).to_yaml())
    (job.folder(out) / "result.json").write_text(json.dumps(COMPLETE))


def test_the_index_tells_everything_that_a_reader_wants(board):
    index, is_sealed = read_index(board.out)
    assert is_sealed
    assert {key: index[key] for key in ("name", "title", "scale", "task", "published_protocol", "published")} == {
        "name": "tiny",
        "title": "A tiny study",
        "scale": None,
        "task": "classification",
        "published_protocol": False,
        "published": None,
    }
    job = board.jobs[index["jobs"][2]["id"]]
    assert index["jobs"][2] == {
        "id": job.id,
        "folder": f"runs/{job.id}",
        "kind": "run",
        "cell": {"technique": "ml", "strategy": "predictions"},
        "seed": 0,
        "fold": None,
        "status": "waiting",
        "error": None,
        "attempts": 0,
        "reused_from": None,
    }


def test_only_jobs_whose_teacher_and_baseline_are_over_are_ready(board):
    teacher, baseline, *_ = board.jobs
    assert [job.id for job in board.ready()] == [teacher, baseline]
    board.started([baseline])
    board.failed(baseline, "boom")
    assert [job.id.partition("-seed")[0] for job in board.ready()] == ["teacher", "ml-predictions", "ml-features"]
    board.done([teacher])
    assert len(board.ready()) == 4


def test_published_figures_lie_in_the_study_folder(tmp_path):
    (tmp_path / "table.csv").write_text("table,mean\n3,94.25\n")
    made = study(published={"file": str(tmp_path / "table.csv"), "table": 3})
    board = Board(made, plan_study(made).jobs, tmp_path / "out")
    board.begin()
    assert read_index(board.out)[0]["published"] == {"file": "published.csv", "table": "3"}
    assert (board.out / "published.csv").read_text() == "table,mean\n3,94.25\n"


def test_a_run_is_finished_by_exactly_its_recipe_wherever_its_teacher_lay(board, tmp_path):
    job = next(job for job in board.jobs.values() if job.teachers)
    assert not is_finished(job, board.out)
    elsewhere = job.recipe_in(tmp_path / "before_it_was_moved").to_yaml()
    finish(job, board.out, elsewhere)
    assert is_finished(job, board.out)
    file = job.folder(board.out) / "recipe.yaml"
    file.write_text(elsewhere.replace(job.teachers[0], "another_teacher"))
    assert not is_finished(job, board.out)
    file.write_text("not: a recipe")
    assert not is_finished(job, board.out)


def laid_out(**changes):
    made = study(**changes)
    return layout_of(made, plan_study(made).jobs)


def test_the_layout_is_filled_in():
    assert laid_out() == {
        "rows": ["technique"],
        "columns": ["strategy"],
        "networks": ["S1", "S2", "ensemble"],
        "metrics": ["accuracy"],
    }
    given = {"rows": ["strategy"], "networks": ["S1"], "metrics": ["f1"]}
    assert laid_out(layout=given) == {**given, "columns": ["technique"]}


def test_the_index_is_json_at_any_moment(board, monkeypatch):
    """It is replaced, never rewritten: what cannot be written leaves the old one."""
    before = (board.out / "index.json").read_text()
    monkeypatch.setattr("preceptor.files.os.fsync", lambda file: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        board.started([next(iter(board.jobs))])
    assert (board.out / "index.json").read_text() == before
    json.loads(before)


@pytest.mark.parametrize("name", ["recipe.yaml", "result.json"])
def test_a_damaged_run_is_named_or_trained_anew(board, name):
    """A result that is no JSON is refused; a recipe that cannot be read is not the job's."""
    job = next(iter(board.jobs.values()))
    finish(job, board.out)
    (job.folder(board.out) / name).write_bytes(b"\xff\xfebad")
    if name == "recipe.yaml":
        assert not is_finished(job, board.out)
    else:
        with pytest.raises(UserError, match=r"result\.json: (.|\n)*Delete it"):
            is_finished(job, board.out)
