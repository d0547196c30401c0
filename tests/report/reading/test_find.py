"""Which runs belong together, and what they are called."""

import json
import shutil

import pytest

from preceptor.errors import UserError
from preceptor.report.reading.find import find_studies
from preceptor.sealed import write_sealed

from ..folders import ALONE, TEACHER, make_run, make_study, technique


def titles(folder):
    return [[cell.title for cell in study.cells] for study in find_studies([folder])]


def test_loose_runs_are_told_apart_by_technique_strategy_and_losses(tmp_path):
    make_run(tmp_path / "r1", technique("kd_ml", "diverse"))
    make_run(tmp_path / "r2", technique("kd_offline", losses=[{"loss": "at"}, {"loss": "kd"}]))
    make_run(tmp_path / "r3", technique("kd_offline", losses=[{"loss": "kd"}], hint={"loss": "fitnet"}))
    make_run(tmp_path / "r4", ALONE)
    make_run(tmp_path / "r5", TEACHER)
    found = [
        "teacher alone",
        "student alone",
        "kd_ml · diverse",
        "kd_offline · at + kd",
        "kd_offline · hint fitnet + kd",
    ]
    assert titles(tmp_path) == [found]


def test_what_else_differs_becomes_a_label(tmp_path):
    for place, fraction in enumerate((0.1, 1.0)):
        make_run(tmp_path / f"r{place}", technique("ml"), recipe={"split": {"train_fraction": fraction}})
    assert titles(tmp_path) == [
        ["ml · predictions · split.train_fraction 0.1", "ml · predictions · split.train_fraction 1.0"]
    ]


def test_seeds_teachers_and_caches_make_no_other_cell(tmp_path):
    for seed in range(3):
        chosen = technique("kd_offline", teacher=f"/runs/teacher-{seed}")
        make_run(tmp_path / f"r{seed}", chosen, seed=seed)
    (study,) = find_studies([tmp_path])
    assert [sorted(cell.runs) for cell in study.cells] == [[0, 1, 2]]


def test_the_same_run_twice_is_not_two_seeds(tmp_path):
    make_run(tmp_path / "first", technique("ml"))
    make_run(tmp_path / "second", technique("ml"))
    assert titles(tmp_path) == [["ml · predictions · first", "ml · predictions · second"]]


def test_runs_on_other_data_stand_in_another_table(tmp_path):
    make_run(tmp_path / "a", ALONE)
    make_run(tmp_path / "b", ALONE, recipe={"data": {"source": "lgg", "path": "/data/lgg"}})
    make_run(tmp_path / "c", ALONE, task="segmentation")
    assert len(find_studies([tmp_path])) == 3


def test_a_study_holds_its_runs_and_nothing_else(tmp_path):
    run = {"chosen": technique("ml")}
    jobs = [("run", {"technique": "ml", "strategy": "predictions"}, seed, "done", None, run) for seed in range(2)]
    study = make_study(tmp_path / "study", jobs)
    make_run(study / "runs" / "left-by-an-older-recipe", technique("kd_ml"))
    make_run(tmp_path / "loose", technique("kd_ml"))
    first, *others = find_studies([tmp_path])
    assert (first.title, len(first.finished)) == ("A study made by hand", 2)
    beside, loose = sorted(others, key=lambda found: found.jobs[0].name, reverse=True)
    assert [job.name for job in beside.jobs] == ["study/runs/left-by-an-older-recipe"]
    assert "runs in study that are not of its study" in beside.title
    assert [job.name for job in loose.jobs] == ["loose"]


def test_a_study_hides_no_run_in_its_folder(tmp_path):
    """A study that has only begun, in the folder where runs of one's own lie already."""
    make_run(tmp_path / "kd_ml-mine", technique("kd_ml"))
    make_run(tmp_path / "deeper" / "ml-mine", technique("ml"))
    make_study(tmp_path, [("baseline", {}, 0, "waiting", None, None)])
    study, beside = find_studies([tmp_path])
    assert (study.title, len(study.finished)) == ("A study made by hand", 0)
    assert [job.name for job in beside.jobs] == ["deeper/ml-mine", "kd_ml-mine"]
    assert len(beside.finished) == 2


def test_what_runs_that_train_as_one_share_is_no_run(tmp_path):
    study = make_study(tmp_path, [("baseline", {}, 0, "done", None, {"chosen": ALONE})])
    make_run(study / "together" / "of-two", technique("ml"), done=False)
    (study / "together" / "of-two" / "runs.yaml").write_text("{}")
    assert len(find_studies([study])) == 1


def test_a_flipped_bit_in_an_index_is_noticed(tmp_path):
    study = make_study(tmp_path, [("baseline", {}, 0, "done", None, {"chosen": ALONE})])
    index = study / "index.json"
    told = []
    find_studies([study], told.append)
    older = f"{index} is of an older version and has no checksum: it is read as it is"
    assert told.count(older) == 1
    write_sealed(index, json.loads(index.read_text()))
    find_studies([study], told.append)
    assert told.count(older) == 1
    index.write_text(index.read_text().replace("A study made by hand", "A study made by hanf"))
    with pytest.raises(UserError, match=r"was changed or damaged .*\n.*writes the index anew"):
        find_studies([study])


def test_the_folder_knows_better_than_an_index_whose_writer_was_killed(tmp_path):
    study = make_study(tmp_path, [("baseline", {}, 0, "done", None, {"chosen": ALONE})])
    index = json.loads((study / "index.json").read_text())
    index["jobs"][0]["status"] = "running"
    (study / "index.json").write_text(json.dumps(index))
    assert find_studies([study])[0].jobs[0].status == "done"


def test_a_run_folder_that_vanished_is_missing(tmp_path):
    study = make_study(tmp_path, [("baseline", {}, 0, "running", None, {"chosen": ALONE})])
    shutil.rmtree(study / "runs")
    (job,) = find_studies([study])[0].jobs
    assert (job.status, job.run) == ("running", None)


def test_a_line_that_is_still_being_written_is_left_out(tmp_path):
    run = make_run(tmp_path / "a", technique("ml"), done=False)
    with (run / "metrics.csv").open("a") as file:
        file.write("main,4,S1,valid")
    (study,) = find_studies([tmp_path])
    table = study.jobs[0].run.metrics
    assert table["epoch"].max() == 3
    assert study.jobs[0].status == "unfinished"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": None}, "no index of a study"),
        ({"jobs": [{"id": "a"}]}, "no index of a study"),
        (None, "is empty, cut short or no JSON"),
    ],
)
def test_a_damaged_index_is_named(tmp_path, change, message):
    study = make_study(tmp_path, [("baseline", {}, 0, "done", None, {"chosen": ALONE})])
    index = json.loads((study / "index.json").read_text())
    (study / "index.json").write_text("{" if change is None else json.dumps({**index, **change}))
    with pytest.raises(UserError, match=message):
        find_studies([study])


def test_a_run_given_twice_is_read_once(tmp_path):
    run = make_run(tmp_path / "a", ALONE)
    (study,) = find_studies([run, tmp_path])
    assert len(study.jobs) == 1


def test_options_that_have_come_since_make_no_other_cell(tmp_path):
    """An older recipe lacks a field that a newer one writes with its default."""
    make_run(tmp_path / "older", technique("ml"), seed=0)
    make_run(tmp_path / "newer", technique("ml", sequential=False, hint=None), seed=1)
    assert titles(tmp_path) == [["ml · predictions"]]


def test_a_recipe_of_another_version_is_read_as_it_is(tmp_path):
    make_run(tmp_path / "a", {"name": "from_the_future", "strategy": "clever", "new_option": 3})
    assert titles(tmp_path) == [["from_the_future · clever"]]
