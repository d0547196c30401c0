"""What is said of a plan before anything is trained."""

from xml.etree import ElementTree

import pytest

from preceptor.plan.draw import cohort_svg
from preceptor.plan.show import formula, plan_in_words, wanted_from_outside
from preceptor.recipe import parse_recipe
from preceptor.techniques import TECHNIQUES

SMALL = {"architecture": "resnet10t", "weights": "none"}
MORE = {"graph": {"edges": [{"source": "T", "target": "S1", "loss": "kd"}]}}


def plan_of(name, *, networks=None, **options):
    recipe = parse_recipe(
        {
            "task": "classification",
            "data": {"source": "phantom", "image_size": 32},
            "networks": {"teacher": SMALL, "student": SMALL, "count": 1 if name == "self_distill" else 2}
            | (networks or {}),
            "technique": {"name": name, **MORE.get(name, {}), **options},
            "training": {"epochs": 20},
        }
    )
    return recipe.plan()


@pytest.mark.parametrize(
    ("name", "options", "network", "expected"),
    [
        ("baseline", {}, "S1", "task"),
        ("kd_offline", {}, "S1", "0.2 · task + 0.8 · kd(T, temperature 2)"),
        (
            "kd_ml",
            {"strategy": "diverse", "alpha": 0.4, "beta": 0.1},
            "S2",
            "0.4 · task + 0.1 · kd(T, temperature 2) + 0.5 · feature_mse(S1 at last)",
        ),
        ("kd_online", {"direction": "reverse"}, "S1", "0.2 · task + 0.8 · kd(T, temperature 2, direction reverse)"),
        (
            "kthf2",
            {},
            "S1",
            "task + kd(S2, temperature 1) + kd(F, temperature 3, rising over 5.4 epochs)",
        ),
        ("multi_part", {"alpha": 1}, "S1", "task + 0.5 · kd(T, temperature 5)"),
        ("graph", {"edges": [{"source": "T", "target": "S2", "loss": "at"}]}, "S1", "task"),
        (
            "graph",
            {"edges": [{"source": "T", "target": "S1", "loss": "fitnet", "stop_gradient": False, "weight": 2}]},
            "S1",
            "task + 2 · fitnet(T at stage2, which learns from it too)",
        ),
        (
            "self_distill",
            {},
            "E2",
            "0.9 · task + 0.1 · kd(S1, temperature 3) + 1e-06 · exit_features(S1 at stage4 to embedding, batch 128)",
        ),
    ],
)
def test_a_loss_is_a_formula_with_its_numbers(name, options, network, expected):
    assert formula(plan_of(name, **options).stages[-1], network, "classification") == expected


def test_a_plan_in_words():
    lines = plan_in_words(plan_of("kd_offline", strategy="features"), "classification")
    adapter = "1x1 convolution inside to the width of the narrowest student at last, where it is wider"
    assert lines == [
        "stage teacher: 20 epochs; batches of 8; adam at 0.0001, constant; spared by technique.teacher",
        f"  T: resnet10t, weights none, {adapter}, trains",
        "    loss: task",
        "stage main: 20 epochs; batches of 8; adam at 0.0001, constant",
        f"  T: resnet10t, from T of stage teacher, {adapter}, frozen",
        f"  S1: resnet10t, weights none, {adapter}, trains",
        "    loss: 0.2 · task + 0.8 · feature_mse(T at last)",
        f"  S2: resnet10t, weights none, {adapter}, trains",
        "    loss: 0.2 · task + 0.8 · feature_mse(T at last)",
        "reported: S1, S2, and their ensemble",
        "compared with what T says (fidelity), and T with a student alone",
        "from outside:",
        "  nothing",
    ]


def test_what_comes_from_outside_and_whether_it_is_there(tmp_path, monkeypatch):
    (tmp_path / "t.safetensors").touch()
    networks = {"teacher": SMALL, "student": {**SMALL, "weights": "imagenet"}}
    options = {"teacher": str(tmp_path / "t.safetensors"), "student_alone": str(tmp_path / "alone")}
    assert wanted_from_outside(plan_of("kd_offline", networks=networks, **options)) == [
        "ImageNet weights of resnet10t, fetched by their library unless it has them",
        f"technique.teacher: {tmp_path}/t.safetensors: there, {tmp_path}/t.safetensors",
        f"technique.student_alone: {tmp_path}/alone: MISSING: no finished run",
    ]
    (tmp_path / "resnet10t.safetensors").touch()
    monkeypatch.setenv("PRECEPTOR_WEIGHTS", str(tmp_path))
    found, *_ = wanted_from_outside(plan_of("kd_offline", networks=networks, **options))
    assert found == "ImageNet weights of resnet10t, in ${PRECEPTOR_WEIGHTS}/resnet10t.safetensors"
    (line,) = wanted_from_outside(plan_of("kd_offline", teacher="nowhere"))
    assert line == "technique.teacher: nowhere: MISSING: 'nowhere' does not exist."


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_graph_is_drawn_with_its_networks_and_arrows(name):
    plan = plan_of(name)
    stage = plan.stages[-1]
    drawn = ElementTree.fromstring(cohort_svg(plan, "classification"))
    names = {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text") if text.get("font-weight") == "bold"}
    assert names == set(stage.members)
    arrows = [path for path in drawn.iter("{http://www.w3.org/2000/svg}path") if path.get("marker-end")]
    assert len(arrows) == len({(edge.source, edge.target) for edge in stage.edges})
