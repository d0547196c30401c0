"""Self-distillation as whole runs on a few phantom images: identities, resuming, and the exits in use."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from preceptor.composed import load_network
from preceptor.data.prepare import prepare
from preceptor.opened_run import open_run

from .phantoms import NEW, exported, last, recipe_for, train

REPORTED = ("E1", "E2", "E3", "S1")
STUDENT = {"architecture": "test_resnet", "options": {"drop_rate": 0.1}, **NEW}


def recipe_of(packed, *, training=None, student=STUDENT, **technique):
    """A student with dropout."""
    return recipe_for(
        "classification",
        {"name": "self_distill", **technique},
        packed,
        networks={"student": student},
        training={"epochs": 3, **(training or {})},
    )


@pytest.fixture(scope="module")
def byot(tmp_path_factory, packed):
    """A run folder and its result."""
    folder = tmp_path_factory.mktemp("byot")
    result, _ = train(recipe_of(packed), folder)
    return folder, result


def test_every_exit_is_reported_and_their_vote_is_the_mean_of_their_softmaxes(byot):
    folder, result = byot
    assert set(result.test) == {*REPORTED, "ensemble", "ensemble_mean"}
    assert result.chosen in result.parameters
    assert result.teacher_audit is None
    table = pd.read_csv(folder / "predictions" / "test.csv").set_index("network")
    columns = [name for name in table if name.startswith("p_")]
    vote = np.mean([table.loc[name, columns].to_numpy() for name in REPORTED], axis=0)
    np.testing.assert_allclose(vote, table.loc["ensemble_mean", columns].to_numpy(), atol=1e-6)


def test_tskd_without_a_teacher_is_byot(tmp_path, packed, byot):
    folder, result = byot
    without, said = train(recipe_of(packed, method="tskd", teacher_share=0, temperature=3), tmp_path)
    assert without.test == result.test
    assert all(exported(tmp_path, name) == exported(folder, name) for name in REPORTED)
    assert (tmp_path / "metrics.csv").read_bytes() == (folder / "metrics.csv").read_bytes()
    assert "no teacher takes part" in said


def test_tskd_learns_from_a_given_teacher_and_is_measured_against_it(tmp_path, packed, teachers, byot):
    recipe = recipe_of(packed, method="tskd", teacher=str(teachers["classification"]))
    result, _ = train(recipe, tmp_path)
    assert set(result.fidelity) == {*REPORTED, "ensemble", "ensemble_mean"}
    assert exported(tmp_path, "T") == exported(teachers["classification"], "T")
    assert exported(tmp_path, "S1") != exported(byot[0], "S1")
    terms = pd.read_csv(tmp_path / "metrics.csv")["metric"].unique()
    assert {f"loss:T->{name}/kd" for name in REPORTED} <= set(terms)


def test_tskd_trains_its_teacher_where_none_is_given(tmp_path, packed):
    train(recipe_of(packed, method="tskd", exits=[2], training={"epochs": 1}), tmp_path)
    assert set(pd.read_csv(tmp_path / "metrics.csv")["stage"]) == {"teacher", "main"}
    assert {path.name for path in (tmp_path / "networks").iterdir()} == {"E2", "S1", "T"}


def test_the_exits_and_the_whole_are_of_one_epoch(byot):
    """Every exported exit holds the stages that the exported whole has."""
    folder, _ = byot
    whole = load_network(folder / "networks" / "S1").model.state_dict()
    for name in REPORTED[:-1]:
        trunk = load_network(folder / "networks" / name).trunk.model.state_dict()
        assert trunk
        assert all(torch.equal(value, whole[key]) for key, value in trunk.items())


def test_an_exported_exit_stands_alone_and_costs_what_it_holds(byot, packed):
    folder, result = byot
    prepared = prepare(recipe_of(packed))
    row = prepared.rows["test"][0]
    image = torch.from_numpy(np.array(prepared.packed.images[row])).permute(2, 0, 1)[None].float() / 255
    table = pd.read_csv(folder / "predictions" / "test.csv", dtype={"id": str})
    for name in REPORTED:
        network = load_network(folder / "networks" / name)
        with torch.no_grad():
            said = network(image).logits.softmax(dim=1)[0].numpy()
        mine = table[(table["network"] == name) & (table["id"] == str(prepared.packed.frame["id"].iloc[row]))]
        np.testing.assert_allclose(said, mine.filter(regex="^p_").to_numpy()[0], atol=1e-5)
        assert network.parameters_count() == result.parameters[name]
    costs = result.multiply_adds
    assert costs["E1"] < costs["S1"]
    assert result.parameters["E1"] < result.parameters["S1"]
    assert json.loads((folder / "networks" / "E1" / "config.json").read_text())["_preceptor"]["built"]["sources"] == []


def test_evaluating_the_exported_networks_gives_the_result_again(byot, packed):
    folder, result = byot
    assert open_run(folder).evaluate().scores == result.test


@pytest.mark.parametrize("stop", [(0, 3), (1, 0), (2, 4)])
def test_a_run_stopped_inside_an_epoch_ends_with_the_same_bits(tmp_path, packed, byot, interrupted, stop):
    folder, _ = byot
    epoch, step = stop
    interrupted(recipe_of(packed), tmp_path, epoch=epoch, step=step)
    train(recipe_of(packed), tmp_path)
    straight, parted = last(folder), last(tmp_path)
    assert straight.keys() == parted.keys()
    assert not [key for key in straight if not torch.equal(straight[key], parted[key])]
    assert all(exported(tmp_path, name) == exported(folder, name) for name in REPORTED)
    assert (tmp_path / "metrics.csv").read_bytes() == (folder / "metrics.csv").read_bytes()


def test_averaged_weights_go_into_the_exits_too(tmp_path, packed, byot):
    """With an average that forgets at once everything is as without; with a slow one the exits differ."""
    folder, _ = byot
    train(recipe_of(packed, training={"ema": 1e-9}), tmp_path / "quick")
    train(recipe_of(packed, training={"ema": 0.9}), tmp_path / "slow")
    for name in REPORTED:
        plain, quick, slow = (
            load_network(run / "networks" / name).state_dict()
            for run in (folder, tmp_path / "quick", tmp_path / "slow")
        )
        for key in plain:
            torch.testing.assert_close(quick[key], plain[key], rtol=1e-4, atol=1e-5)
        assert any(not torch.allclose(slow[key].float(), plain[key].float(), atol=1e-4) for key in plain)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["mobilenetv3_small_050", "mixnet_s", "convnext_atto", "test_vit", "resnet18"])
def test_other_architectures_train_and_are_exported(tmp_path, packed, architecture):
    recipe = recipe_of(packed, student={"architecture": architecture, **NEW}, training={"epochs": 1})
    result, _ = train(recipe, tmp_path)
    assert open_run(tmp_path).evaluate().scores == result.test
