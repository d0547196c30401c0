"""A study that says that it is a paper's protocol is held to it."""

from pathlib import Path

import pytest

from preceptor.errors import UserError
from preceptor.protocols import protocol_of, protocols
from preceptor.study.grid import recipes_of
from preceptor.study.protocol import require_protocol
from preceptor.study.spec import load_study

STUDIES = Path(__file__).parents[2] / "studies"


def checked(study):
    require_protocol(study, (recipe for _, recipe in recipes_of(study)[0]))


def changed(name, **changes):
    """The shipped study with other values, which still says that it is published."""
    study = load_study(STUDIES / f"{name}.yaml")
    return study.model_copy(update={"set": {**study.set, **changes}, "seeds": study.seeds[:1]})


@pytest.mark.parametrize("name", ["learning_styles_t03", "learning_styles_t14", "multi_part"])
def test_shipped_studies_do_what_their_papers_state(name):
    checked(changed(name))


@pytest.mark.parametrize(
    ("name", "key", "value", "words"),
    [
        ("learning_styles_t03", "data.subset", None, "data.subset"),
        ("learning_styles_t03", "training.batch_size", 64, "training.batch_size is 64, the paper states 8"),
        ("learning_styles_t14", "training.balance", None, "the paper states both"),
        ("learning_styles_t15", "data.image_size", 256, "data.image_size is 256, the paper states 224"),
        ("multi_part", "technique.every", 10, "technique.every is 10, the paper states 5"),
    ],
)
def test_one_that_departs_is_refused_unless_it_says_so(name, key, value, words):
    study = changed(name, **{key: value})
    with pytest.raises(UserError, match=words):
        checked(study)
    checked(study.model_copy(update={"protocol": "own"}))


def test_every_study_that_says_published_is_of_a_known_paper():
    names = {path.stem for path in STUDIES.glob("*.yaml") if "protocol: published" in path.read_text(encoding="utf-8")}
    assert names == {name for one in protocols() for name in one.studies}
    assert protocol_of("phantom") is None


def test_counted_costs_stand_beside_the_printed_ones():
    costs = protocol_of("learning_styles_t03").costs
    assert (costs.saved, round(costs.ours.saved, 1)) == (15, 4.9)
    assert round(protocol_of("learning_styles_t08").costs.ours.saved, 1) == 72.7
    assert round(protocol_of("learning_styles_t04").costs.ours.saved, 1) == 11.9
    assert round(protocol_of("learning_styles_t09").costs.ours.saved, 1) == 48.9
