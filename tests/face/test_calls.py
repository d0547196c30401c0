"""Every name of the face answers a wrong call in words, and changes nothing of the process."""

import inspect
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import preceptor as pc
from preceptor.face import losses
from preceptor.face.trained import TrainedNetwork

from .nets import Small, stands

KD = pc.SoftTarget(4)


def cohort(*edges, **more):
    return pc.Cohort({"A": Small(4), "B": Small(4)}, list(edges), **{"task_loss": nn.CrossEntropyLoss(), **more})


WRONG = [
    (lambda: pc.teach("A", "B", KD, taps=("x",)), "no argument 'taps'; did you mean tap or teacher_tap"),
    (lambda: pc.teach("A", "B", KD, temperature=4), "no argument 'temperature'"),
    (lambda: pc.teach("A", "B"), "missing a required argument: 'loss'"),
    (lambda: pc.teach(Small(4), "B", KD), "by their names in the cohort were wanted, got Small"),
    (lambda: pc.teach("A", "B", KD, weight="0.5"), "A teaches B: weight='0.5': a number"),
    (lambda: pc.teach("A", "B", KD, weight=float("nan")), "weight=nan: a number"),
    (lambda: pc.teach("A", "B", KD, tap=3), "tap=3: the name of a submodule, or a tuple of names"),
    (lambda: pc.teach("A", "B", KD, teacher_tap=[]), r"teacher_tap=\[\]: the name of a submodule"),
    (lambda: pc.teach("A", "B", KD, ramp=5), r"ramp=5: Ramp\(epochs=5\)"),
    (lambda: pc.mutual(["A", "B"], KD, taps="x"), "mutual: no argument 'taps'; did you mean tap"),
    (lambda: pc.mutual(["A", "B"], KD, tap={"A": "x"}), "tap has A, and the peers are A, B"),
    (lambda: pc.mutual(["A", "B"], 3), "a loss such as preceptor.SoftTarget"),
    (lambda: pc.mutual({"A", "B"}, KD), "two or more names"),
    (lambda: pc.frozen(model=Small(4)), "frozen: no argument 'model'; did you mean module"),
    (lambda: cohort(pc.mutual(["A", "B"], KD)), r"got list; mutual\(…\) gives several: put a \* before it"),
    (lambda: cohort(task_loss=None), "task_loss: nn.CrossEntropyLoss.. or the like"),
    (lambda: cohort(task_loss=nn.CrossEntropyLoss), "task_loss: nn.CrossEntropyLoss.. or the like"),
    (lambda: cohort(task_weight={"A": 1}), "Cohort: no argument 'task_weight'; did you mean task_weights"),
    (lambda: cohort(probe=[1]), "a batch of images .* got list"),
    (lambda: pc.Cohort([Small(4)], [], nn.CrossEntropyLoss()), r'networks: {"A": module, …} was wanted, got list'),
    (lambda: pc.fit(Small(4), [], epochs=1), "fit: a Cohort was wanted, got Small"),
    (lambda: pc.fit(cohort(), [], epoch=1), "fit: no argument 'epoch'; did you mean epochs"),
    (lambda: pc.fit(cohort(), [], epochs=1, folder=3), "fit: the path of a folder was wanted, got int"),
    (lambda: pc.taps(Small(4), name=["body"]), "taps: no argument 'name'; did you mean names"),
    (lambda: pc.taps([], ["body"]).__enter__(), "taps: a torch module was wanted, got list"),
    (lambda: pc.FitNet().build(students=(8, 4, 4)), "FitNet.build: no argument 'students'; did you mean student"),
    (lambda: pc.SoftTarget(temprature=4), "no option 'temprature'; did you mean 'temperature'"),
    (lambda: pc.load_run(path="runs/a"), "load_run: no argument 'path'; it is load_run"),
    (lambda: pc.load_run(3), "load_run: the path of a folder was wanted, got int"),
    (lambda: pc.train(None, floder="a"), "train: no argument 'floder'; did you mean folder"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), WRONG)
def test_a_wrong_call_is_answered_in_words(call, words):
    with pytest.raises(pc.UserError, match=words):
        call()


def test_every_function_and_method_of_the_face_does_so():
    names = set(pc.__all__) - {"Recipe", "Ramp", "UserError"}
    wanted = [getattr(pc, name) for name in names if not inspect.isclass(getattr(pc, name))]
    wanted += [pc.Cohort.__init__, pc.Cohort.build, losses.SoftTarget.build]
    wanted += [TrainedNetwork.predict, TrainedNetwork.masks, TrainedNetwork.preprocess]
    assert [one.__qualname__ for one in wanted if not hasattr(one, "__wrapped__")] == []


def test_files_are_asked_for_by_path():
    for wrong in (torch.zeros(3, 4, 4), [torch.zeros(3, 4, 4)], 3):
        with pytest.raises(pc.UserError, match=r"paths of images were wanted.*student\.preprocess\(image\)"):
            TrainedNetwork.predict(object.__new__(Answering), wrong)


class Answering(TrainedNetwork):
    """One that is never asked."""

    _predictor = SimpleNamespace(predict=None)


def test_peers_that_are_built_differently_are_tapped_by_name():
    edges = pc.mutual(["A", "B"], pc.FitNet(), tap={"A": "body.0", "B": "body.2"}, ramp=pc.Ramp(epochs=3))
    assert [(one.source, one.student_tap, one.teacher_tap) for one in edges] == [
        ("A", "body.2", "body.0"),
        ("B", "body.0", "body.2"),
    ]
    assert {one.ramp.epochs for one in edges} == {3}
    assert pc.teach("A", "B", KD, tap=["x", "y"]).student_tap == ("x", "y")


class Restless(Small):
    """It draws from everything that it can."""

    def __init__(self):
        super().__init__(4)
        self.own = torch.Generator().manual_seed(1)

    def forward(self, images):
        noise = random.random() + np.random.rand() + torch.rand(()) + torch.rand((), generator=self.own)
        return super().forward(images + noise)


def test_building_and_declaring_leave_threads_and_generators_alone():
    restless = Restless()
    networks = {"T": pc.frozen(Restless()), "A": restless, "B": Restless()}
    before, own = stands(), restless.own.get_state()
    edges = [pc.teach("T", "A", pc.FitNet(), tap="body.2"), *pc.mutual(["A", "B"], KD)]
    pc.Cohort(networks, edges, nn.CrossEntropyLoss(), probe=torch.zeros(2, 3, 12, 12))
    assert stands() == before
    assert torch.equal(restless.own.get_state(), own)


def test_fit_draws_only_what_loaders_and_modules_draw():
    networks = cohort(pc.teach("A", "B", pc.SoftTarget(4)), probe=torch.zeros(2, 3, 12, 12))
    for network in networks.learners.values():
        network.drop.p = 0.0
    networks.eval()
    before = stands()
    pc.fit(networks, [(torch.rand(2, 3, 12, 12, generator=torch.Generator()), torch.tensor([0, 1]))], epochs=1)
    assert stands()[:3] == before[:3]
