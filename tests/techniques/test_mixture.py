import pytest

from preceptor.errors import UserError
from preceptor.plan.edge import facing
from preceptor.plan.ready import require_trainable
from preceptor.plan.stage import WarmStart
from preceptor.recipe import parse_recipe
from preceptor.techniques.shares import Route, Shares, routes_for

from .workshop import made, workshop

SMALL = {"architecture": "resnet10t", "weights": "none"}


def recipe_of(technique, *, count=2, task="classification", **networks):
    return parse_recipe(
        {
            "task": task,
            "data": {"source": "histopathologic_cancer", "path": "nowhere", "image_size": 32},
            "networks": networks
            or {"teacher": {**SMALL, "architecture": "resnet18"}, "student": SMALL, "count": count},
            "technique": technique,
        }
    )


def plan_of(technique, **more):
    return recipe_of(technique, **more).plan()


def shares(technique, **more):
    recipe = recipe_of(technique, **more)
    return recipe.technique.shares(recipe.cast())


def edges(technique, **more):
    """Edges of the last stage as (source, target, kind) -> weight."""
    stage = plan_of(technique, **more).stages[-1]
    return {(e.source, e.target, e.loss.key): pytest.approx(e.weight) for e in stage.edges}


@pytest.mark.parametrize(
    ("technique", "expected"),
    [
        ({"name": "kd_offline"}, Shares(0.2, 0.8, 0.0)),
        ({"name": "kd_online", "alpha": 0.1}, Shares(0.1, 0.9, 0.0)),
        ({"name": "ml", "alpha": 0.1}, Shares(0.1, 0.0, 0.9)),
        ({"name": "kd_ml"}, Shares(0.2, 0.4, 0.4)),
        ({"name": "kd_ml", "alpha": 0.4, "beta": 0.1}, Shares(0.4, 0.1, 0.5)),
    ],
)
def test_weights_that_are_not_given_follow_from_a_sum_of_one(technique, expected):
    for share in shares(technique):
        assert (share.alpha, share.beta, share.gamma) == pytest.approx((expected.alpha, expected.beta, expected.gamma))


def test_published_weights():
    """Table 3, KD+ML diverse, in the journal's reading."""
    networks = {"teacher": {**SMALL, "architecture": "resnet50"}, "student": {**SMALL, "architecture": "resnet18"}}
    found = shares({"name": "kd_ml", "strategy": "diverse", "weights": "published"}, **networks)
    assert [(s.alpha, s.beta, s.gamma) for s in found] == [(0.2, 0.4, 0.4), (0.4, 0.3, 0.3)]


def test_kd_ml_diverse_routes_as_the_equations():
    """st1: features from T, predictions from st2; st2: predictions from T, features from st1."""
    assert edges({"name": "kd_ml", "strategy": "diverse", "alpha": [0.2, 0.4]}) == {
        ("T", "S1", "feature_mse"): 0.4,
        ("T", "S2", "kd"): 0.3,
        ("S2", "S1", "kd"): 0.4,
        ("S1", "S2", "feature_mse"): 0.3,
    }


@pytest.mark.parametrize(
    ("technique", "first", "second", "by_equations"),
    [
        ("ml", "S2", "S1", ("kd", "feature_mse")),
        ("kd_offline", "T", "T", ("feature_mse", "kd")),
        ("kd_online", "T", "T", ("feature_mse", "kd")),
    ],
)
def test_diverse_of_one_source_by_the_equations_or_by_the_papers_table(technique, first, second, by_equations):
    """The two swap what the students get, and with unequal weights the weights of the two losses."""
    options = {"name": technique, "strategy": "diverse", "alpha": [0.1, 0.2]}
    one, other = by_equations
    expected = {(first, "S1", one): 0.9, (second, "S2", other): 0.8}
    assert edges(options) == edges({**options, "diverse": "equations"}) == expected
    assert edges({**options, "diverse": "table"}) == {(first, "S1", other): 0.9, (second, "S2", one): 0.8}


def test_both_readings_agree_where_teacher_and_peers_teach():
    options = {"name": "kd_ml", "strategy": "diverse"}
    assert edges({**options, "diverse": "table"}) == edges(options)


def test_a_reading_and_a_routing_table_exclude_each_other():
    route = {"teacher": "predictions", "peers": "features"}
    with pytest.raises(UserError, match="routing says what each student receives"):
        plan_of({"name": "ml", "strategy": "diverse", "diverse": "table", "routing": [route, route]})


def test_strategies_of_one_kind():
    assert {kind for *_, kind in edges({"name": "kd_ml", "strategy": "predictions"})} == {"kd"}
    assert {kind for *_, kind in edges({"name": "kd_ml", "strategy": "features"})} == {"feature_mse"}


def test_offline_kd_has_no_peers_and_trains_the_teacher_first():
    plan = plan_of({"name": "kd_offline"})
    assert [stage.name for stage in plan.stages] == ["teacher", "main"]
    assert plan.stages[1].members["T"].trains is False
    assert set(edges({"name": "kd_offline"})) == {("T", "S1", "kd"), ("T", "S2", "kd")}


def test_mutual_learning_has_no_teacher():
    assert set(edges({"name": "ml"})) == {("S1", "S2", "kd"), ("S2", "S1", "kd")}


@pytest.mark.parametrize("peers", [2, 3, 5])
def test_the_peers_of_a_network_share_one_weight(peers):
    names = [f"S{n}" for n in range(peers)]
    pairs = facing(names)
    for name in names:
        assert sum(share for _, target, share in pairs if target == name) == pytest.approx(1.0)
    assert all(source != target for source, target, _ in pairs)


def test_a_routing_table_replaces_the_strategy():
    swapped = [{"teacher": "predictions", "peers": "features"}, {"teacher": "features", "peers": "predictions"}]
    found = edges({"name": "kd_ml", "strategy": "diverse", "routing": swapped})
    assert ("T", "S1", "kd") in found
    assert ("T", "S2", "feature_mse") in found


def test_the_teacher_gets_an_adapter_where_features_are_shared():
    """ResNet-18 and ResNet-10t are both 512 wide; a MobileNet student makes the teacher 1024 wide."""
    networks = {
        "teacher": {**SMALL, "architecture": "resnet50"},
        "student": {**SMALL, "architecture": "mobilenetv1_100"},
    }
    plan = plan_of({"name": "kd_online", "strategy": "features"}, **networks)
    shop = workshop("benign", "tumour")
    teacher = shop.network(plan.stages[-1].members["T"].network)
    assert teacher.shapes["last"][0] == 1024
    plain = shop.network(plan_of({"name": "kd_online"}, **networks).stages[-1].members["T"].network)
    assert plain.shapes["last"][0] == 2048


def test_unlike_peers_share_features_at_the_narrower_width():
    networks = {"students": [SMALL, {**SMALL, "architecture": "mobilenetv3_small_050"}]}
    plan = plan_of({"name": "ml", "strategy": "features"}, **networks)
    networks = made(plan.stages[0], workshop("benign", "tumour"))
    assert len({network.shapes["last"][0] for network in networks.values()}) == 1


def test_in_turn_everyone_who_trains_has_a_turn():
    stage = plan_of({"name": "kd_ml", "sequential": True}).stages[-1]
    assert stage.turns == (("T",), ("S1",), ("S2",))
    assert plan_of({"name": "kd_offline", "sequential": True}).stages[-1].turns == (("S1",), ("S2",))


def test_published_weights_exclude_given_ones():
    with pytest.raises(UserError, match="exclude each other"):
        shares({"name": "kd_ml", "weights": "published", "alpha": 0.9})


def test_students_that_teach_an_online_teacher():
    found = edges({"name": "kd_online", "teacher_learns": 0.5})
    assert found["S1", "T", "kd"] == 0.25


def test_named_losses_replace_the_strategy_at_their_published_weight():
    found = edges({"name": "kd_offline", "losses": [{"loss": "kd", "weight": 0.9}, {"loss": "at"}]})
    assert found["T", "S1", "kd"] == 0.9
    assert found["T", "S1", "at"] == 1000


def test_shares_that_have_no_giver_are_refused():
    with pytest.raises(UserError, match=r"beta.*ml has no teacher"):
        shares({"name": "ml", "beta": 0.5})
    with pytest.raises(UserError, match="gamma"):
        shares({"name": "kd_offline", "gamma": 0.5})
    with pytest.raises(UserError, match="3 values for 2 students"):
        shares({"name": "kd_offline", "alpha": [0.1, 0.2, 0.3]})
    with pytest.raises(UserError, match="1 entries for 2"):
        routes_for("predictions", (Route(teacher="features", peers="features"),), 2)


def test_few_shots_train_no_teacher_but_by_name():
    def plan(**technique):
        made = recipe_of(technique).plan()
        require_trainable(made, shots=5)
        return made

    with pytest.raises(UserError, match=r"split.shots 5: .* give the run folder as technique.teacher\."):
        plan(name="kd_offline")
    assert plan(name="baseline", network="teacher").students == ("T",)


def test_a_hint_is_a_stage_of_its_own_whose_students_go_on():
    """FitNet's two stages: the hint alone, then distillation from the weights after the hint's last epoch."""
    plan = plan_of({"name": "kd_offline", "hint": {"loss": "fitnet"}, "hint_epochs": 3, "losses": [{"loss": "kd"}]})
    teacher, hint, main = plan.stages
    assert (teacher.name, hint.name, main.name) == ("teacher", "hint", "main")
    assert [(e.source, e.target, e.loss.key, e.weight) for e in hint.edges] == [
        ("T", "S1", "fitnet", 100.0),
        ("T", "S2", "fitnet", 100.0),
    ]
    assert {hint.members[name].task_weight for name in ("S1", "S2")} == {0.0}
    assert not hint.members["T"].trains
    assert (hint.last_epoch, hint.snapshots) == (3, {3})
    assert main.members["S2"].start == WarmStart("hint", "S2", 3)
    assert main.members["S2"].task_weight == 0.1
    assert main.members["T"].start == hint.members["T"].start == WarmStart("teacher", "T")


def test_a_hint_lasts_as_long_as_the_training_unless_said_otherwise():
    *_, hint, main = plan_of({"name": "kd_offline", "hint": {"loss": "fitnet"}}).stages
    assert hint.last_epoch == main.last_epoch == 20
    assert hint.training.patience is None


@pytest.mark.parametrize(
    ("technique", "message"),
    [
        ({"name": "kd_online", "hint": {"loss": "fitnet"}}, "hint: kd_online has no frozen teacher"),
        ({"name": "kd_offline", "hint_epochs": 3}, "hint_epochs: there is no hint"),
        ({"name": "kd_offline", "hint": {"loss": "cwd"}}, "loss 'cwd' is for segmentation"),
        ({"name": "kd_offline", "hint": {"loss": "simkd"}}, "technique.hint: simkd replaces the students' heads"),
        ({"name": "ml", "losses": [{"loss": "kd"}]}, "technique.losses: .* not in ml"),
    ],
)
def test_hints_and_losses_that_have_no_place_are_refused(technique, message):
    with pytest.raises(UserError, match=message):
        plan_of(technique)
