"""The studies that are shipped: every size of each can be planned."""

from pathlib import Path

import pytest
import yaml

from preceptor.study.plan import plan
from preceptor.study.spec import load_study
from preceptor.techniques.context import Context
from preceptor.techniques.shares import student_shares

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))


def sizes():
    for path in STUDIES:
        for scale in (None, *yaml.safe_load(path.read_text()).get("scales", {})):
            yield pytest.param(path, scale, id=f"{path.stem}-{scale or 'whole'}")


@pytest.mark.parametrize(("path", "scale"), list(sizes()))
def test_a_study_can_be_planned(path, scale):
    study = load_study(path, scale)
    assert study.name == path.stem
    found = plan(study)
    assert found.notes == []
    assert found.jobs


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_published_loss_weights_exist_for_every_cell_that_asks_for_them(path):
    for job in plan(load_study(path)).jobs:
        technique = job.recipe.technique
        if getattr(technique, "weights", "given") == "published":
            shares = student_shares(Context(job.recipe, ("no", "yes"), (224, 224)), technique)
            assert all(share.alpha < 0.5 for share in shares)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_each_has_a_small_size(path):
    small = load_study(path, "small")
    assert not small.is_published_protocol
    assert len(plan(small).jobs) <= len(plan(load_study(path)).jobs)
