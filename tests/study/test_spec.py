import pytest
import yaml

from preceptor.errors import UserError
from preceptor.study.spec import load_study, merged, parse_study

from .studies import raw, study


@pytest.fixture
def written(tmp_path):
    def write(**changes):
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump(sort_keys=False, data=raw(**changes)))
        return path

    return write


def test_changes_are_written_as_a_list_or_as_a_mapping():
    axes = study().axes
    assert axes["technique"]["ml"] == {"technique.name": "ml"}
    assert axes["strategy"]["features"] == {"technique.strategy": "features"}


def test_a_list_of_values_varies_the_field_that_the_axis_is_named_after():
    found = study(axes={"split.train_fraction": [0.1, 1.0]}).axes
    assert found == {
        "split.train_fraction": {"0.1": {"split.train_fraction": 0.1}, "1.0": {"split.train_fraction": 1.0}}
    }


def test_what_is_written_is_read_again():
    one = study(seeds=[0, 1], threads=2, layout={"rows": ["technique"]})
    assert parse_study(yaml.safe_load(one.to_yaml())) == one


def test_a_recipe_is_named_by_its_place_beside_the_study(written, tmp_path):
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(sort_keys=False, data=raw()["recipe"]))
    assert load_study(written(recipe="base.yaml")).recipe == raw()["recipe"]


def test_a_scale_changes_what_it_names_and_adds_to_what_is_set(written):
    scales = {
        "small": {
            "set": ["training.epochs=3"],
            "seeds": [7],
            "axes": {"strategy": None, "fraction": {"tenth": ["split.train_fraction=0.1"]}},
        }
    }
    path = written(set=["training.lr=0.5"], protocol="published", scales=scales)

    whole, small = load_study(path), load_study(path, "small")

    assert (whole.scale, whole.is_published_protocol, whole.seeds) == (None, True, (0,))
    assert (small.scale, small.is_published_protocol, small.seeds) == ("small", False, (7,))
    assert list(small.axes) == ["technique", "fraction"]
    assert small.base["training"] | {"epochs": 3, "lr": 0.5} == small.base["training"]


def test_a_change_on_the_command_line_is_no_published_protocol(written):
    changed = load_study(written(protocol="published"), overrides=["training.epochs=9"])
    assert (changed.base["training"]["epochs"], changed.is_published_protocol) == (9, False)


def test_merging_leaves_the_original_alone():
    before = raw(set={"a": 1})
    merged(before, {"set": {"b": 2}, "axes": {"technique": None}})
    assert before == raw(set={"a": 1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sedes": [0]}, r"sedes: unknown 'sedes'; did you mean 'seeds'\?"),
        ({"seeds": []}, "seeds: .*at least 1 item"),
        ({"seeds": [0, 0]}, "names a seed twice"),
        ({"axes": {"technique": {}}}, "axes.technique: has no options"),
        ({"axes": {"technique": {"ml": ["technique.name"]}}}, "write it as key.key=value"),
        ({"layout": {"rows": ["tecnique"]}}, r"layout: unknown 'tecnique'; did you mean 'technique'\?"),
        ({"exclude": [{"technique": "mll"}]}, r"exclude.0.technique: unknown 'mll'; did you mean 'ml'\?"),
        ({"exclude": [{"tecnique": "ml"}]}, "exclude.0: unknown 'tecnique'"),
        ({"include": [{"cell": {"technique": "graph"}}]}, "include.0.cell: has no place on axis 'strategy'"),
        ({"published": {"file": "nowhere.csv", "table": 3}}, "there is no 'nowhere.csv'"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(UserError, match=message):
        study(**change)


def test_an_unknown_scale_is_named(written):
    with pytest.raises(UserError, match=r"--scale: unknown 'smal'; did you mean 'small'\?"):
        load_study(written(scales={"small": {}}), "smal")
    with pytest.raises(UserError, match="has no other size"):
        load_study(written(), "small")


def test_a_study_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no study .*nowhere"):
        load_study(tmp_path / "nowhere.yaml")
