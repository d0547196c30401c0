"""YAML that anybody may have written: refused with its line, in no time, and nothing of it hides."""

import os
import re
from pathlib import Path

import pytest

from preceptor.errors import UserError
from preceptor.recipe import load_recipe, parse_override
from preceptor.yaml_text import DEEPEST, MOST, NotYamlError, read_yaml, read_yaml_file

SOURCE = Path(__file__).parents[1] / "src" / "preceptor"


def laughs(levels):
    """Ten values, each a list of ten of the one before."""
    lines = ["o0: &o0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"o{k}: &o{k} [{', '.join([f'*o{k - 1}'] * 10)}]" for k in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {c: 2}\na: 3\n", "the key 'a' stands in line 1 and again in line 3; keep one"),
        ("a: {b: 1, b: 2}", "the key 'b' stands twice in line 1"),
        ("- x: 1\n  'x': 2", "the key 'x' stands in line 1 and again in line 2"),
        ("a: &a [*a]", "line 1 contains itself by an alias"),
        ("a: 1\nb: &b {c: {d: *b}}", "line 2 contains itself by an alias"),
        (laughs(9), f"with its aliases .* line 5 has more than {MOST:,} values"),
        ("[" * 100_000, f"line 1 is nested more than {DEEPEST} levels"),
        ("{a: " * 100_000, f"line 1 is nested more than {DEEPEST} levels"),
        ("a: 1\n" + "- " * 100 + "x", "not readable YAML|nested more"),
        ("a: 1\nb: 2020-13-45", "line 2: '2020-13-45' is no timestamp"),
        ("a: !!bool perhaps", "line 1: 'perhaps' is no bool"),
        ("a: " + "1" * 5000, "line 1: .* is no int"),
        ("a: !!python/object/apply:os.system ['true']", "not readable YAML: could not determine a constructor"),
        ("a: '\ud800'", "half a character"),
        ("x" * 2_000_001, "longer than 2,000,000 characters"),
        ("a: 1\n---\nb: 2", "expected a single document"),
    ],
    ids=range(16),
)
def test_what_no_recipe_holds_is_refused_at_once(text, message):
    with pytest.raises(UserError, match=message) as found:
        read_yaml(text, "recipe 'r.yaml'")
    assert str(found.value).startswith("recipe 'r.yaml'")


def test_what_people_write_is_read_as_ever():
    assert read_yaml("", "x") is None
    assert read_yaml("a: 1e-3\nb: [1, 2.5, yes, ~, '1']", "x") == {"a": "1e-3", "b": [1, 2.5, True, None, "1"]}
    assert read_yaml("a: &net {weights: none}\nb: *net\nc: {<<: *net, d: 1}", "x") == {
        "a": {"weights": "none"},
        "b": {"weights": "none"},
        "c": {"weights": "none", "d": 1},
    }
    assert len(read_yaml(laughs(4), "x")) == 4


def test_a_key_that_stands_twice_is_refused_in_a_recipe_and_in_a_change(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("training:\n  epochs: 1\n  lr: 0.1\n  epochs: 2\n")
    with pytest.raises(UserError, match=r"r.yaml'?: the key 'epochs' stands in line 2 and again in line 4"):
        load_recipe(recipe)
    with pytest.raises(UserError, match=r"--set training: .*the key 'lr' stands twice in line 1"):
        parse_override("training={lr: 1, lr: 2}")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "r.yaml")
    with pytest.raises(UserError, match=r"r.yaml' is a named pipe"):
        load_recipe(tmp_path / "r.yaml")
    with pytest.raises(UserError, match="is a device"):
        read_yaml_file(Path("/dev/zero"), "recipe '/dev/zero'")


def test_where_something_else_may_be_meant_no_yaml_can_be_told_apart():
    with pytest.raises(NotYamlError):
        read_yaml("[1", "x")


def test_all_yaml_is_read_through_this_door():
    others = [
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if re.search(r"yaml\.(safe_|full_|unsafe_)?load", path.read_text(encoding="utf-8"))
    ]
    assert others == []
