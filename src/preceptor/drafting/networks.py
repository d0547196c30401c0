"""A teacher and a student that this machine can train, with weights where they can be had."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from preceptor.drafting.choice import DraftedValue
from preceptor.hub import WEIGHTS_FOLDER, ask, file_at_hand, is_cached
from preceptor.specs import Task

_CLASSIFIERS = {
    "resnet50": ("timm/resnet50.a1_in1k", 24),
    "resnet18": ("timm/resnet18.a1_in1k", 11),
    "mobilenetv3_small_100": ("timm/mobilenetv3_small_100.lamb_in1k", 1.5),
    "mobilenetv3_small_050": ("timm/mobilenetv3_small_050.lamb_in1k", 0.6),
}
"""Name -> its repository on the hub, and millions of parameters without its ImageNet classes."""
_BESIDE = {
    "tf_efficientnet_lite2": ("timm/tf_efficientnet_lite2.in1k", 4.8),
    "tf_efficientnet_lite0": ("timm/tf_efficientnet_lite0.in1k", 3.4),
}
"""The same of a teacher and a student, or of encoders, that are taken where their files lie on this machine."""
_FILES = tuple(_BESIDE)
_REVISION = "3f2325ff978283d47aa6a1d6878ca20565622683"
_ENCODERS: dict[str, tuple[str, str | None]] = {
    "resnet34": ("smp-hub/resnet34.imagenet", "7a57b34f723329ff020b3f8bc41771163c519d0c"),
    "resnet18": ("smp-hub/resnet18.imagenet", _REVISION),
    "mobilenetv3_small_100": ("timm/mobilenetv3_small_100.lamb_in1k", None),
    "mobilenetv3_small_050": ("timm/mobilenetv3_small_050.lamb_in1k", None),
}
"""Name of an encoder -> its repository and revision on the hub."""
_DECODERS = {"teacher": [128, 64, 32, 16, 16], "student": [64, 32, 16, 8, 8]}


@dataclass(frozen=True)
class Machine:
    """What is here to train with.

    Args:
        has_gpu: whether there is an NVIDIA GPU.
        cached: repositories of the hub whose weights lie on this machine.
        has_hub: whether the hub answers.
        files: networks of which a file of weights lies in ``${PRECEPTOR_WEIGHTS}``.
    """

    has_gpu: bool
    cached: frozenset[str]
    has_hub: bool
    files: frozenset[str] = frozenset()

    def has_weights(self, repositories: list[str]) -> bool:
        """Whether the weights of all of them can be had."""
        return self.has_hub or self.cached.issuperset(repositories)


def ask_hub() -> Callable[[], bool]:
    """Begin to ask whether the hub has weights, while other work is done; gives what waits for the answer."""
    return ask(_CLASSIFIERS["resnet18"][0])


def this_machine(has_hub: Callable[[], bool]) -> Machine:
    """The machine at hand, as far as it matters for networks."""
    wanted = {repository: None for repository, _ in _CLASSIFIERS.values()} | dict(_ENCODERS.values())
    has_gpu = os.path.exists("/dev/nvidiactl") or shutil.which("nvidia-smi") is not None
    cached = frozenset(name for name, revision in wanted.items() if is_cached(name, revision))
    files = frozenset(name for name in _FILES if file_at_hand(name))
    return Machine(has_gpu, cached, has_hub(), files)


def choose_networks(task: Task, machine: Machine) -> tuple[list[DraftedValue], bool]:
    """Teacher and student, and whether they start from ImageNet."""
    teacher, student = _pair(task, machine.has_gpu)
    repositories = _repositories(task, (teacher, student))
    is_pretrained = machine.has_weights(repositories)
    where = "they lie in this machine's cache" if not machine.has_hub else "the Hugging Face hub answers"
    if not is_pretrained and machine.files.issuperset(_FILES):
        (teacher, student), is_pretrained = _FILES, True
        where = f"files of them lie in ${{{WEIGHTS_FOLDER}}}; the Hugging Face hub does not answer"
    weights = "imagenet" if is_pretrained else "none"
    start = (
        f"Weights from ImageNet: {where}."
        if is_pretrained
        else "Weights from ImageNet cannot be had here: the Hugging Face hub does not answer, and they are not in its "
        "cache. These start from random numbers, which wants more epochs and ends lower; where there is a network, or "
        "a file, set weights to imagenet or to the path of a .safetensors file."
    )
    size = "a GPU was found" if machine.has_gpu else "no GPU was found, so both are small"
    return [
        DraftedValue(
            "networks.teacher",
            _spec(task, teacher, weights, "teacher"),
            (start, f"{_title(task, teacher)} teaches: {size}. Larger ones teach better and take longer."),
        ),
        DraftedValue(
            "networks.student", _spec(task, student, weights, "student"), (f"{_title(task, student)} learns.",)
        ),
        DraftedValue("networks.count", 1, ("One student; ml and kd_ml want two or more, which teach each other.",)),
    ], is_pretrained


def _pair(task: Task, has_gpu: bool) -> tuple[str, str]:
    if task == "segmentation":
        return ("resnet34", "mobilenetv3_small_100") if has_gpu else ("resnet18", "mobilenetv3_small_050")
    return ("resnet50", "mobilenetv3_small_100") if has_gpu else ("resnet18", "mobilenetv3_small_050")


def _repositories(task: Task, names: tuple[str, str]) -> list[str]:
    known: dict[str, tuple[str, Any]] = dict(_CLASSIFIERS if task == "classification" else _ENCODERS)
    return [known[name][0] for name in names]


def _spec(task: Task, name: str, weights: str, role: str) -> dict[str, Any]:
    if task == "classification":
        return {"architecture": name, "weights": weights}
    return {
        "architecture": "unet",
        "encoder": name,
        "weights": weights,
        "options": {"decoder_channels": _DECODERS[role]},
    }


def _title(task: Task, name: str) -> str:
    if task == "segmentation":
        return f"A U-Net on {name}"
    return f"{name} ({(_CLASSIFIERS | _BESIDE)[name][1]:g} million parameters)"
