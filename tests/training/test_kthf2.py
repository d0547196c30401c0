"""KTHF² as whole runs on a few phantom images: identities, resuming, and the fused classifier in use."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from preceptor.composed import load_network
from preceptor.data.prepare import prepare
from preceptor.opened_run import open_run

from .phantoms import NEW, exported, last, recipe_for, train

PEERS = [
    {"architecture": "test_resnet", "options": {"drop_rate": 0.1}, **NEW},
    {"architecture": "mobilenetv3_small_050", "options": {"drop_rate": 0.2}, **NEW},
]
NO_FUSION = {"fused_task": 0, "to_peers": 0, "from_ensemble": 0}


def recipe_of(packed, name="kthf2", *, training=None, **technique):
    """Two peers of different families, with dropout."""
    return recipe_for(
        "classification",
        {"name": name, **technique},
        packed,
        networks={"teacher": None, "student": None, "students": PEERS},
        training={"weight_decay": 1e-3, **(training or {})},
    )


@pytest.fixture(scope="module")
def mutual(tmp_path_factory, packed):
    """A run of mutual learning with the same weights: task 1, peers 1, temperature 1."""
    folder = tmp_path_factory.mktemp("ml")
    train(recipe_of(packed, "ml", alpha=1.0, gamma=1.0, temperature=1.0), folder)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory, packed):
    """A run with every loss: its folder and its result."""
    folder = tmp_path_factory.mktemp("kthf2")
    result, _ = train(recipe_of(packed), folder)
    return folder, result


@pytest.fixture(scope="module")
def one_epoch(tmp_path_factory, packed):
    """A short run with every loss."""
    folder = tmp_path_factory.mktemp("short")
    train(recipe_of(packed, training={"epochs": 1}), folder)
    return folder


def test_without_fusion_it_is_mutual_learning(tmp_path, packed, mutual):
    result, said = train(recipe_of(packed, **NO_FUSION), tmp_path)
    for peer in ("S1", "S2"):
        assert exported(tmp_path, peer) == exported(mutual, peer)
    assert set(result.test) == {"S1", "S2", "ensemble", "ensemble_mean"}
    assert "this is mutual learning" in said


def test_without_mutual_learning_too_it_is_the_baseline(tmp_path, packed, mutual):
    train(recipe_of(packed, mutual=0, **NO_FUSION), tmp_path / "kthf2")
    train(recipe_of(packed, "baseline"), tmp_path / "baseline")
    for peer in ("S1", "S2"):
        assert exported(tmp_path / "kthf2", peer) == exported(tmp_path / "baseline", peer)
        assert exported(tmp_path / "kthf2", peer) != exported(mutual, peer)


def test_a_fused_classifier_that_neither_teaches_nor_pulls_leaves_the_peers_alone(tmp_path, packed, mutual):
    """It learns from maps that are detached and draws its dropout from numbers of its own."""
    train(recipe_of(packed, to_peers=0, detach_maps=True), tmp_path)
    assert all(exported(tmp_path, peer) == exported(mutual, peer) for peer in ("S1", "S2"))
    one, other = last(tmp_path), last(mutual)
    assert {key for key in one if key not in other} == {key for key in one if key.startswith("learners.F.")}
    assert all(torch.equal(one[key], other[key]) for key in other)


@pytest.mark.parametrize("only", [{"to_peers": 0}, {"detach_maps": True}, {"mutual": 0}, {"cross_level": False}])
def test_every_part_acts_on_the_peers(tmp_path, packed, one_epoch, only):
    """What F teaches, what pulls through the maps, the peers' own exchange, the pairs across levels."""
    train(recipe_of(packed, training={"epochs": 1}, **only), tmp_path)
    assert all(exported(tmp_path, peer) != exported(one_epoch, peer) for peer in ("S1", "S2"))


def test_a_run_stopped_inside_an_epoch_ends_with_the_same_bits(tmp_path, packed, whole, interrupted):
    recipe = recipe_of(packed)
    interrupted(recipe, tmp_path, epoch=1, step=2)
    result, _ = train(recipe, tmp_path)
    folder, uninterrupted = whole
    assert all(exported(tmp_path, name) == exported(folder, name) for name in ("S1", "S2", "F"))
    assert (tmp_path / "metrics.csv").read_bytes() == (folder / "metrics.csv").read_bytes()
    assert result.test == uninterrupted.test


def test_peers_fused_classifier_and_their_ensemble_are_reported(whole):
    folder, result = whole
    reported = {"S1", "S2", "F"}
    assert set(result.test) == set(result.validation) == reported | {"ensemble", "ensemble_mean"}
    assert result.chosen in result.parameters
    table = pd.read_csv(folder / "predictions" / "test.csv")
    answer = {name: rows.filter(regex="^p_").to_numpy() for name, rows in table.groupby("network")}
    np.testing.assert_allclose(answer["ensemble_mean"], np.mean([answer[n] for n in sorted(reported)], 0), atol=1e-6)
    own = result.parameters["F"] - result.parameters["S1"] - result.parameters["S2"]
    assert 0 < own < result.parameters["S2"]
    metrics = pd.read_csv(folder / "metrics.csv")
    terms = set(metrics[metrics["network"] == "F"]["metric"])
    assert {"loss:F/task", "loss:E->F/kd", "accuracy"} <= terms


def test_evaluating_the_exported_networks_gives_the_result_again(packed, whole):
    folder, result = whole
    again = open_run(folder).evaluate().scores
    assert again.keys() == result.test.keys()
    for name, scores in again.items():
        assert scores == pytest.approx(result.test[name], abs=1e-12)


def test_the_exported_fused_classifier_needs_nothing_else(tmp_path, packed, whole):
    """Its folder holds the peers as they were when it was best, so it can be moved away from the run."""
    folder, _ = whole
    shutil.copytree(folder / "networks" / "F", tmp_path / "elsewhere")
    network = load_network(tmp_path / "elsewhere")
    prepared = prepare(recipe_of(packed))
    rows = prepared.rows["test"]
    images = torch.from_numpy(np.asarray(prepared.packed.images[rows])).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        answer = network(images).logits.softmax(dim=1)
    table = pd.read_csv(folder / "predictions" / "test.csv", dtype={"id": str})
    written = table[table["network"] == "F"].set_index("id").loc[prepared.packed.frame["id"].iloc[rows]]
    np.testing.assert_allclose(answer.numpy(), written.filter(regex="^p_").to_numpy(), atol=1e-5)


def test_averaged_weights_and_mixed_precision(tmp_path, packed):
    """The fused classifier is averaged with its peers, and the mean of half-precision logits is whole."""
    result, _ = train(recipe_of(packed, training={"ema": 0.9, "precision": "bf16-mixed", "epochs": 1}), tmp_path)
    assert all(np.isfinite(list(scores.values())).all() for scores in result.test.values())
