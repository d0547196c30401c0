"""The training loop on tiny networks and batches held in memory."""

import csv
import os
import signal

import pandas as pd
import pytest
import torch
import yaml
from lightning_fabric import Fabric

from preceptor.cohort.cohort import Cohort, DataFacts
from preceptor.cohort.transfer import Transfer
from preceptor.data.batches import Batch
from preceptor.errors import UserError
from preceptor.knowledge.logits.soft_target import SoftTargetLoss
from preceptor.knowledge.task_loss import ClassificationLoss
from preceptor.plan.edge import Edge, LossUse
from preceptor.plan.network import NetworkUse
from preceptor.plan.stage import Member, Stage
from preceptor.recipe import parse_recipe
from preceptor.specs import TrainingSpec
from preceptor.training.checkpoints import Checkpoints
from preceptor.training.fit import InterruptedRunError, NonFiniteLossError, train_stage
from preceptor.training.optim import make_optimizer
from preceptor.training.run_folder import folder_for

STEPS = 3


class Held:
    """Batches that depend on the view only, as the real ones do."""

    class packed:  # noqa: N801
        frame = pd.DataFrame({"id": [f"image-{n}" for n in range(4 * STEPS)]})

    def __init__(self, *, poison_at: int | None = None, on_step=None):
        self.poison_at, self.on_step = poison_at, on_step

    def __len__(self):
        return STEPS

    def epochs(self, first, last, start=0):
        for view, number in (divmod(n, STEPS) for n in range(first * STEPS + start, last * STEPS)):
            if self.on_step:
                self.on_step(view, number)
            images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(100 * view + number))
            if self.poison_at == number:
                images[2] = torch.nan
            rows = torch.arange(4 * number, 4 * number + 4)
            yield Batch(images=images, targets=rows % 3, positions=rows, rows=rows, whole=4)


@pytest.fixture
def trainer(tiny, tmp_path):
    """``trainer(folder, epochs, **options)`` trains S1 and S2 mutually and returns their weights and metrics."""
    small = {"architecture": "resnet10t", "weights": "none"}
    recipe = parse_recipe(
        {
            "task": "classification",
            "data": {"source": "phantom"},
            "networks": {"student": small},
            "technique": {"name": "ml"},
        }
    )

    def train(
        name,
        epochs,
        batches=None,
        scores=None,
        stage_options=None,
        stage_name="main",
        kept=None,
        folder=None,
        **options,
    ):
        spec = TrainingSpec(epochs=epochs, batch_size=4, lr=0.01, schedule="step", step_epochs=1, **options)
        pairs = [("S1", "S2"), ("S2", "S1")]
        members = {
            name: Member(network=NetworkUse(name=name, spec=None), kept_with=(kept or {}).get(name))
            for name in ("S1", "S2")
        }
        stage = Stage(
            name=stage_name,
            members=members,
            training=spec,
            edges=[Edge(source=a, target=b, loss=LossUse("kd", temperature=2.0)) for a, b in pairs],
            **(stage_options or {}),
        )
        cohort = Cohort(
            task="classification",
            networks={"S1": tiny(1, dropout=0.3), "S2": tiny(2, dropout=0.3)},
            transfers=[Transfer(source=a, target=b, loss=SoftTargetLoss(2.0)) for a, b in pairs],
            task_loss=ClassificationLoss(),
            facts=DataFacts(classes=3, batch_size=4),
        )
        folder = folder or folder_for(tmp_path / name, recipe)
        folder.begin("of no data", "")
        seen = []

        def validate(networks):
            seen.append({name: {k: v.clone() for k, v in n.state_dict().items()} for name, n in networks.items()})
            given = scores(len(seen)) if scores else 0.5
            return {name: {"accuracy": given[name] if isinstance(given, dict) else given} for name in networks}

        at = train_stage(
            Fabric(accelerator="cpu", devices=1),
            stage,
            cohort,
            batches or Held(),
            validate,
            folder,
            monitor="accuracy",
            seed=5,
        )
        return cohort, folder, at, seen

    return train


def kept(folder, *which):
    """Weights of stage, network and epoch."""
    return Checkpoints(folder).load(folder.files.weights(*which))


def same(one, other):
    states = [cohort.state_dict() for cohort in (one, other)]
    return states[0].keys() == states[1].keys() and all(torch.equal(states[0][k], states[1][k]) for k in states[0])


def test_training_changes_every_parameter(trainer, tiny):
    cohort, *_ = trainer("run", 2)
    for seed, name in ((1, "S1"), (2, "S2")):
        start = dict(tiny(seed).named_parameters())
        for key, value in cohort.networks[name].named_parameters():
            # A bias before BatchNorm cannot change the loss; Adam still moves it by rounding, so it is left out.
            assert key == "convolution.bias" or not torch.equal(value, start[key]), key


def stop_at(view, number):
    """Batches at which the process is asked to stop."""
    return Held(on_step=lambda *at: at == (view, number) and os.kill(os.getpid(), signal.SIGTERM))


@pytest.mark.parametrize("options", [{}, {"ema": 0.9}, {"optimizer": "sgd"}, {"max_grad_norm": 0.1}])
def test_four_epochs_straight_equal_two_a_restart_and_two(trainer, options):
    straight, straight_folder, *_ = trainer("straight", 4, **options)
    with pytest.raises(InterruptedRunError):
        trainer("parted", 4, stop_at(1, STEPS - 1), **options)
    resumed, resumed_folder, *_ = trainer("parted", 4, **options)
    assert same(straight, resumed)
    assert straight_folder.files.metrics.read_text() == resumed_folder.files.metrics.read_text()


@pytest.mark.parametrize("options", [{}, {"ema": 0.9}, {"precision": "bf16-mixed"}])
def test_a_run_stopped_inside_an_epoch_ends_with_the_same_bits(trainer, options):
    straight, folder, *_ = trainer("straight", 3, **options)
    with pytest.raises(InterruptedRunError):
        trainer("parted", 3, stop_at(1, 1), **options)
    resumed, resumed_folder, *_ = trainer("parted", 3, **options)
    assert same(straight, resumed)
    assert folder.files.metrics.read_text() == resumed_folder.files.metrics.read_text()


@pytest.mark.parametrize("view", [0, 2])
def test_a_kill_between_metrics_and_checkpoint_repeats_the_epoch(trainer, view):
    """What was appended after the last checkpoint, or before there was one, is cut off again."""
    straight, folder, *_ = trainer("straight", 3)

    def fail(*at):
        if at == (view, 1):
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        trainer("parted", 3, Held(on_step=fail))
    killed = folder_for(folder.path.parent / "parted", parse_recipe_of(folder))
    with killed.files.metrics.open("a") as file:
        file.write(f"main,{view + 1},S1,train,loss:stray,1\nmai")  # half a line, as a full disk leaves it
    resumed, resumed_folder, *_ = trainer("parted", 3)
    assert same(straight, resumed)
    assert folder.files.metrics.read_text() == resumed_folder.files.metrics.read_text()


def parse_recipe_of(folder):
    return parse_recipe(yaml.safe_load((folder.path / "recipe.yaml").read_text()))


def test_the_best_weights_are_those_of_the_best_epoch(trainer):
    _, folder, at, seen = trainer("run", 3, scores=lambda epoch: {1: 0.5, 2: 0.9, 3: 0.7}[epoch])
    best = kept(folder, "main", "S1")
    assert at.best["S1"] == 0.9
    assert all(torch.equal(best[key], value) for key, value in seen[1]["S1"].items())


def test_weights_can_be_kept_with_those_of_another_network(trainer):
    """S2 is best in the third epoch and S1 in the second."""
    scores = {1: {"S1": 0.5, "S2": 0.1}, 2: {"S1": 0.9, "S2": 0.2}, 3: {"S1": 0.7, "S2": 0.8}}
    _, folder, at, seen = trainer("run", 3, scores=lambda epoch: scores[epoch], kept={"S2": "S1"})
    best = kept(folder, "main", "S2")
    assert at.best == {"S1": 0.9, "S2": 0.9}
    assert all(torch.equal(best[key], value) for key, value in seen[1]["S2"].items())


def test_patience_stops_a_network_that_no_longer_improves(trainer):
    *_, at, seen = trainer("run", 9, scores=lambda epoch: 0.5 if epoch < 3 else 0.4, patience=2)
    assert at.epoch == 3
    assert len(seen) == 3


def test_validation_every_few_epochs_and_after_the_last(trainer):
    """The weights at the end do not depend on how often they are scored; the best are of a validated epoch."""
    cohort, folder, at, seen = trainer("every", 5, scores=lambda time: [0.1, 0.3, 0.2][time - 1], validate_every=2)
    rows = pd.read_csv(folder.files.metrics)
    assert rows[rows["split"] == "validation"]["epoch"].unique().tolist() == [2, 4, 5]
    assert rows[rows["split"] == "train"]["epoch"].unique().tolist() == [1, 2, 3, 4, 5]
    assert at.best == {"S1": 0.3, "S2": 0.3}
    best = kept(folder, "main", "S1")
    assert all(torch.equal(best[name], value) for name, value in seen[1]["S1"].items())
    assert same(cohort, trainer("plain", 5)[0])


def test_a_stage_that_ended_early_keeps_the_rows_of_later_stages(trainer):
    """Its epochs are not all done, yet it is: resuming must not cut metrics.csv back to its end."""
    worse = {"scores": lambda epoch: 0.5, "patience": 1}
    _, folder, *_ = trainer("run", 9, **worse)
    trainer("run", 1, stage_name="later", folder=folder)
    text = folder.files.metrics.read_text()
    trainer("run", 9, **worse)
    assert folder.files.metrics.read_text() == text


def test_weights_that_are_no_numbers_are_named(trainer, monkeypatch):
    """The last update of an epoch can break weights that no loss of the epoch sees any more."""
    updates = []

    def breaking(groups, spec, **options):
        optimizer = make_optimizer(groups, spec, **options)
        step = optimizer.step

        def broken():
            step()
            updates.append(1)
            if len(updates) == STEPS:
                groups[0].parameters[0].data.fill_(torch.nan)

        optimizer.step = broken
        return optimizer

    monkeypatch.setattr("preceptor.training.update.make_optimizer", breaking)
    with pytest.raises(NonFiniteLossError, match=r"weights are no finite numbers after epoch 1: learners\.S1"):
        trainer("run", 2)


def test_snapshots_are_kept(trainer):
    _, folder, _, seen = trainer("run", 3, stage_options={"snapshots": frozenset({1, 3})})
    for epoch in (1, 3):
        state = kept(folder, "main", "S2", epoch)
        assert all(torch.equal(state[key], value) for key, value in seen[epoch - 1]["S2"].items())
    assert not folder.files.weights("main", "S2", 2).exists()


def test_two_stages_that_continue_equal_one(trainer):
    """Optimiser, schedule, clock and random numbers go on: parts of a phase are not restarts."""
    whole, *_ = trainer("whole", 4)
    phase = {"phase": "main", "phase_epochs": 4}
    trainer("parts", 2, stage_name="first", stage_options={**phase, "epochs": 2})
    parts, *_ = trainer(
        "parts",
        2,
        stage_name="second",
        stage_options={**phase, "epochs": 2, "first_epoch": 2, "continues": "first"},
    )
    assert same(whole, parts)


def test_a_stage_that_continues_one_that_ended_early_passes_it_on(trainer):
    """All weights are settled in the first part: the second does nothing, and a third still finds where it stood."""
    parts = {"phase": "main", "phase_epochs": 6, "epochs": 2}
    whole, *_ = trainer("whole", 6, scores=lambda epoch: 0.5, patience=1)
    for number, name in enumerate(("first", "second", "third")):
        options = {**parts, "first_epoch": 2 * number, "continues": ("first", "second")[number - 1] if number else None}
        last, _, at, _ = trainer(
            "parts", 6, stage_name=name, stage_options=options, scores=lambda epoch: 0.5, patience=1
        )
    assert at.epoch == 2
    assert same(whole, last)


def test_the_schedule_of_a_part_restarts_where_it_says_so(trainer, tiny):
    """Halved after every epoch, the rate of the third epoch is a quarter, or the full one again."""
    stages = {}
    for restarts in (False, True):
        options = {"phase": "main", "phase_epochs": 3, "first_epoch": 2, "epochs": 1, "restarts_schedule": restarts}
        stages[restarts] = trainer(f"{restarts}", 3, stage_options=options, optimizer="sgd", momentum=0.0)[0]
    start = dict(tiny(1).named_parameters())["head.weight"]
    moved = {r: (c.networks["S1"].state_dict()["head.weight"] - start).norm().item() for r, c in stages.items()}
    assert moved[True] > 2 * moved[False]


def test_a_loss_that_is_no_number_is_named_with_its_samples(trainer):
    with pytest.raises(NonFiniteLossError, match=r"(?s)S1/task = nan.*epoch 1, step 2.*image-4, image-5, image-6"):
        trainer("run", 2, Held(poison_at=1))


def test_metrics_are_long_form(trainer):
    _, folder, *_ = trainer("run", 2)
    rows = list(csv.DictReader(folder.files.metrics.read_text().splitlines()))
    assert list(rows[0]) == ["stage", "epoch", "network", "split", "metric", "value"]
    assert {row["metric"] for row in rows if row["network"] == "S1"} == {"loss:S1/task", "loss:S2->S1/kd", "accuracy"}


def test_sequential_turns_see_refreshed_predictions(trainer):
    together, *_ = trainer("together", 1)
    in_turn, *_ = trainer("in-turn", 1, stage_options={"turns": (("S1",), ("S2",))})
    one, other = (c.networks["S2"].state_dict()["head.weight"] for c in (together, in_turn))
    assert not torch.equal(one, other)


def test_clipping_is_per_network(trainer):
    """A network's step does not depend on the size of another's gradient: S1 alone moves as in the pair."""
    clipped, *_ = trainer("clipped", 1, max_grad_norm=1e-3, optimizer="sgd")
    free, *_ = trainer("free", 1, optimizer="sgd")
    assert not same(clipped, free)


def test_a_run_folder_of_another_recipe_is_refused(trainer, tmp_path):
    _, folder, *_ = trainer("run", 1)
    recipe = parse_recipe_of(folder)
    with pytest.raises(UserError, match=r"another recipe \(it says `seed: 0`, this one `seed: 1`\)"):
        folder_for(folder.path, recipe.model_copy(update={"seed": 1}))
