import pytest
import torch
from torch import nn

from preceptor.cohort.cohort import Cohort, DataFacts
from preceptor.cohort.transfer import Transfer
from preceptor.data.batches import Batch
from preceptor.errors import UserError
from preceptor.knowledge import catalogue
from preceptor.knowledge.feature.feature_mse import FeatureMSELoss
from preceptor.knowledge.logits.soft_target import SoftTargetLoss, soft_target_kl
from preceptor.plan.edge import Ramp

FACTS = DataFacts(classes=3, batch_size=4)


def make_cohort(networks, transfers, **more):
    return Cohort(
        task="classification",
        networks=networks,
        transfers=transfers,
        task_loss=nn.CrossEntropyLoss(),
        facts=FACTS,
        **more,
    )


def kd(source, target, **more):
    return Transfer(source=source, target=target, loss=SoftTargetLoss(2.0), **more)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return Batch(
        images=torch.rand(4, 3, 8, 8, generator=generator),
        targets=torch.tensor([0, 1, 2, 0]),
        positions=torch.arange(4),
        rows=torch.arange(4),
        whole=4,
    )


def gradients(network):
    return [p.grad.clone() if p.grad is not None else None for p in network.parameters()]


def test_terms_are_the_weighted_losses(tiny, batch):
    teacher, student = tiny(1), tiny(2)
    teacher.freeze()
    cohort = make_cohort({"T": teacher, "S1": student}, [kd("T", "S1", weight=0.8)], task_weights={"S1": 0.2})
    cohort.train()

    terms = cohort(batch, epoch=1, stream=0)

    student_logits, teacher_logits = student(batch.images).logits, teacher(batch.images).logits
    task = 0.2 * nn.functional.cross_entropy(student_logits, batch.targets)
    distilled = 0.8 * soft_target_kl(student_logits, teacher_logits, temperature=2.0)
    assert set(terms) == {"S1/task", "T->S1/kd"}
    torch.testing.assert_close(terms["S1/task"], task)
    torch.testing.assert_close(terms["T->S1/kd"], distilled)


def test_each_network_gets_only_its_own_gradient(tiny, batch):
    """A mutual pair in one backward pass equals each network alone against the other held constant."""
    together = make_cohort({"S1": tiny(1), "S2": tiny(2)}, [kd("S1", "S2"), kd("S2", "S1")])
    sum(together.train()(batch, 1, 0).values()).backward()

    alone, other = tiny(1), tiny(2)
    alone.train(), other.train()
    mine = alone(batch.images).logits
    theirs = other(batch.images).logits.detach()
    (nn.functional.cross_entropy(mine, batch.targets) + soft_target_kl(mine, theirs, temperature=2.0)).backward()

    for got, expected in zip(gradients(together.networks["S1"]), gradients(alone), strict=True):
        torch.testing.assert_close(got, expected)


def test_a_source_learns_where_the_edge_says_so(tiny, batch):
    for stop_gradient in (True, False):
        source = tiny(1)
        cohort = make_cohort(
            {"A": source, "B": tiny(2)}, [kd("A", "B", stop_gradient=stop_gradient)], task_weights={"A": 0.0}
        )
        sum(cohort.train()(batch, 1, 0).values()).backward()
        assert (source.head.weight.grad is None) == stop_gradient


def test_a_frozen_teacher_changes_in_nothing(tiny, batch):
    teacher = tiny(1)
    teacher.freeze()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    cohort = make_cohort({"T": teacher, "S1": tiny(2)}, [kd("T", "S1")])
    cohort.train()
    sum(cohort(batch, 1, 0).values()).backward()
    assert not teacher.training
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    assert not any(name.startswith("T") or ".T." in name for name in cohort.state_dict())


def test_random_numbers_belong_to_the_network_and_the_step(tiny, batch):
    """Adding a member leaves another's dropout as it was; another step draws others."""
    alone = make_cohort({"S1": tiny(1, dropout=0.5)}, []).train()
    pair = make_cohort({"S0": tiny(3, dropout=0.5), "S1": tiny(1, dropout=0.5)}, []).train()
    with torch.no_grad():
        first = alone(batch, 1, stream=7)["S1/task"]
        torch.testing.assert_close(pair(batch, 1, stream=7)["S1/task"], first, rtol=0, atol=0)
        assert alone(batch, 1, stream=8)["S1/task"] != first


def test_turns_leave_the_others_without_gradient(tiny, batch):
    cohort = make_cohort({"S1": tiny(1), "S2": tiny(2)}, [kd("S1", "S2"), kd("S2", "S1")])
    terms = cohort.train()(batch, 1, 0, turn=("S2",))
    sum(terms.values()).backward()
    assert set(terms) == {"S2/task", "S1->S2/kd"}
    assert cohort.networks["S1"].head.weight.grad is None


def test_ramps_scale_the_weight(tiny, batch):
    cohort = make_cohort({"S1": tiny(1), "S2": tiny(2)}, [kd("S1", "S2", ramp=Ramp(epochs=4))]).train()
    with torch.no_grad():
        first, last = (cohort(batch, epoch, 0)["S1->S2/kd"] for epoch in (1, 9))
    torch.testing.assert_close(4 * first, last)


@pytest.mark.parametrize(
    ("epoch", "linear", "sigmoid"), [(1, 0.25, 0.0600), (2, 0.5, 0.2865), (4, 1.0, 1.0), (9, 1.0, 1.0)]
)
def test_ramp_values(epoch, linear, sigmoid):
    assert Ramp(epochs=4).factor(epoch) == pytest.approx(linear)
    assert Ramp(epochs=4, shape="sigmoid").factor(epoch) == pytest.approx(sigmoid, abs=1e-4)


def test_wrong_edges_are_refused(tiny):
    networks = {"S1": tiny(1), "S2": tiny(2)}
    with pytest.raises(UserError, match="no network 'T'; this cohort has S1, S2"):
        make_cohort(networks, [kd("T", "S1")])
    with pytest.raises(UserError, match="stands twice"):
        make_cohort(networks, [kd("S1", "S2"), kd("S1", "S2")])
    with pytest.raises(UserError, match=r"no tap 'stage9'.*stage1"):
        make_cohort(networks, [kd("S1", "S2", student_tap="stage9")])
    frozen = tiny(3)
    frozen.freeze()
    with pytest.raises(UserError, match="frozen"):
        make_cohort({"S1": tiny(1), "T": frozen}, [kd("S1", "T")])


def test_feature_widths_that_differ_are_refused_with_advice(tiny):
    edge = Transfer(source="A", target="B", loss=FeatureMSELoss(), student_tap="last")
    with pytest.raises(UserError, match="channels"):
        make_cohort({"A": tiny(1, width=4), "B": tiny(2, width=6)}, [edge])


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("cosine", {}),
        ("feature_smooth_l1", {}),
        ("queue_kl", {"size": 16}),
        ("token_kl", {}),
        ("rkd", {}),
        ("cc", {}),
    ],
)
def test_knowledge_without_logits_trains_beside_kd_and_ml_on_one_list_of_edges(tiny, batch, key, options):
    """Two students of one teacher who teach each other, one of whom copies features too: that term falls as well."""
    torch.manual_seed(0)
    networks = {"T": tiny(1, width=6), "S1": tiny(2), "S2": tiny(3)}
    networks["T"].freeze()
    features = Transfer(source="T", target="S1", loss=catalogue.load(catalogue.entry_for(key))(**options), weight=1.0)
    pairs = [("T", "S1"), ("T", "S2"), ("S1", "S2"), ("S2", "S1")]
    cohort = make_cohort(networks, [*(kd(*pair) for pair in pairs), features])
    if features.loss.needs_statistics:
        said = networks["T"](batch.images).embedding
        features.loss.take_statistics(said.mean(dim=0), said.std(dim=0))
    cohort.train()
    optimizer = torch.optim.Adam(cohort.parameters(), lr=0.02)
    copied = []
    for step in range(40):
        terms = cohort(batch, epoch=1, stream=step)
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        assert all(p.grad is not None for p in (*networks["S1"].parameters(), *features.loss.parameters()))
        optimizer.step()
        copied.append(float(terms[features.name].detach()))
    assert {"S1/task", "S2/task", "T->S1/kd", "S1->S2/kd", "S2->S1/kd", features.name} <= set(terms)
    start = 1 if key == "queue_kl" else 0  # whose queue is empty at first
    assert copied[-1] < 0.9 * copied[start]
