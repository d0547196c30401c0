"""What a network is made from: enough to make it again, without its weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from preceptor.networks.normalisation import in_channels
from preceptor.networks.preset import Pooling
from preceptor.specs import NetworkSpec, Task

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Sight(Protocol):
    """How a network sees images: (height, width) of those that it is called with, the size that it wants itself, and
    mean and standard deviation of each channel, by which they are normalised."""

    @property
    def image_size(self) -> tuple[int, int]: ...

    @property
    def network_size(self) -> tuple[int, int]: ...

    @property
    def mean(self) -> tuple[float, ...]: ...

    @property
    def std(self) -> tuple[float, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainSight:
    """Images of one size, which come normalised already.

    Args:
        image_size: (height, width).
    """

    image_size: tuple[int, int]
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    @property
    def network_size(self) -> tuple[int, int]:
        """The same size."""
        return self.image_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """A network's specification once names, options and normalisation are settled.

    Args:
        spec: ``architecture`` is a plain library name; ``mean`` and ``std`` are given.
        classes: class names by label, background first for masks.
        image_size: (height, width) of the images it is called with.
        channels: of the images it is called with.
        adapter: channels of the teacher-side adapter between the last map and the pooling.
        code_sha256: of the user's own file that holds the architecture, if one does.
        pooling: of a foundation model: what its embedding is made of.
    """

    spec: NetworkSpec
    task: Task
    classes: tuple[str, ...]
    image_size: tuple[int, int]
    adapter: int | None = None
    code_sha256: str | None = None
    channels: int = 3
    pooling: Pooling | None = None

    @property
    def logit_channels(self) -> int:
        """Channels of the logits: one for a single foreground class of masks, else one per class."""
        return 1 if self.task == "segmentation" and len(self.classes) == 2 else len(self.classes)

    @property
    def network_size(self) -> tuple[int, int]:
        """(height, width) that the architecture itself sees."""
        size = self.spec.input_size
        return (size, size) if size else self.image_size

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel, for pixels in [0, 1]."""
        return in_channels(self.spec.mean or IMAGENET_MEAN, self.channels)

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel, for pixels in [0, 1]."""
        return in_channels(self.spec.std or IMAGENET_STD, self.channels)

    def to_json(self) -> dict[str, Any]:
        """As plain values, for ``config.json``, which is passed on.

        Weights from a file are ``none`` there: what was made of them lies beside, and where they were is nobody's.
        """
        spec = self.spec.model_dump(mode="json")
        if spec["weights"] not in ("imagenet", "none"):
            spec["weights"] = "none"
        if not spec["taps"]:
            del spec["taps"]
        return {
            "spec": spec,
            "task": self.task,
            "classes": list(self.classes),
            "image_size": list(self.image_size),
            "adapter": self.adapter,
            **({"code_sha256": self.code_sha256} if self.code_sha256 else {}),
            "channels": self.channels,
            **({"pooling": self.pooling} if self.pooling else {}),
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """The reverse of :meth:`to_json`."""
        height, width = saved["image_size"]
        return cls(
            spec=NetworkSpec.model_validate(saved["spec"]),
            task=saved["task"],
            classes=tuple(saved["classes"]),
            image_size=(height, width),
            adapter=saved["adapter"],
            code_sha256=saved.get("code_sha256"),
            channels=saved.get("channels", 3),
            pooling=saved.get("pooling"),
        )
