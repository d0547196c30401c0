"""Scores of a network from the logits of many batches."""

import numpy as np
from torch import Tensor

from preceptor.measures.measure import ClassAnswers, MaskAnswers, scores_of
from preceptor.measures.segmentation import mask_counts
from preceptor.measures.table import MEASURES
from preceptor.specs import Task


class Scorer:
    """Takes logits batch by batch, and gives every measure of the task."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._said: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []

    def add(self, logits: Tensor, targets: Tensor) -> None:
        """Take a batch: (N, C) and (N,), or (N, C, H, W) and (N, H, W)."""
        if self._task == "classification":
            self._said.append(logits.double().softmax(1).cpu().numpy())
            self._labels.append(targets.cpu().numpy())
            return
        masks = (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(1)
        counted = mask_counts(masks.cpu().numpy(), targets.cpu().numpy(), classes=max(logits.shape[1], 2))
        self._said.append(counted)

    def scores(self) -> dict[str, float]:
        """Name -> score of all that was taken; nothing where there was none."""
        if not self._said:
            return {}
        said = np.concatenate(self._said)
        if self._task == "segmentation":
            return scores_of(MEASURES[self._task], MaskAnswers(said))
        return scores_of(MEASURES[self._task], ClassAnswers(said, np.concatenate(self._labels)))
