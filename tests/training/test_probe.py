"""A probe as a whole run: nothing below the heads changes, no test image chooses, and a killed one goes on."""

import numpy as np
import pandas as pd
import pytest
import torch

from preceptor.composed import load_network
from preceptor.data.prepare import prepare
from preceptor.errors import UserError
from preceptor.measures.temperature import softmax
from preceptor.runs.analysis import read_analysis
from preceptor.teacher_cache.folder import everything_kept
from preceptor.teacher_cache.verify import verify
from preceptor.training import probing

from .phantoms import NEW, recipe_for, train

SMALL = {"strengths": [0.01, 1.0], "neighbours": 3}


def recipe_of(packed, **technique):
    return recipe_for(
        "classification",
        {"name": "probe", "against": {"random": "none"}, **SMALL, **technique},
        packed,
        networks={"student": {"architecture": "test_resnet", **NEW}},
    )


@pytest.fixture(scope="module")
def probed(tmp_path_factory, packed, teachers):
    """A run folder, its result, what it said, and the teacher's own run."""
    folder = tmp_path_factory.mktemp("probe")
    recipe = recipe_of(packed, teacher=str(teachers["classification"]))
    result, said = train(recipe, folder)
    return folder, result, said, recipe, teachers["classification"]


def test_every_network_is_scored_by_both_probes_and_costs_what_it_costs(probed):
    folder, result, said, _, _ = probed
    networks = {"T", "S1", "S1_random"}
    assert set(result.parameters) == networks
    assert set(result.test) == {*networks, *(f"{name}_neighbours" for name in networks)}
    assert result.chosen == "S1"
    assert all(f"{name}: C = " in said for name in networks)
    assert set(read_analysis(folder).latency) == networks


def test_below_its_head_a_network_is_what_it_was(probed):
    folder, _, _, _, teacher = probed
    before = load_network(teacher / "networks" / "T").state_dict()
    after = load_network(folder / "networks" / "T").state_dict()
    assert {key for key in before if not torch.equal(before[key], after[key])} == {"model.fc.weight", "model.fc.bias"}


def test_neighbours_are_those_of_the_training_part(probed):
    folder, _, _, recipe, _ = probed
    prepared, network = prepare(recipe), load_network(folder / "networks" / "T")

    def embedded(part):
        pixels, _ = prepared.packed.read(prepared.rows[part])
        with torch.no_grad():
            said = network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
        found = said.embedding.double().numpy()
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    cosines = embedded("test") @ embedded("train").T
    labels = prepared.labels(prepared.rows["train"])
    nearest = np.argsort(-cosines, axis=1)[:, :3]
    weights = softmax(np.take_along_axis(cosines, nearest, axis=1) / 0.07, axis=1)
    classes = len(prepared.packed.classes)
    shares = np.stack([(weights * (labels[nearest] == c)).sum(axis=1) for c in range(classes)], axis=1)
    table = pd.read_csv(folder / "predictions" / "test.csv").set_index("network").loc["T_neighbours"]
    np.testing.assert_allclose(table[[f"p_{c}" for c in range(classes)]].to_numpy(), shares, atol=1e-4)


def test_killed_and_resumed_it_ends_alike(probed, packed, tmp_path, monkeypatch):
    folder, _, _, recipe, _ = probed
    real, done = probing._chosen, []

    def dies(*given):
        if done:
            raise KeyboardInterrupt
        done.append(given)
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(probing, "_chosen", dies)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tmp_path)
    train(recipe, tmp_path)
    for name in ("predictions/test.csv", "networks/S1/model.safetensors", "networks/T/model.safetensors"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_what_is_kept_says_in_which_layout_it_was_computed(packed, tmp_path):
    own = {"training.channels_last": True, "data.cache": str(tmp_path / "cache")}
    train(recipe_of(packed, against={}).with_(own), tmp_path / "run")
    every = everything_kept(tmp_path / "cache" / "teachers")
    assert every
    assert all(kept.facts["arithmetic"]["channels_last"] for kept in every)
    assert [verify(kept, entries=20).wrong for kept in every] == [()] * len(every)


def test_a_network_without_a_linear_head_is_named(packed, tmp_path):
    recipe = recipe_of(packed).with_({"networks.student.architecture": "resnetv2_18", "technique.against": {}})
    with pytest.raises(UserError, match=r"S1 \(resnetv2_18\) does not end in one linear layer"):
        train(recipe, tmp_path)
