"""The command, from folders to files."""

import html
import re
import time
from pathlib import Path

import pytest

from preceptor.runs.finished import read_finished, write_result

from ..command import preceptor
from .folders import ALONE, TEACHER, make_run, make_study, technique


def test_a_run_has_a_report(tmp_path):
    make_run(tmp_path / "one", technique("kd_ml", "diverse"))
    answer = preceptor("report", tmp_path / "one")
    assert answer.code == 0, answer.error
    assert "report.html" in answer.out
    page = (tmp_path / "one" / "report.html").read_text()
    assert "Nothing can be said about gains" in page
    for table in ("results", "scores", "runs", "costs"):
        for ending in ("csv", "md", "tex"):
            assert (tmp_path / "one" / "tables" / f"made-{table}.{ending}").exists()


def test_the_page_asks_no_network(tmp_path):
    make_run(tmp_path / "a", ALONE)
    make_run(tmp_path / "b", technique("kd_offline"))
    preceptor("report", tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)[^"']*""", page) == []
    assert "@import" not in page
    assert "url(" not in page
    assert "fetch(" not in page


def test_commands_can_be_pasted_whatever_a_folder_is_called(tmp_path):
    folder = tmp_path / "my runs" / "a"
    make_run(folder, ALONE)
    preceptor("report", folder)
    page = html.unescape((folder / "report.html").read_text())
    assert "preceptor train a/recipe.yaml --out a" in page
    preceptor("report", folder.parent)
    page = html.unescape((folder.parent / "report.html").read_text())
    assert "preceptor train 'my runs/a/recipe.yaml' --out 'my runs/a'" in page


def test_several_folders_want_a_place(tmp_path):
    make_run(tmp_path / "a", ALONE)
    make_run(tmp_path / "b", technique("ml"))
    answer = preceptor("report", tmp_path / "a", tmp_path / "b")
    assert answer.code == 2
    assert "--out" in answer.error
    assert preceptor("report", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "both").code == 0
    assert "ml" in (tmp_path / "both" / "report.html").read_text()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("result.json", "{", "result.json: is empty, cut short or no JSON"),
        ("recipe.yaml", "a: [", "recipe.yaml is not readable YAML"),
        ("recipe.yaml", "a: 1", "names no task"),
        ("split.csv", "name\n1\n", "split.csv: column 'id' is missing"),
        ("predictions/test.csv", "id,label,network,p_0,p_1\na,0,S1,.5,.5\nb,1,S2,.5,.5\n", "different samples"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    make_run(tmp_path / "a", ALONE)
    (tmp_path / "a" / name).write_text(content)
    answer = preceptor("report", tmp_path)
    assert answer.code == 2
    assert message in answer.error


@pytest.mark.parametrize("name", ["result.json", "recipe.yaml", "predictions/test.csv"])
def test_a_damaged_run_is_left_out_and_said_to_be(tmp_path, name):
    make_run(tmp_path / "whole", ALONE)
    damaged = make_run(tmp_path / "hit", technique("ml"))
    write_result(damaged, read_finished(damaged).result)
    (damaged / name).write_bytes((damaged / name).read_bytes()[:-3])
    answer = preceptor("report", tmp_path)
    assert answer.code == 0
    text = " ".join(answer.out.split())
    assert "note: hit is left out" in text
    assert name in text
    assert "1 of 1 finished runs" in text
    page = (tmp_path / "report.html").read_text()
    assert "whole" in page
    assert Path(name).name in page


def test_a_folder_without_runs_is_the_users_mistake(tmp_path):
    answer = preceptor("report", tmp_path)
    assert answer.code == 2
    assert "no run in" in answer.error
    assert "is no folder" in preceptor("report", tmp_path / "none").error


@pytest.mark.slow
def test_a_hundred_runs_take_seconds(tmp_path):
    """33 methods, a baseline and a teacher with 3 seeds; computing time, which other processes cannot stretch."""
    for seed in range(3):
        make_run(tmp_path / f"teacher-{seed}", TEACHER, seed=seed, skill=0.9)
        make_run(tmp_path / f"alone-{seed}", ALONE, seed=seed, samples=300)
        for number in range(32):
            chosen = technique("kd_offline") | {"temperature": 1.0 + number}
            make_run(tmp_path / f"{number}-{seed}", chosen, seed=seed, skill=0.6 + 0.005 * number, samples=300)
    before = time.process_time()
    assert preceptor("report", tmp_path).code == 0
    assert time.process_time() - before < 25
    page = (tmp_path / "report.html").read_text()
    assert "102 finished runs" in page
    assert "of 32 methods" in page or "not distinguishable from it" in page


def test_an_unfinished_study_shows_what_failed_and_what_is_missing(tmp_path):
    run = {"chosen": technique("ml")}
    study = make_study(
        tmp_path / "study",
        [
            ("baseline", {}, 0, "done", None, {"chosen": ALONE}),
            ("run", {"technique": "ml", "strategy": "predictions"}, 0, "done", None, run),
            ("run", {"technique": "ml", "strategy": "predictions"}, 1, "running", None, run),
            ("run", {"technique": "ml", "strategy": "diverse"}, 0, "failed", "loss S1/task is <b>no</b> number", None),
            ("run", {"technique": "ml", "strategy": "diverse"}, 1, "waiting", None, None),
        ],
    )
    assert preceptor("report", study).code == 0
    page = (study / "report.html").read_text()
    assert "2 of 5 runs are finished (1 running, 1 waiting, 1 failed)" in page
    assert "loss S1/task is &lt;b&gt;no&lt;/b&gt; number" in page
    assert "1 of 2 seeds, 1 running" in page


def test_a_small_study_says_everywhere_what_it_is_not(tmp_path):
    study = make_study(
        tmp_path / "study",
        [("baseline", {}, 0, "done", None, {"chosen": ALONE})],
        scale="small",
    )
    preceptor("report", study)
    words = "this is NOT the published protocol"
    assert (study / "report.html").read_text().count(words) > 3
    for table in (study / "tables").iterdir():
        assert words in table.read_text(), table.name


def test_studies_and_runs_on_one_page(tmp_path):
    """Each has its place, its tables and, where it is small, its own words."""
    make_study(tmp_path / "small", [("baseline", {}, 0, "done", None, {"chosen": ALONE})], scale="small")
    make_run(tmp_path / "loose", technique("ml"), recipe={"name": ""})
    assert preceptor("report", tmp_path, "--out", tmp_path / "out").code == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "In part small scale" in page
    assert page.count('class="own banner"') == 1
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(set(ids)) == len(ids)
    small, loose = (
        (tmp_path / "out" / "tables" / f"{name}-results.md").read_text() for name in ("made-study", "loose")
    )
    assert "NOT the published protocol" in small
    assert "NOT the published protocol" not in loose
