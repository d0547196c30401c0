"""What one call of a network returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from preceptor.knowledge.setting import Tap

Knowledge = Tensor | tuple[Tensor, ...]
"""What a tap yields: one tensor for one name, a tuple for several names or ``stages``."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Everything a network says about a batch.

    Shapes:
        logits: (N, C), or (N, C, H, W) for masks, with C = 1 for a single foreground class
        embedding: (N, D), the pooled last map
        maps: name -> (N, C, H, W), after each stage's last activation; classifiers have
            ``stage1`` to ``stage4`` (finest first) and ``last``, U-Nets also ``decoder1`` (the first
            decoder block) and ``decoder`` (the last one)
    """

    logits: Tensor
    embedding: Tensor
    maps: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def taps(self) -> tuple[str, ...]:
        """Every name that :meth:`at` takes."""
        return ("logits", "embedding", *self.maps)

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
            return tuple(self.maps[stage] for stage in sorted(self.maps) if stage.startswith("stage"))
        if name == "logits":
            return (self.logits,)
        if name == "embedding":
            return (self.embedding,)
        if name not in self.maps:
            raise KeyError(f"no tap {name!r}; this network has {', '.join(self.taps)} (and `stages`)")
        return (self.maps[name],)
