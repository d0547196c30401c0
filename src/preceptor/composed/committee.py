"""A committee: several teachers that speak as one."""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from preceptor.composed.base import ComposedNetwork
from preceptor.errors import UserError
from preceptor.knowledge.base import class_logits, full_precision
from preceptor.knowledge.logits.integration import integrated_logits, teacher_weights
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs
from preceptor.specs import IGNORED, NEEDS_LABELS, Integration


class Committee(ComposedNetwork):
    r"""K teachers whose logits are :math:`T \log q`, q their integrated soft target, so that softmax(logits / T) is q.

    Whatever shares predictions at the temperature T works from it as from one teacher. One teacher's logits pass
    through as they are. For masks every pixel is weighed as a sample of its own, and a single foreground channel z
    stands for the pair (0, z). The embedding is the teachers' side by side.

    It has no parameters. ``ce`` and ``correct_only`` weigh by the batch's targets while training; where the committee
    stands alone (evaluated, exported) labels are unknown, and there its teachers weigh equally; so they do for training
    images without a label, -1.

    Args:
        integration: how much each teacher counts; see :mod:`preceptor.knowledge.logits.integration`.
        temperature: T, at which the teachers' distributions are mixed.
        power: ``val_acc`` weighs in proportion to score ** power instead of exp(score / 0.02).
        scores: validation score of each source for ``val_acc``, which the run measures where they are not given.

    Raises:
        UserError: teachers that do not have the same classes in the same order.
    """

    kind = "committee"

    def __init__(
        self,
        sources: Mapping[str, Network],
        *,
        integration: Integration,
        temperature: float,
        power: float | None = None,
        scores: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(sources, dict.fromkeys(sources, ("logits",)))
        _require_same_classes(sources)
        self.integration: Integration = integration
        self.temperature = temperature
        self.power = power
        self.accuracies: Tensor | None
        self.register_buffer("accuracies", None, persistent=False)
        self.take_scores(scores or {})
        self.has_new_head = False

    @property
    def wants_scores(self) -> bool:
        return self.integration == "val_acc" and len(self.inlets) > 1

    def take_scores(self, scores: Mapping[str, float]) -> None:
        """Validation score of each source; kept with the networks, so that answering copies nothing to a GPU."""
        self.scores = dict(scores)
        self.accuracies = torch.tensor([scores[name] for name in self.inlets]) if scores else None

    def combine(self, outputs: Mapping[str, Outputs], targets: Tensor | None = None) -> Outputs:
        said = [outputs[name] for name in self.inlets]
        embedding = torch.cat([one.embedding for one in said], dim=1)
        if len(said) == 1:
            return Outputs(said[0].logits, embedding)
        logits = torch.stack([_full(class_logits(one.logits)) for one in said])  # (K, N, C) or (K, N, C, H, W)
        samples = logits.movedim(2, -1).flatten(start_dim=1, end_dim=-2)  # (K, M, C), M = N or N · H · W
        mixed = integrated_logits(samples, self._weights(samples, targets), temperature=self.temperature)
        mixed = mixed.reshape(logits.movedim(2, -1).shape[1:]).movedim(-1, 1)
        if said[0].logits.shape[1] == 1:
            mixed = mixed[:, 1:] - mixed[:, :1]
        return Outputs(mixed, embedding)

    def options(self) -> dict[str, Any]:
        return {
            "integration": self.integration,
            "temperature": self.temperature,
            "power": self.power,
            "scores": self.scores,
        }

    def _weights(self, samples: Tensor, targets: Tensor | None) -> Tensor:
        if targets is not None and targets.ndim > 1:  # weights of ignored pixels mean nothing, and no loss reads them
            targets = targets.where(targets != IGNORED, 0)
        truth = None if targets is None else targets.flatten()
        weights = teacher_weights(
            "average" if targets is None and self.integration in NEEDS_LABELS else self.integration,
            samples,
            temperature=self.temperature,
            targets=None if truth is None else truth.clamp(min=0),
            accuracies=self.accuracies,
            power=self.power,
        )
        if truth is None or self.integration not in NEEDS_LABELS:
            return weights
        return weights.where(truth >= 0, 1 / len(samples))


def teachers_in(network: Network | None) -> dict[str, Network]:
    """The teachers of a committee of several that stands alone; none of any other network."""
    if not isinstance(network, Committee) or len(network.inlets) == 1:
        return {}
    return dict(cast(Mapping[str, Network], dict(network.sources.items())))


def _full(logits: Tensor) -> Tensor:
    found = full_precision(logits)
    assert isinstance(found, Tensor)
    return found


def _require_same_classes(sources: Mapping[str, Network]) -> None:
    first, *others = sources
    wanted = sources[first].blueprint.classes
    for name in others:
        found = sources[name].blueprint.classes
        if found != wanted:
            order = " in another order" if sorted(found) == sorted(wanted) else ""
            raise UserError(
                f"{name} has other classes than {first}{order and ': the same ones' + order}.\n"
                f"  {first}: {', '.join(wanted)}\n  {name}: {', '.join(found)}\n"
                "Teachers of one committee must name the same classes in the same order."
            )
