"""What losses want to know of a teacher's features before a stage begins."""

from collections.abc import Callable

import torch
from torch import Tensor

from preceptor.cohort.cohort import Cohort
from preceptor.composed.base import answers, standing
from preceptor.data.batches import Batch, Batches
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs

Unchanged = Callable[[str, Network, Batch], Outputs]
"""What the frozen network of a name says of a batch of images as they are."""


@torch.no_grad()
def take_statistics(cohort: Cohort, images: Callable[[], Batches], device: torch.device, says: Unchanged) -> None:
    """Give each loss that asks for it the mean and standard deviation of its teacher's dimensions over ``images``.

    Every process measures all of them, so all have the same numbers.
    """
    edges = [edge for edge in cohort.transfers if edge.loss.needs_statistics]
    if not edges:
        return
    cohort.to_device(device)
    moments = [Moments() for _ in edges]
    every = standing(cohort.networks)
    teachers = {edge.source: every[edge.source] for edge in edges}
    composed = {name: network for name, network in teachers.items() if name not in cohort.asked}
    for batch in images().epoch(0):
        said = {name: says(name, network, batch) for name, network in teachers.items() if name in cohort.asked}
        said |= answers(composed, batch.images)
        for edge, moment in zip(edges, moments, strict=True):
            features = said[edge.source].at(edge.taps(cohort.task)[1])
            assert isinstance(features, Tensor), "the loss has refused several"
            moment.add(features)
    for edge, moment in zip(edges, moments, strict=True):
        edge.loss.take_statistics(moment.mean, moment.deviation)


class Moments:
    """Mean and deviation of each dimension, of as many tensors as come, in float64."""

    def __init__(self) -> None:
        self._count = 0
        self.mean = torch.zeros(())
        self._squares = torch.zeros(())

    def add(self, features: Tensor) -> None:
        """Take in (N, D), or (N, D, H, W) with a vector at each position."""
        vectors = features.double().flatten(2).mT.flatten(0, 1) if features.ndim > 2 else features.double()
        count, mean = len(vectors), vectors.mean(dim=0)
        squares = (vectors - mean).square().sum(dim=0)
        together, gap = self._count + count, mean - self.mean.to(mean)
        self._squares = self._squares.to(mean) + squares + gap.square() * (self._count * count / together)
        self.mean = self.mean.to(mean) + gap * (count / together)
        self._count = together

    @property
    def deviation(self) -> Tensor:
        """The standard deviation, of the population."""
        return (self._squares / max(self._count, 1)).sqrt()
