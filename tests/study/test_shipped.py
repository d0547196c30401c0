"""The studies that are shipped: every size of each can be planned."""

import csv
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import yaml

from preceptor.study.board import layout_of
from preceptor.study.plan import plan_study
from preceptor.study.search import Search, settings_of
from preceptor.study.space import parse_over
from preceptor.study.spec import load_study, merged, parse_study
from preceptor.yaml_text import read_mapping

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))


@cache
def planned(path, scale=None):
    """A shipped study of a size, with its plan, made once in a process."""
    study = load_study(path, scale)
    return study, plan_study(study)


def sizes():
    for path in STUDIES:
        for scale in (None, *yaml.safe_load(path.read_text()).get("scales", {})):
            yield pytest.param(path, scale, id=f"{path.stem}-{scale or 'whole'}")


@pytest.mark.parametrize(("path", "scale"), list(sizes()))
def test_a_study_can_be_planned(path, scale):
    study, found = planned(path, scale)
    assert study.name == path.stem
    assert found.notes == []
    assert found.jobs


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_published_loss_weights_exist_for_every_cell_that_asks_for_them(path):
    for job in planned(path)[1].jobs:
        technique = job.recipe.technique
        if getattr(technique, "weights", "given") == "published":
            shares = technique.shares(job.recipe.cast())
            assert all(share.alpha < 0.5 for share in shares)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_each_has_a_small_size(path):
    small, plan = planned(path, "small")
    assert not small.is_published_protocol
    runs, of_whole = ([job for job in one.jobs if job.kind == "run"] for one in (plan, planned(path)[1]))
    assert len(runs) <= len(of_whole)


def commands(start):
    page = (STUDIES[0].parents[1] / "docs" / "studies.md").read_text(encoding="utf-8")
    return [shlex.split(line, comments=True) for line in page.splitlines() if line.startswith(start)]


def test_the_example_of_the_page_is_a_study():
    page = (STUDIES[0].parents[1] / "docs" / "studies.md").read_text(encoding="utf-8")
    raw = yaml.safe_load(re.search(r"```yaml\n(.*?)```", page, re.DOTALL).group(1))
    small = merged({key: value for key, value in raw.items() if key != "scales"}, raw["scales"]["small"])
    for one in (raw, small):
        one = {key: value for key, value in one.items() if key != "scales"}
        recipe = yaml.safe_load((STUDIES[0].parents[1] / "recipes" / "crc_small.yaml").read_text())
        assert plan_study(parse_study({**one, "recipe": recipe})).jobs


@pytest.mark.parametrize("words", commands("preceptor study"), ids=lambda words: words[2])
def test_studies_of_the_page_are_shipped(words):
    assert STUDIES[0].parents[1] / words[2] in STUDIES


@pytest.mark.parametrize("words", commands("preceptor search"), ids=lambda words: words[4])
def test_searches_of_the_page_can_be_done(words, tmp_path):
    raw = read_mapping(STUDIES[0].parents[1] / words[2], "recipe")
    overs = [parse_over(words[at + 1]) for at, word in enumerate(words) if word == "--over"]
    sampler = "grid" if "grid" in words else "tpe"
    search = Search(raw, overs, tmp_path, sampler)
    for settings in search.grid() if sampler == "grid" else []:
        recipe = search.recipe(settings_of(search, settings))
        for share in recipe.technique.shares(recipe.cast()):
            assert share.alpha + share.beta + share.gamma == pytest.approx(1)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_published_figure_has_one_place(path):
    study, plan = planned(path)
    if study.published is None:
        return
    cells = {tuple(job.cell.items()) for job in plan.jobs if job.kind == "run"}
    layout = layout_of(study, plan_study(study).jobs)
    metrics = {name.removeprefix("fidelity.").replace("agreement", "accuracy") for name in layout["metrics"]}
    with Path(study.published.file).open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["table"] == study.published.table]
    task = plan_study(study).jobs[0].recipe.task
    rows = [row for row in rows if row["task"] == task]
    assert rows
    for row in rows:
        assert row["metric"] in metrics
        assert row["network"] in layout["networks"]
        alone = "baseline" in (row["technique"], row["method"])
        fitting = [cell for cell in cells if all(row[axis] == option for axis, option in cell)]
        assert len(fitting) == (0 if alone else 1)
