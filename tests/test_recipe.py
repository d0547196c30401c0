from pathlib import Path

import pytest
import yaml

from preceptor.errors import UserError
from preceptor.recipe import load_recipe, parse_override, parse_recipe

SMALL = {"architecture": "resnet10t", "weights": "none"}
BASE = {
    "task": "classification",
    "data": {"source": "phantom"},
    "networks": {"teacher": SMALL, "student": SMALL},
    "technique": {"name": "kd_ml", "strategy": "diverse"},
}
EDGES = "technique.edges=[{source: T, target: S1, loss: kd}]"
RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(BASE))
    return path


def test_what_is_written_is_read_again():
    recipe = parse_recipe(BASE)
    assert parse_recipe(yaml.safe_load(recipe.to_yaml())) == recipe


def test_a_recipe_bears_a_version_and_one_of_another_is_refused():
    assert yaml.safe_load(parse_recipe(BASE).to_yaml())["version"] == 1
    with pytest.raises(
        UserError, match="version: this preceptor reads recipes of version 1; update it for one of version 2"
    ):
        parse_recipe(BASE | {"version": 2})


def test_overrides_reach_any_depth(written):
    recipe, notes = load_recipe(written, ["training.epochs=3", "networks.student.options={drop_rate: 0.1}"])
    assert recipe.training.epochs == 3
    assert recipe.networks.peers["S1"].options == {"drop_rate": 0.1}
    assert notes == []


def test_options_that_a_new_technique_does_not_have_are_left_out_and_said(written):
    recipe, notes = load_recipe(written, ["technique.name=graph", EDGES])
    assert recipe.technique.name == "graph"
    assert notes == ["technique.strategy of the recipe is no option of graph: left out"]


def test_an_option_given_for_the_new_technique_is_not_left_out(written):
    with pytest.raises(UserError, match="strategy"):
        load_recipe(written, ["technique.name=graph", EDGES, "technique.strategy=features"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trainin": {}}, r"trainin: unknown 'trainin'; did you mean 'training'\?"),
        ({"training": {"epoch": 3}}, r"training.epoch: unknown 'epoch'; did you mean 'epochs'\?"),
        ({"training": {"epochs": "many"}}, r"training.epochs: .*integer.*'many'"),
        ({"training": {"lr": -1}}, r"training.lr: .*greater than 0.*-1"),
        ({"technique": {"name": "kdml"}}, r"technique.name: unknown 'kdml'; did you mean 'kd_ml'\?"),
        ({"technique": {"name": "kd_ml", "temprature": 3}}, r"did you mean 'temperature'\?"),
        ({"technique": {"name": "ml"}, "networks": {"student": SMALL, "count": 1}}, "at least two students"),
        ({"networks": {"student": SMALL}}, "wants `networks.teacher`"),
        ({"networks": {"student": SMALL, "students": [SMALL]}}, "either `student`"),
        ({"teacher_training": {"epoch": 3}}, "teacher_training: unknown 'epoch'; did you mean 'epochs'"),
        ({"teacher_training": {"threads": 2}}, "threads is for the whole run"),
        ({"networks": {"teacher": SMALL, "student": SMALL, "count": 1}}, "kd_ml wants at least two students"),
        ({"split": {"shots": 5, "train_fraction": 0.5}}, "shots and train_fraction both take a part"),
        ({"split": {"shots_seed": 1}}, "shots_seed: there is nothing to draw; give `shots` or `train_fraction`"),
        ({"split": {"shots": 0}}, "split.shots: .*greater than 0"),
        ({"data": {"source": "x", "channels": 17}}, "data.channels: .*less than or equal to 16"),
        (
            {"data": {"source": "x", "channels": 1}, "augment": {"stain": 0.1}},
            "augment.stain: changes red, green and blue",
        ),
        ({"data": {"source": "x", "channels": 4}, "augment": {"colour": 0.1}}, "augment.colour: .*data.channels is 4"),
        ({"data": {"source": "x", "depth": 16}, "augment": {"stain": 0.1}}, "augment.stain: changes pixels of 8 bits"),
        (
            {
                "data": {"source": "x", "channels": 1},
                "technique": {"name": "ml"},
                "networks": {"student": {**SMALL, "mean": [0.5, 0.5, 0.5]}},
            },
            "mean of .* has 3 numbers: data.channels=1 wants one each",
        ),
        ({"technique": {"name": "ml", "snapshots_every": 2}}, "snapshots_every: is for a teacher alone"),
        ({"training": {"threads": 100_000}}, "training.threads: .*less than or equal to 1024, got 100000"),
        ({"training": {"workers": 100_000}}, "training.workers: .*less than or equal to 256"),
        ({"training": {"epochs": 10**30}}, "training.epochs: .*less than or equal to 1000000"),
        ({"training": {"batch_size": 10**12}}, "training.batch_size: .*less than or equal to 1000000"),
        ({"training": {"patience": 10**30}}, "training.patience: .*less than or equal to 1000000"),
        ({"teacher_training": {"epochs": 10**30}}, "epochs: .*less than or equal to 1000000"),
        ({"data": {"source": "phantom", "image_size": 10**6}}, "data.image_size.*less than or equal to 32768"),
        ({"data": {"source": "phantom", "image_size": [32, -5]}}, "data.image_size.*greater than or equal to 4"),
        ({"data": {"source": "phantom", "tile": {"size": 10**6}}}, "data.tile.size: .*less than or equal to 32768"),
        ({"networks": {"teacher": SMALL, "student": SMALL, "count": 10**9}}, "networks.count: .*equal to 100"),
        ({"split": {"folds": 10**9}}, "split.folds: .*less than or equal to 1000"),
        ({"technique": {"name": "multi_part", "every": 10**30}}, "technique.every: .*equal to 1000000"),
        ({"technique": {"name": "graft", "chain_epochs": 10**30}}, "technique.chain_epochs: .*equal to 1000000"),
        ({"training": {"monitor": "iou"}}, "training.monitor: classification has accuracy, f1, auroc"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(UserError, match=message):
        parse_recipe({**BASE, **change})


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no recipe"):
        load_recipe(tmp_path / "absent.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1")
    with pytest.raises(UserError, match="not readable YAML"):
        load_recipe(tmp_path / "broken.yaml")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("name", ["baseline", "kd_offline", "kd_online", "ml", "kd_ml"])
@pytest.mark.parametrize("strategy", ["predictions", "features", "diverse"])
def test_every_cell_runs_from_every_shipped_recipe_by_set(path, name, strategy):
    changes = [f"technique.name={name}", f"technique.strategy={strategy}", "networks.count=2"]
    recipe, _ = load_recipe(path, changes)
    assert recipe.technique.name == name


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_can_be_read(path):
    assert load_recipe(path)[0].name == path.stem


def test_the_published_setting_of_multi_part():
    recipe, _ = load_recipe(RECIPES[0].with_name("multi_part.yaml"))
    technique, training = recipe.technique, recipe.training
    assert (technique.every, technique.anchors, technique.weight, technique.temperature) == (5, "equal", 0.5, 5.0)
    assert (training.epochs, training.batch_size, training.optimizer, training.lr) == (50, 64, "adam", 1e-3)
    assert (training.schedule, training.step_epochs, training.decay) == ("step", 5, 0.5)
    assert recipe.teacher_stage_training == training
    assert recipe.split.fractions == (0.64, 0.16, 0.20)
    assert (recipe.augment.flip_horizontal, recipe.augment.flip_vertical) == (True, False)
    assert (recipe.networks.teacher.weights, recipe.networks.peers["S1"].weights) == ("imagenet", "none")


EDGE = {"source": "S1", "target": "S1", "loss": "kd"}
INFINITE, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("training.lr", INFINITE, r"training\.lr: should be a finite number, got inf"),
        ("training.warmup_epochs", INFINITE, r"warmup_epochs: should be a finite number"),
        ("teacher_training.lr", INFINITE, r"teacher_training\.lr: should be a finite number"),
        ("teacher_training.weight_decay", NAN, r"weight_decay: should be .*got nan"),
        ("technique.temperature", INFINITE, r"technique\.temperature: should be a finite number"),
        ("technique.temperature", 1e-30, r"technique\.temperature: should be greater than or equal to 0\.01"),
        ("technique.alpha", NAN, r"technique\.alpha.*: should be a finite number, got nan"),
        ("technique.alpha", [0.1, NAN], r"technique\.alpha.*1: should be a finite number, got nan"),
        ("networks.student.std", [0, 0, 0], r"networks\.student\.std\.0: should be greater than .*got 0"),
        ("networks.student.mean", [INFINITE, 0, 0], r"networks\.student\.mean\.0: should be a finite number"),
        ("networks.student.mean", [123.7, 116.3, 103.5], r"mean\.0: should be less than or equal to 1, got 123\.7"),
        ("networks.student.options", {"a": [{"b": NAN}]}, r"options\.a\.0\.b: should be a finite number, got nan"),
        ("data.options", {"difficulty": INFINITE}, r"options\.difficulty: should be a finite number"),
        ("technique", {"name": "graph", "edges": []}, r"edges: there is none, so nobody would teach anybody"),
        ("technique", {"name": "graph", "edges": [EDGE]}, r"source and target are both S1.*cannot teach itself"),
        (
            "technique",
            {"name": "kd_offline", "losses": [{"loss": "kd", "options": {"temperature": INFINITE}}]},
            r"options\.temperature: should be a finite number",
        ),
    ],
)
def test_what_no_training_can_use_is_refused_when_it_is_read(where, value, message):
    raw = yaml.safe_load(yaml.safe_dump(BASE))
    *parents, last = where.split(".")
    node = raw
    for parent in parents:
        node = node.setdefault(parent, {})
    node[last] = value
    with pytest.raises(UserError, match=message):
        parse_recipe(raw)


def test_kinds_of_values_are_no_part_of_a_key():
    with pytest.raises(UserError) as error:
        parse_recipe({"task": "classification", "data": {"source": "phantom", "image_size": "abc"}})
    assert "data.image_size: should be a valid integer" in str(error.value)
    assert "data.image_size: should be a valid list" in str(error.value)


ODD_TEXTS = [
    "batch #2",
    "0123",
    "no",
    "2024-01-02",
    "/x/a: b",
    "1:30",
    "1e3",
    "true",
    "#x",
    "@a",
    "*a",
    "- a",
    "[a",
    "x'y",
]


@pytest.mark.parametrize("text", ODD_TEXTS)
@pytest.mark.parametrize("key", ["name", "data.path", "data.source", "networks.teacher.weights", "technique.teacher"])
def test_what_is_a_text_in_the_recipe_stays_one(key, text):
    assert parse_override(f"{key}={text}") == (key, text)


@pytest.mark.parametrize(
    "text", ["batch #2", "0123", "no", "off", "2024-01-02", "/x/a: b", "1:30", "1_000", "0x1F", "x"]
)
def test_what_may_be_anything_is_a_text_unless_it_looks_like_more(text):
    assert parse_override(f"data.options.group={text}") == ("data.options.group", text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("name='0123'", "0123"),
        ('name="a: b"', "a: b"),
        ("data.path=null", None),
        ("data.path=", None),
        ("training.epochs=5", 5),
        ("training.lr=1e-3", 1e-3),
        ("data.options.a=1.5", 1.5),
        ("data.options.a=-3", -3),
        ("data.options.a=true", True),
        ("data.options.a=null", None),
        ("data.options.a=[1, no]", [1, False]),
        ("data.options={a: 1}", {"a": 1}),
        ("split.fractions=[0.5, 0.25, 0.25]", [0.5, 0.25, 0.25]),
    ],
)
def test_other_values_are_what_they_look_like(text, value):
    found = parse_override(text)[1]
    assert found == value
    assert type(found) is type(value)
