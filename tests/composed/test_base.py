import json

import pytest
import torch
from torch import nn

from preceptor.cohort.cohort import Cohort, DataFacts
from preceptor.cohort.transfer import Transfer
from preceptor.composed import COMPOSED, load_network
from preceptor.composed.base import ComposedNetwork, answers, own_state, standing, unshared_networks
from preceptor.data.batches import Batch
from preceptor.errors import DamagedFileError, UserError
from preceptor.knowledge.logits.soft_target import SoftTargetLoss, soft_target_kl
from preceptor.networks.build import build_network
from preceptor.networks.outputs import Outputs
from preceptor.networks.verify import sealed_config
from preceptor.specs import NetworkSpec


class Joint(ComposedNetwork):
    """A linear layer on the embeddings of its sources, side by side."""

    kind = "joint"

    def __init__(self, sources, classes=3):
        super().__init__(sources, dict.fromkeys(sources, ("embedding",)))
        self.classes = classes
        self.layer = nn.Linear(sum(source.shapes["embedding"][0] for source in sources.values()), classes)

    def combine(self, outputs, targets=None):
        embedding = torch.cat([outputs[name].embedding for name in self.inlets], dim=1)
        return Outputs(self.layer(embedding), embedding)

    def options(self):
        return {"classes": self.classes}


@pytest.fixture
def batch():
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return Batch(
        images=images, targets=torch.tensor([0, 1, 2, 0]), positions=torch.arange(4), rows=torch.arange(4), whole=4
    )


def cohort_of(networks, transfers=(), **more):
    return Cohort(
        task="classification",
        networks=networks,
        transfers=transfers,
        task_loss=nn.CrossEntropyLoss(),
        facts=DataFacts(classes=3, batch_size=4),
        **more,
    )


def pair_with_joint(tiny):
    networks = {"A": tiny(1), "B": tiny(2)}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {**networks, "F": Joint(networks)}


def test_its_task_trains_what_it_reads(tiny, batch):
    """The gradient of the joint network's own loss reaches its sources, and equals that of the composition."""
    networks = pair_with_joint(tiny)
    cohort_of(networks, task_weights={"A": 0.0, "B": 0.0}).train()(batch, 1, 0)["F/task"].backward()
    found = networks["A"].convolution.weight.grad.clone()

    a, b, joint = (pair_with_joint(tiny)[name] for name in "ABF")
    a, b = a.train(), b.train()
    embeddings = torch.cat([a(batch.images).embedding, b(batch.images).embedding], dim=1)
    nn.functional.cross_entropy(joint.layer(embeddings), batch.targets).backward()
    torch.testing.assert_close(found, a.convolution.weight.grad)


def test_it_stands_in_the_graph_like_any_other(tiny, batch):
    networks = pair_with_joint(tiny)
    edges = [
        Transfer(source="F", target="A", loss=SoftTargetLoss(3.0)),
        Transfer(source="A", target="F", loss=SoftTargetLoss(2.0)),
    ]
    cohort = cohort_of(networks, edges).train()
    terms = cohort(batch, 1, 0)
    said = answers(standing(cohort.networks), batch.images)
    torch.testing.assert_close(terms["F->A/kd"], soft_target_kl(said["A"].logits, said["F"].logits, temperature=3.0))
    assert {"A/task", "B/task", "F/task", "F->A/kd", "A->F/kd"} == set(terms)


def test_parameters_have_one_owner(tiny):
    cohort = cohort_of(pair_with_joint(tiny))
    owned = cohort.owned()
    assert [len(owned[name]) for name in "ABF"] == [6, 6, 2]
    assert not any("sources" in name for name in cohort.state_dict())


def test_standing_alone_it_answers_as_in_the_cohort(tiny, batch):
    cohort = cohort_of(pair_with_joint(tiny)).eval()
    every = standing(cohort.networks)
    together = answers(every, batch.images)["F"].logits
    torch.testing.assert_close(every["F"](batch.images).logits, together, rtol=0, atol=0)
    assert not cohort.networks["F"].sources


def test_copies_take_weights_of_their_own(tiny):
    """The best weights of a joint network go with those that its sources had then, not with their own best."""
    cohort = cohort_of(pair_with_joint(tiny))
    networks = unshared_networks(cohort.networks)
    state = {key: torch.zeros_like(value) for key, value in networks["F"].state_dict().items()}
    networks["F"].load_state_dict(state)
    assert networks["A"].head.weight.abs().sum() > 0
    assert networks["F"].sources["A"].head.weight.abs().sum() == 0
    cohort.networks["F"].load_state_dict(own_state(cohort.networks["F"], state))


def test_a_frozen_one_follows_learning_sources(tiny, batch):
    """One without parameters teaches what its sources say now; nothing flows back."""
    networks = pair_with_joint(tiny)
    networks["F"].freeze()
    cohort = cohort_of(networks, [Transfer(source="F", target="A", loss=SoftTargetLoss(2.0))]).train()
    assert networks["A"].training
    before = cohort(batch, 1, 0)
    before["F->A/kd"].backward()
    assert networks["B"].convolution.weight.grad is None
    with torch.no_grad():
        networks["B"].convolution.weight.add_(1.0)
    assert cohort(batch, 1, 0)["F->A/kd"] != before["F->A/kd"]


def test_saved_and_loaded(tmp_path, monkeypatch):
    monkeypatch.setitem(COMPOSED, "joint", Joint)
    spec = NetworkSpec(architecture="test_resnet", weights="none")
    build = {"task": "classification", "classes": ("a", "b", "c"), "image_size": (32, 32)}
    sources = {name: build_network(spec, seed=seed, **build) for seed, name in enumerate("AB")}
    whole = Joint(sources).alone(sources).eval()
    whole.save(tmp_path / "F")
    again = load_network(tmp_path / "F")
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(again(images).logits, whole(images).logits, rtol=0, atol=0)
    assert again.parameters_count() == sum(s.parameters_count() for s in sources.values()) + sum(
        p.numel() for p in whole.layer.parameters()
    )
    torch.testing.assert_close(
        load_network(tmp_path / "F" / "sources" / "A")(images).logits, sources["A"].eval()(images).logits
    )


def saved_pair(folder, monkeypatch):
    """A joint network in a folder, and its only source's specification."""
    monkeypatch.setitem(COMPOSED, "joint", Joint)
    spec = NetworkSpec(architecture="test_resnet", weights="none")
    build = {"task": "classification", "classes": ("a", "b", "c"), "image_size": (32, 32)}
    sources = {"A": build_network(spec, seed=0, **build)}
    Joint(sources).alone(sources).save(folder)
    return spec, build


def test_it_stands_in_no_other_networks_place(tmp_path, monkeypatch):
    """Neither as a teacher nor as weights to start from."""
    spec, build = saved_pair(tmp_path / "F", monkeypatch)
    message = r"'.*F' is a network built on A: it stands in no other network's place, .*\n.* the networks in .*sources"
    for wrong in (
        spec.model_copy(update={"weights": str(tmp_path / "F")}),
        NetworkSpec(architecture=f"local-dir:{tmp_path / 'F'}"),
    ):
        with pytest.raises(UserError, match=message):
            build_network(wrong, seed=0, **build)


def test_a_damaged_folder_is_named(tmp_path, monkeypatch):
    saved_pair(tmp_path, monkeypatch)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "model.safetensors").write_bytes(b"half a file")
    with pytest.raises(DamagedFileError, match=r"model.safetensors: is not the file that was exported"):
        load_network(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model.safetensors: missing, damaged or of another network"):
        load_network(tmp_path)
    config["_preceptor"]["built"]["kind"] = "later"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(DamagedFileError, match=r"config.json: was changed or damaged"):
        load_network(tmp_path)
    del config["_preceptor"]["sha256"]
    (tmp_path / "config.json").write_text(json.dumps(sealed_config(config, "0" * 64)))
    with pytest.raises(UserError, match="a kind 'later' that this version of preceptor does not know"):
        load_network(tmp_path)


def test_a_frozen_one_goes_on_reading_the_others(tiny):
    """It is not copied: what it reads are the networks that are reported, with the weights that these are given."""
    networks = pair_with_joint(tiny)
    networks["F"].freeze()
    kept = unshared_networks(cohort_of(networks).networks)
    assert kept["F"].sources["A"] is kept["A"]


def test_it_reads_networks_that_are_not_built(tiny):
    networks = pair_with_joint(tiny)
    with pytest.raises(AssertionError, match="not built"):
        Joint({"F": networks["F"]})
