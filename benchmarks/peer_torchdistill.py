"""torchdistill, set up as its documentation shows; see peers.py. Wants the extra `peers`."""

from typing import Any

from torch import Tensor, nn
from torchdistill.core.distillation import DistillationBox
from torchdistill.core.training import TrainingBox
from torchdistill.losses.registry import register_mid_level_loss

from peer_loops import ALPHA, CPU, LR, TEMPERATURE, Diverse, Loop, MaskKD

for loss in (MaskKD, Diverse):
    register_mid_level_loss(loss)


class TorchDistill(Loop):
    """torchdistill's box, with a teacher or, where everything trains, without."""

    def __init__(self, criterion: dict[str, Any], student: nn.Module, teacher: nn.Module | None = None) -> None:
        config: dict[str, Any] = {
            "num_epochs": 1,
            "optimizer": {"key": "Adam", "kwargs": {"lr": LR}},
            "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {"all": {**criterion, "weight": 1.0}}}},
        }
        if teacher is None:
            self.box = TrainingBox(student, {}, {**config, "model": FORWARD}, CPU, None, False, 1)
        else:
            teacher.eval()
            parts = {"teacher": {**FORWARD, "requires_grad": False}, "student": FORWARD}
            self.box = DistillationBox(teacher, student, {}, {**config, **parts}, CPU, None, False, 1)
        self.box.pre_epoch_process(epoch=0)

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        loss: Tensor = self.box.forward_process(images, targets, None)
        return loss

    def update(self, loss: Tensor) -> None:
        self.box.post_forward_process(loss=loss)


FORWARD = {"forward_proc": "forward_batch_only"}
KD = {
    "criterion": {
        "key": "KDLoss",
        "kwargs": {
            "student_module_path": ".",
            "student_module_io": "output",
            "teacher_module_path": ".",
            "teacher_module_io": "output",
            "temperature": TEMPERATURE,
            "alpha": ALPHA,
            "reduction": "batchmean",
        },
    }
}
MASK_KD: dict[str, Any] = {"criterion": {"key": "MaskKD", "kwargs": {}}}
DIVERSE: dict[str, Any] = {"criterion": {"key": "Diverse", "kwargs": {}}}
