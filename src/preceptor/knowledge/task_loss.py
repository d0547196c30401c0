r"""The task's own loss: cross entropy for classes, focal plus Dice for masks.

The mask loss is that of Niyaz et al., *Computers in Biology and Medicine*, their equation of the focal and Dice loss:
:math:`-\sum_i (1 - p_{t,i})^\gamma \log p_{t,i} + 1 - 2\sum pg / (\sum p^2 + \sum g^2)`.

Differs: as printed the focal term does not see the mask and would make every pixel foreground; here
:math:`p_t` is the probability of the true class (Lin et al. 2017, arXiv:1708.02002, eq. 5). It is a mean over
pixels, since the printed sum would outweigh the Dice term by the number of pixels; ``sum`` is an option.
"""

from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.ignored import mean_of_known, silenced
from preceptor.specs import IGNORED, Task, TaskLossSpec

Reduction = Literal["mean", "sum"]


def focal_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
    reduction: Reduction = "mean",
    known: Tensor | None = None,
) -> Tensor:
    r"""Cross entropy of each pixel times :math:`(1 - p_t)^\gamma`, so that easy pixels count little.

    Args:
        alpha: factor of foreground pixels; background has ``1 - alpha``. None weighs both 1.
        known: (N, H, W), True where a pixel counts; None counts all.

    Shapes:
        logits: (N, 1, H, W) for one foreground class, else (N, C, H, W); targets: (N, H, W) int64
        returns: (), over all pixels of the batch
    """
    if logits.shape[1] == 1:
        towards_target = logits[:, 0] * (2 * targets - 1)
        log_right, log_wrong = F.logsigmoid(towards_target), F.logsigmoid(-towards_target)
    else:
        log_right = F.log_softmax(logits, dim=1).gather(1, targets[:, None])[:, 0]
        others = logits.scatter(1, targets[:, None], -torch.inf)
        log_wrong = others.logsumexp(dim=1) - logits.logsumexp(dim=1)
    per_pixel = -(gamma * log_wrong).exp() * log_right
    if alpha is not None:
        per_pixel = per_pixel * torch.where(targets > 0, alpha, 1.0 - alpha)
    if reduction == "mean":
        return mean_of_known(per_pixel, known)
    return per_pixel.sum() if known is None else per_pixel.where(known, 0.0).sum()


def dice_loss(
    logits: Tensor, targets: Tensor, *, squared: bool = True, eps: float = 1e-7, known: Tensor | None = None
) -> Tensor:
    r""":math:`1 - 2\sum pg / (\sum p^2 + \sum g^2)`, sums over all pixels of the batch; mean over classes.

    One foreground class is scored alone; with several channels, background is a class like the others.

    Args:
        squared: False leaves out the squares.
        eps: only against 0/0; nothing predicted where nothing is to be found costs 0.
        known: (N, H, W), True where a pixel counts; None counts all.

    Shapes:
        logits: (N, 1, H, W) for one foreground class, else (N, C, H, W); targets: (N, H, W) int64
        returns: ()
    """
    if logits.shape[1] == 1:
        probabilities, truth = logits.sigmoid(), targets[:, None].to(logits.dtype)
    else:
        probabilities = logits.softmax(dim=1)
        truth = torch.zeros_like(logits).scatter_(1, targets[:, None], 1.0)
    probabilities, truth = silenced(probabilities, known), silenced(truth, known)
    pixels = (0, 2, 3)
    overlap = (probabilities * truth).sum(dim=pixels)
    size = (probabilities.square() if squared else probabilities).sum(dim=pixels) + truth.sum(dim=pixels)
    return (1 - (2 * overlap + eps) / (size + eps)).mean()


def balanced_class_weights(labels: Tensor, classes: int) -> Tensor:
    """Inverse class frequency n / (classes · n_c) of (n,) labels, float32 (classes,): 1 for equal classes."""
    counts = torch.bincount(labels, minlength=classes)
    return len(labels) / (classes * counts.clamp(min=1)).float()


class ClassificationLoss(nn.Module):
    """Softmax cross entropy (N, C) against (N,), in float32; with ``class_weights`` (C,) their weighted mean.

    Args:
        lacks_labels: some targets are -1, which count in no way: the mean is over the others, 0 where there are none.
    """

    def __init__(
        self, *, label_smoothing: float = 0.0, class_weights: Tensor | None = None, lacks_labels: bool = False
    ) -> None:
        super().__init__()
        self.lacks_labels = lacks_labels
        self.label_smoothing = label_smoothing
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast(logits.device.type, enabled=False):
            loss = partial(F.cross_entropy, weight=self.class_weights, label_smoothing=self.label_smoothing)
            if not self.lacks_labels:
                return loss(_full(logits), targets)
            known = (targets >= 0).to(torch.float32)
            each = known if self.class_weights is None else known * self.class_weights[targets.clamp(min=0)]
            total = each.sum()
            return loss(_full(logits), targets, ignore_index=-1, reduction="sum") / total.where(total > 0, 1.0)


class MaskLoss(nn.Module):
    """:func:`focal_loss` plus :func:`dice_loss`, in float32.

    Args:
        ignores: targets may have pixels that count nowhere: ignored ones, and all of an image without a mask, -1.
            Where none counts, it is exactly 0.
    """

    def __init__(
        self,
        *,
        focal_gamma: float = 2.0,
        focal_alpha: float | None = None,
        focal_reduction: Reduction = "mean",
        dice_squared: bool = True,
        ignores: bool = False,
    ) -> None:
        super().__init__()
        self.ignores = ignores
        self.focal_gamma = focal_gamma
        self.focal_alpha = focal_alpha
        self.focal_reduction: Reduction = focal_reduction
        self.dice_squared = dice_squared

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast(logits.device.type, enabled=False):
            logits, known = _full(logits), None
            if self.ignores:
                known = (targets >= 0) & (targets != IGNORED)
                targets = targets.where(known, 0)
            focal = focal_loss(
                logits,
                targets,
                gamma=self.focal_gamma,
                alpha=self.focal_alpha,
                reduction=self.focal_reduction,
                known=known,
            )
            return focal + dice_loss(logits, targets, squared=self.dice_squared, known=known)


def build_task_loss(
    spec: TaskLossSpec,
    task: Task,
    *,
    classes: int = 2,
    train_labels: Tensor | None = None,
    ignores: bool = False,
    lacks_labels: bool = False,
) -> ClassificationLoss | MaskLoss:
    """The loss that a recipe asks for.

    Args:
        classes, train_labels: number of classes and (n,) labels of the training set, for ``class_weights: balanced``.
        ignores: masks may have pixels that count nowhere.
        lacks_labels: some samples have the label -1, or -1 for each pixel, which counts nowhere.

    Raises:
        UserError: an option of the other task's loss was set.
    """
    mine = _OPTIONS[task]
    defaults = TaskLossSpec()
    for name in TaskLossSpec.model_fields:
        if name not in mine and getattr(spec, name) != getattr(defaults, name):
            raise UserError(f"task_loss.{name} is no option of {task}, which has {', '.join(mine)}: leave it out")
    if task == "segmentation":
        return MaskLoss(**spec.model_dump(include=set(mine)), ignores=ignores or lacks_labels)
    weights = None
    if spec.class_weights == "balanced":
        assert train_labels is not None, "balanced class weights are computed from the training labels"
        weights = balanced_class_weights(train_labels[train_labels >= 0], classes)
    return ClassificationLoss(label_smoothing=spec.label_smoothing, class_weights=weights, lacks_labels=lacks_labels)


_OPTIONS: dict[Task, tuple[str, ...]] = {
    "classification": ("label_smoothing", "class_weights"),
    "segmentation": ("focal_gamma", "focal_alpha", "focal_reduction", "dice_squared"),
}


def _full(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
