"""What one call of a network returns."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from preceptor.knowledge.setting import Tap

Knowledge = Tensor | tuple[Tensor, ...]
"""What a tap yields: one tensor for one name, a tuple for several names or ``stages``."""

_STAGE = re.compile(r"stage\d+")


def is_stage(tap: str) -> bool:
    """Whether a tap is one of the stage maps: ``stage1``, ``stage2``, …"""
    return bool(_STAGE.fullmatch(tap))


def stages_of(taps: Iterable[str]) -> list[str]:
    """The stage maps among ``taps``, finest first."""
    return sorted(filter(is_stage, taps), key=lambda tap: int(tap.removeprefix("stage")))


@dataclass(frozen=True, slots=True)
class Outputs:
    """Everything a network says about a batch.

    Shapes:
        logits: (N, C), or (N, C, H, W) for masks, with C = 1 for a single foreground class
        embedding: (N, D), the pooled last map; (N, 0) where a network has none
        maps: name -> (N, C, H, W), after each stage's last activation; classifiers have
            ``stage1`` to ``stage4`` (finest first) and ``last``, U-Nets also ``decoder1`` (the first
            decoder block) and ``decoder`` (the last one); networks of a user's own have the modules that
            are named as their taps
    """

    logits: Tensor
    embedding: Tensor
    maps: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def taps(self) -> tuple[str, ...]:
        """Every name that :meth:`at` takes."""
        return ("logits", *(["embedding"] if self.has_embedding else []), *self.maps)

    @property
    def has_embedding(self) -> bool:
        """Whether there is a vector before the logits."""
        return self.embedding.shape[1] > 0

    def at(self, tap: Tap) -> Knowledge:
        """The tensor at ``tap``, or a tuple of tensors for ``stages`` or a tuple of names.

        Raises:
            KeyError: no such tap; the message lists the valid ones.
        """
        if isinstance(tap, tuple):
            return tuple(tensor for name in tap for tensor in self._tensors(name))
        found = self._tensors(tap)
        return found if tap == "stages" else found[0]

    def _tensors(self, name: str) -> tuple[Tensor, ...]:
        if name == "stages":
            return tuple(self.maps[stage] for stage in stages_of(self.maps))
        if name == "logits":
            return (self.logits,)
        if name == "embedding" and self.has_embedding:
            return (self.embedding,)
        if name not in self.maps:
            raise KeyError(f"no tap {name!r}; this network has {', '.join(self.taps)} (and `stages`)")
        return (self.maps[name],)


def joined(parts: Sequence[Outputs]) -> Outputs:
    """What was said of several batches, as of one."""
    if len(parts) == 1:
        return parts[0]
    maps = {name: torch.cat([part.maps[name] for part in parts]) for name in parts[0].maps}
    return Outputs(torch.cat([part.logits for part in parts]), torch.cat([part.embedding for part in parts]), maps)
