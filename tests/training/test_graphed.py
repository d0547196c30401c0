"""Recorded steps equal steps as they are. No GPU is needed: a tape stands for a CUDA graph, and keeps its rules."""

import gc
import weakref
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from preceptor.knowledge.task_loss import ClassificationLoss
from preceptor.machine import placement, recorder
from preceptor.machine.placement import Placement
from preceptor.machine.recorder import Recording
from preceptor.networks.build import build_network
from preceptor.specs import NetworkSpec
from preceptor.training import graphed, run

from .phantoms import exported, forget_placements, last, place, recipe_for, train
from .test_every_loss import AS_WIDE, CASES, of_speed, one_loss
from .test_every_loss import distil as distil


@pytest.fixture(autouse=True)
def _measured_anew(packed):
    forget_placements(packed)


EXACT = {"epochs": 3, "lr": 2.0**-10, "placement": "measured"}
"""A rate that float32 holds, as it is on a GPU."""

SHORT = EXACT | {"epochs": 2}
"""Enough for a recording and some replays."""


def tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def storage(tensor):
    return tensor.untyped_storage().data_ptr()


class Tape(TorchDispatchMode):
    """Notes every operation and undoes what they change; ``replay`` does them again, in the same memory.

    As on a GPU, whatever Python decided or computed stays as it was.
    """

    def __init__(self):
        super().__init__()
        self.done, self.before, self.made = [], {}, set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for tensor in tensors((args, kwargs)):
            if storage(tensor) not in {*self.made, *self.before}:
                self.before[storage(tensor)] = tensor.untyped_storage(), tensor.untyped_storage().clone()
        found = func(*args, **(kwargs or {}))
        known = {storage(tensor) for tensor in tensors((args, kwargs))}
        self.made.update(storage(tensor) for tensor in tensors(found) if storage(tensor) not in known)
        self.done.append((func, args, kwargs or {}, found))
        return found

    def __exit__(self, *error):
        super().__exit__(*error)
        for now, before in self.before.values():
            now.copy_(before)

    @torch.no_grad()
    def replay(self):
        for func, args, kwargs, before in self.done:
            now = func(*args, **kwargs)
            for old, new in zip(tensors(before), tensors(now), strict=True):
                if storage(old) != storage(new):
                    old.copy_(new)


class Tapes:
    """A recorder for the CPU."""

    def __init__(self):
        self.recorded = self.replayed = 0

    def aside(self, call):
        return call()

    def record(self, call):
        self.recorded += 1
        with Tape() as tape:
            found = call()

        def replay():
            self.replayed += 1
            tape.replay()

        return Recording(call, replay, found)

    def wait(self):
        pass


class Addresses(TorchDispatchMode):
    """Notes the memory that operations read and did not make, as addresses: nothing is kept alive by it."""

    def __init__(self):
        super().__init__()
        self.read, self._made = {}, set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = {storage(tensor): tensor.untyped_storage() for tensor in tensors((args, kwargs))}
        for where in given.keys() - self._made - self.read.keys():
            self.read[where] = StorageWeakRef(given[where])
        found = func(*args, **(kwargs or {}))
        self._made.update(storage(tensor) for tensor in tensors(found) if storage(tensor) not in given)
        return found


class Graphs:
    """A recorder whose recordings only look whether a GPU's would read memory that was given back."""

    def __init__(self):
        self.replayed, self.read = 0, []

    def aside(self, call):
        return call()

    def record(self, call):
        with Addresses() as addresses:
            found = call()
        self.read.append(len(addresses.read))

        def replay():
            self.replayed += 1
            if any(reference.expired() for reference in addresses.read.values()):
                pytest.fail("an illegal memory access was encountered")

        return Recording(call, replay, found)

    def wait(self):
        pass


@pytest.fixture
def graphs(monkeypatch, tmp_path):
    """Steps are recorded, and placements measured by recording them, as on a GPU."""
    found = Graphs()
    monkeypatch.setenv("PRECEPTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(recorder.RECORDERS, "cpu", lambda: found)
    return found


@pytest.fixture
def tapes(monkeypatch, tmp_path):
    """Steps are recorded on this machine as on one with a GPU."""
    found = Tapes()
    monkeypatch.setenv("PRECEPTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(placement, "_times", lambda *_: {Placement(): 1.0})
    monkeypatch.setitem(recorder.RECORDERS, "cpu", lambda: found)
    return found


@pytest.fixture
def alike(tapes, tmp_path, monkeypatch):
    """``alike(recipe)`` trains a recipe as it is and recorded; both must end with the same bits."""

    def compare(recipe):
        _, text = train(recipe, tmp_path / "recorded")
        with monkeypatch.context() as patch:
            patch.delitem(recorder.RECORDERS, "cpu")
            train(recipe, tmp_path / "plain")
        one, other = last(tmp_path / "recorded"), last(tmp_path / "plain")
        assert_same_bits(one, other, "recorded")
        metrics = [(tmp_path / name / "metrics.csv").read_bytes() for name in ("recorded", "plain")]
        assert metrics[0] == metrics[1]
        return text

    return compare


MIXTURES = {
    "alone": {"name": "baseline"},
    "offline": {"name": "kd_offline", "strategy": "predictions"},
    "online": {"name": "kd_online", "strategy": "features", "adapter": "always"},
    "mutual": {"name": "ml", "strategy": "diverse", "adapter": "always"},
    "in turns": {"name": "kd_ml", "strategy": "predictions", "sequential": True},
}


QUICK = {("classification", "online"), ("segmentation", "mutual")}


@pytest.mark.parametrize(
    ("task", "name"),
    [
        pytest.param(task, name, marks=() if (task, name) in QUICK else pytest.mark.slow)
        for task in ("classification", "segmentation")
        for name in MIXTURES
    ],
)
def test_recorded_steps_are_the_steps(alike, tapes, packed, teachers, task, name):
    technique = MIXTURES[name] | ({"teacher": str(teachers[task])} if name == "offline" else {})
    students = {"count": 1 if name == "alone" else 2}
    text = alike(recipe_for(task, technique, packed, networks=students, training=EXACT))
    assert "not replayed" not in text
    whole = {"classification": 4, "segmentation": 2}[task]  # batches of an epoch, beside a smaller one
    assert (tapes.recorded, tapes.replayed) == (1, 3 * whole - recorder.WARM_UP)


@pytest.mark.parametrize(
    "training",
    [
        pytest.param({"optimizer": "sgd", "nesterov": True}, marks=pytest.mark.slow),
        pytest.param({"optimizer": "adamw", "max_grad_norm": 0.1, "weight_decay": 0.1}, marks=pytest.mark.slow),
        {"ema": 0.9},
        pytest.param({"precision": "bf16-mixed"}, marks=pytest.mark.slow),
        pytest.param({"schedule": "step", "step_epochs": 1, "decay": 0.5}, marks=pytest.mark.slow),
        {"drop_last": True, "balance": "over"},
    ],
    ids=str,
)
def test_whatever_the_training(alike, tapes, packed, training):
    alike(recipe_for("classification", {"name": "ml"}, packed, networks={"count": 2}, training=SHORT | training))
    assert tapes.replayed


def test_a_weight_that_rises_is_recorded_anew(alike, tapes, packed, distil):
    recipe = distil("classification", {"loss": "fitnet", "warmup": 3}, training=EXACT | {"epochs": 5})
    alike(recipe)
    assert tapes.recorded == 3  # in epochs 1, 2 and from 3 on


def test_what_is_kept_of_a_teacher_feeds_the_recording(alike, tapes, distil):
    text = alike(distil("classification", {"loss": "fitnet"}, training=SHORT, augment={"views": 1}))
    assert "says was read" in text
    assert tapes.replayed


def test_a_stopped_run_goes_on_with_the_same_bits(tapes, packed, tmp_path, interrupted):
    recipe = recipe_for("classification", {"name": "ml"}, packed, networks={"count": 2}, training=EXACT)
    train(recipe, tmp_path / "whole")
    interrupted(recipe, tmp_path / "parted", epoch=1, step=1)
    train(recipe, tmp_path / "parted")
    for name in ("S1", "S2"):
        assert exported(tmp_path / "parted", name) == exported(tmp_path / "whole", name)


@pytest.mark.slow
def test_a_checkpoint_is_that_of_any_run(tapes, packed, tmp_path, interrupted, monkeypatch):
    """A run that was recorded goes on where nothing is, and the other way round."""
    recipe = recipe_for("classification", {"name": "baseline"}, packed, training=EXACT)
    train(recipe, tmp_path / "whole")
    for number, first in enumerate((True, False)):
        for is_recorded in (first, not first):
            with monkeypatch.context() as patch:
                if not is_recorded:
                    patch.delitem(recorder.RECORDERS, "cpu")
                if is_recorded == first:
                    interrupted(recipe, tmp_path / str(number), epoch=1, step=2)
                else:
                    train(recipe, tmp_path / str(number))
        assert exported(tmp_path / str(number), "S1") == exported(tmp_path / "whole", "S1")


def test_random_numbers_are_not_recorded(alike, tapes, packed):
    student = {"architecture": "resnet10t", "weights": "none", "options": {"drop_rate": 0.2}}
    recipe = recipe_for("classification", {"name": "baseline"}, packed, networks={"student": student}, training=SHORT)
    text = alike(recipe)
    assert "not replayed as a graph" in text
    assert "draws random numbers" in text
    assert not tapes.recorded


@pytest.mark.parametrize("is_buffer", [True, False])
def test_a_tensor_that_is_replaced_is_not_recorded(alike, tapes, packed, monkeypatch, is_buffer):
    """A replay would go on reading the one that was there."""
    forward = ClassificationLoss.forward

    def counting(self, logits, targets):
        self.seen = getattr(self, "seen", torch.zeros(1)) + len(targets)
        return forward(self, logits, targets) * (1 + 0 * self.seen.sum())

    if is_buffer:
        monkeypatch.setattr(ClassificationLoss, "__init__", with_buffer(ClassificationLoss.__init__))
    monkeypatch.setattr(ClassificationLoss, "forward", counting)
    text = alike(recipe_for("classification", {"name": "baseline"}, packed, training=SHORT))
    assert "task_loss.seen is replaced by another tensor" in text
    assert not tapes.recorded


def with_buffer(init):
    def initialise(self, *given, **named):
        init(self, *given, **named)
        self.register_buffer("seen", torch.zeros(1))

    return initialise


def test_what_cannot_be_recorded_after_all_goes_on_as_it_is(alike, tapes, packed, monkeypatch):
    def failing(call):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(tapes, "record", failing)
    text = alike(recipe_for("classification", {"name": "baseline"}, packed, training=SHORT))
    assert "not replayed as a graph: recording failed: operation not permitted" in text


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_the_probe_of_a_placement_keeps_what_its_recordings_read(graphs, precision):
    """Several ways are timed in turn: the copied network and the images of each must outlive the next recording."""
    spec = NetworkSpec(architecture="test_resnet", weights="none")
    network = build_network(spec, task="classification", classes=("a", "b"), image_size=(32, 32), seed=0)
    found = place(network, 4, trains=True, precision=precision, epochs=1, steps=9)
    placements = len(found.times)
    assert len(graphs.read) == placements == (4 if precision else 2)
    assert graphs.replayed == 2 * placement.ROUNDS * placements
    assert min(graphs.read) > len(list(network.parameters()))  # all weights, and the images


@pytest.mark.parametrize("name", ["online", "offline"])
def test_a_recorded_stage_keeps_what_its_steps_read(graphs, packed, teachers, tmp_path, name):
    technique = MIXTURES[name] | ({"teacher": str(teachers["classification"])} if name == "offline" else {})
    train(recipe_for("classification", technique, packed, training=SHORT), tmp_path / "run")
    assert graphs.replayed


def test_what_is_recorded_anew_keeps_its_own(graphs, distil, tmp_path):
    train(distil("classification", {"loss": "fitnet", "warmup": 3}, training=EXACT | {"epochs": 5}), tmp_path / "run")
    assert len(graphs.read) > 3


def test_a_cuda_graph_keeps_what_it_reads_as_long_as_it_can_be_replayed(monkeypatch):
    for name in ("Stream", "graph_pool_handle"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: SimpleNamespace(replay=lambda: None))
    monkeypatch.setattr(torch.cuda, "graph", lambda *_, **__: nullcontext())
    weight = torch.ones(3)
    there = weakref.ref(weight)
    recording = recorder.Cuda().record(lambda weight=weight: weight.sum())
    del weight
    gc.collect()
    recording()
    assert there() is not None
    assert recording.found == 3
    del recording
    assert there() is None


def test_a_stage_that_is_over_leaves_no_recording(graphs, packed, tmp_path, monkeypatch):
    """No circle of references: the device's memory is free before the next stage begins."""
    made, record = [], graphs.record

    def noting(call):
        made.append(weakref.ref(recording := record(call)))
        return recording

    monkeypatch.setattr(graphs, "record", noting)
    gc.disable()
    try:
        train(recipe_for("classification", MIXTURES["online"], packed, training=EXACT), tmp_path / "run")
        assert made
        assert not [one for one in made if one() is not None]
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda x: x.sum().item(), "waits for the device"),
        (lambda x: x[x > 0], "waits for the device"),
        (lambda x: x[torch.tensor([0, 1])], None),
        (lambda x: F.dropout(x), "draws random numbers"),
        (lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None]), None),
        (lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None], dropout_p=0.5), "draws random numbers"),
        (lambda x: x.to("meta"), "copies between cpu and meta"),
    ],
)
def test_what_a_recording_cannot_hold_is_noticed(call, why):
    given = torch.rand(4, 8)
    with graphed._Noticing() as noticed:
        call(given)
    assert any(why in one for one in noticed.found) if why else not noticed.found


@pytest.mark.parametrize("change", [{"placement": "fixed"}, {"precision": "16-mixed"}])
def test_what_fixes_its_placement_or_scales_its_loss_is_not_recorded(tapes, packed, tmp_path, change):
    training = EXACT | change | {"epochs": 1}
    train(recipe_for("classification", {"name": "baseline"}, packed, training=training), tmp_path / "run")
    assert not tapes.recorded


@pytest.fixture
def deterministic(monkeypatch):
    """Kernels that give the same bits every time, in float32; tests/conftest.py sets what CUDA reads at its start."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.filterwarnings("ignore:.*deterministic:UserWarning")  # whether bits repeat is what "plain again" tests
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_cuda_graphs_are_the_steps(packed, tmp_path, monkeypatch, deterministic, optimizer):
    training = EXACT | {"optimizer": optimizer}
    recipe = recipe_for("classification", MIXTURES["online"], packed, networks={"count": 2}, training=training)
    recorded, record = [], recorder.Cuda.record

    def noting(self, call):
        recorded.append(call)
        return record(self, call)

    monkeypatch.setattr(recorder.Cuda, "record", noting)
    monkeypatch.setattr(placement, "_times", lambda *_: {Placement(): 1.0})  # both runs compute in the same way
    for name in ("recorded", "plain", "plain again"):
        with monkeypatch.context() as patch:
            if name != "recorded":
                patch.delitem(recorder.RECORDERS, "cuda")
            run.train_recipe(recipe, tmp_path / name, device="cuda")
    assert recorded
    plain = last(tmp_path / "plain")
    for name in ("plain again", "recorded"):
        assert_same_bits(last(tmp_path / name), plain, name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_placement_is_measured_on_a_gpu():
    spec = NetworkSpec(architecture="resnet18", weights="none")
    network = build_network(spec, task="classification", classes=("a", "b"), image_size=(96, 96), seed=0).to("cuda")
    found = place(network, 8, trains=True, precision=torch.bfloat16, epochs=1, steps=9)
    assert all(found.times.values())


def assert_same_bits(one, other, words):
    assert one.keys() == other.keys()
    assert not [name for name in one if not torch.equal(one[name], other[name])], words


DRAWING = {"crd", "mgd", "skd holistic"}


@pytest.mark.parametrize(("name", "task"), [of_speed(*case) for case in CASES])
def test_every_loss_is_recorded_but_those_that_draw(alike, tapes, distil, name, task):
    as_wide = AS_WIDE | {"options": {}}  # without dropout
    recipe = one_loss(distil, name, task, as_wide=as_wide, training=SHORT)
    text = alike(recipe)
    assert bool(tapes.replayed) == (name not in DRAWING), text
