"""What is tried and what is said, from numbers made up by hand."""

import pytest

from preceptor.bench.advice import Change, Pace, Tried, first_thing, from_the_pace, to_try
from preceptor.bench.steps import DATA, Timed
from preceptor.recipe import changed_recipe, parse_recipe


def recipe(*changes):
    raw = {
        "task": "classification",
        "data": {"source": "phantom"},
        "networks": {"teacher": {"architecture": "resnet50"}, "student": {"architecture": "resnet18"}},
        "technique": {"name": "kd_offline"},
    }
    return changed_recipe(parse_recipe(raw).model_dump(mode="json"), changes)[0]


def timed(seconds, waiting=0.0):
    return Timed(seconds, {DATA: waiting}, 0)


def pace(read=None, *, views, waiting=0.0, steps=5):
    return Pace(
        computed=timed(3.0, waiting), read=None if read is None else timed(read), steps=steps, epochs=20, views=views
    )


def test_seconds_of_all_epochs():
    some = pace(1.0, views=8)
    assert some.seconds(keeps=False) == 5 * 20 * 3.0
    assert some.seconds(keeps=True) == 5 * (8 * 3.0 + 12 * 1.0)
    assert some.seconds(keeps=True, views=4) == 5 * (4 * 3.0 + 16 * 1.0)
    assert some.seconds(keeps=True, views=30) == some.seconds(keeps=False)
    assert pace(views=8).seconds(keeps=True) == 300.0
    assert some.mostly_reads
    assert not pace(1.0, views=20).mostly_reads
    assert not pace(views=1).mostly_reads


def words(tried):
    return {one.change.words: pytest.approx(one.gain) for one in tried}


def test_reading_what_the_teacher_said_is_reckoned():
    off = recipe(("training.teacher_cache.enabled", False))
    assert words(from_the_pace(off, pace(1.0, views=8))) == {"training.teacher_cache.enabled=true": 300 / 180}
    assert words(from_the_pace(recipe(), pace(1.0, views=20))) == {"augment.views=8": 300 / 180}
    # nothing to save: views that come again already, no repeated view to keep, images never changed, no teacher
    assert from_the_pace(recipe(("augment.views", 8)), pace(1.0, views=8)) == []
    assert from_the_pace(off, pace(1.0, views=20)) == []
    still = recipe(("augment.flip_horizontal", False), ("augment.flip_vertical", False))
    assert from_the_pace(still, pace(1.0, views=20)) == []
    assert from_the_pace(recipe(), pace(views=20)) == []


def tries(chosen, some, *, threads=2, cores=2):
    return [change.words for change in to_try(chosen.training, some, threads=threads, cores=cores)]


def test_only_what_can_help_is_tried():
    measured = "training.placement=measured"
    half, double = f"{measured} training.precision=bf16-mixed", "training.batch_size=16"
    assert tries(recipe(), pace(views=20)) == [measured, half, double]
    assert tries(recipe(), pace(views=20, waiting=0.06))[0] == "training.workers=2"
    assert "training.threads=2" in tries(recipe(), pace(views=20), threads=1)
    assert double not in tries(recipe(), pace(views=20, steps=2))
    lower = recipe(("training.precision", "bf16-mixed"), ("training.placement", "measured"))
    assert tries(lower, pace(views=20)) == [double]


def test_a_layout_in_the_recipe_gives_way_to_the_measured_one():
    chosen = recipe(("training.channels_last", True))
    for change in to_try(chosen.training, pace(views=20), threads=2, cores=2):
        changed_recipe(chosen.model_dump(mode="json"), change.settings)
    assert tries(chosen, pace(views=20))[0] == "training.channels_last=false training.placement=measured"


def test_what_is_trained_stays_where_something_else_helps():
    exact, larger = Change((("a", 1),), "rounding", "it is faster"), Change((("b", True),), "training", "it is larger")
    said = first_thing([Tried(larger, 3.0), Tried(exact, 1.2)])
    assert said == "a=1: 1.20 times as fast; it is faster; sums are rounded differently"
    said = first_thing([Tried(larger, 3.0), Tried(exact, 1.05)])
    assert said.startswith("b=true: 3.00 times as fast")
    assert "compare the scores" in said
    assert first_thing([Tried(exact, 1.05), Tried(larger, 0.9)]).startswith("nothing that was tried")
    assert first_thing([]).startswith("nothing that was tried")
