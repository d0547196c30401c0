"""Figures and numbers of an analysis, sealed; damage takes only the file that it hits."""

import json
import math

import pytest

from preceptor.errors import UserError
from preceptor.runs.analysis import (
    Analysis,
    Gradients,
    Pull,
    read_analysis,
    write_alignment,
    write_gradients,
    write_index,
    write_latency,
)

GRADIENTS = Gradients("main", {"S1": {"S1/task": Pull(2.0, 1.0, 1.0)}}, {"T": "frozen"})


@pytest.fixture
def run(tmp_path):
    write_latency(tmp_path, {"S1": {"median_ms": 2.0, "low_ms": 1.0}})
    write_gradients(tmp_path, GRADIENTS)
    write_alignment(tmp_path, {"S1:S2": {"cka": [[1.0, math.nan]]}})
    write_index(tmp_path, [{"title": "t", "file": "x.png", "caption": "c"}])
    (tmp_path / "analysis" / "x.png").write_bytes(b"x")
    return tmp_path


def test_what_is_written_comes_back(run):
    found = read_analysis(run)
    assert found.latency == {"S1": 2.0}
    assert found.gradients == GRADIENTS
    assert [(one.title, one.file, one.caption) for one in found.figures] == [("t", run / "analysis" / "x.png", "c")]
    assert found.damaged == ()
    assert json.loads((run / "analysis" / "cka.json").read_text())["S1:S2"]["cka"] == [[1.0, None]]


def test_nothing_is_there_before_it_was_made(tmp_path):
    assert read_analysis(tmp_path) == Analysis()


def test_what_older_versions_left_is_read(run):
    """Without seals, and the index as a list."""
    folder = run / "analysis"
    (folder / "index.json").write_text(json.dumps([{"title": "t", "file": "x.png"}]))
    (folder / "latency.json").write_text(json.dumps({"S1": {"median_ms": 3.0}}))
    (folder / "gradients.json").write_text(json.dumps({"networks": {}, "left_out": {"S1": "why"}}))
    found = read_analysis(run)
    assert found.damaged == ()
    assert (len(found.figures), found.latency) == (1, {"S1": 3.0})
    assert found.gradients == Gradients(left_out={"S1": "why"})


def test_a_gradient_that_is_no_number_comes_back(run):
    write_gradients(run, Gradients("main", {"S1": {"S1/task": Pull(math.nan, math.nan, None)}}))
    (pull,) = read_analysis(run).gradients.networks["S1"].values()
    assert math.isnan(pull.norm)
    assert pull.cosine is None


@pytest.mark.parametrize("name", ["index.json", "latency.json", "gradients.json"])
def test_a_changed_file_is_named_and_the_others_are_read(run, name):
    path = run / "analysis" / name
    path.write_text(path.read_text().replace("S1", "S2").replace("x.png", "y.png"))
    found = read_analysis(run)
    assert [error.path for error in found.damaged] == [path]
    assert "Delete it; `preceptor analyse" in str(found.damaged[0])
    there = {"index.json": found.figures, "latency.json": found.latency, "gradients.json": found.gradients}
    assert [bool(value) for key, value in there.items()] == [key != name for key in there]


def test_an_index_leads_nowhere_else(run):
    write_index(run, [{"title": "t", "file": "../recipe.yaml", "caption": "c"}])
    with pytest.raises(UserError, match="leads out of it"):
        read_analysis(run)
