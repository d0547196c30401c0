"""The scripts of the page run as they stand."""

import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"


def scripts():
    """The longer examples of the page, by what they are."""
    found = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    return dict(zip(("loop", "cohort", "run"), found[1:], strict=True))


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """``ran(script)``: the names that it leaves, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(DOCS.parent / "recipes", "recipes")
    Image.new("RGB", (40, 30)).save("a.png")

    def run(script):
        names = {"__name__": "__main__"}
        exec(compile(scripts()[script], script, "exec"), names)
        return names

    return run


def test_distillation_in_a_loop_of_ones_own(ran):
    left = ran("loop")
    assert left["loss"].isfinite()
    assert not any(module._forward_hooks for model in (left["student"], left["teacher"]) for module in model.modules())


def test_a_cohort_of_ones_own_modules(ran):
    left = ran("cohort")
    names = ["A/task", "B/task", "T->A/soft_target", "T->A/fitnet@features.2", "A->B/soft_target", "B->A/soft_target"]
    assert sorted(left["terms"]) == sorted(names)
    assert [row["epoch"] for row in left["history"]] == [1, 2]
    assert {*names, "A/accuracy", "B/accuracy"} <= set(left["history"][-1])
    left["Small"]().load_state_dict(left["best"])


def test_a_run_and_what_it_learned(ran):
    left = ran("run")
    interval = left["interval"]
    assert interval.low <= interval.value <= interval.high
    assert interval.value == pytest.approx(left["accuracy"])
    assert left["logits"].shape == (1, len(left["student"].classes))
    assert list(left["table"]["file"]) == ["a.png"]
    assert left["table"]["label"][0] in left["student"].classes
    whole = sum(left["table"][f"p_{name}"][0] for name in left["student"].classes)
    assert whole == pytest.approx(1.0, abs=1e-6)
