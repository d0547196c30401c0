"""What an image file goes through before and after a network: enough to answer on new images as in training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from preceptor.data.pixels import USUAL, PixelRules
from preceptor.specs import Colour, Depth, ResizeRule, Task, TileSpec

KERNEL = "bilinear, widened where the image shrinks (Pillow's Image.Resampling.BILINEAR)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """From an image file to the pieces that a network is called with, and from its logits to an answer.

    Args:
        classes: names by label; for masks the background first.
        image_size: (height, width) of a piece: the whole image after resizing, or a tile.
        resize: how whole images come to ``image_size``.
        fill: the colour around them where ``resize`` is ``pad``.
        tile: images are cut into tiles of their own resolution instead.
        reading: how files become pixels: channels, depth, and which values are black and white.
    """

    task: Task
    classes: tuple[str, ...]
    image_size: tuple[int, int]
    resize: ResizeRule = "squash"
    fill: Colour | None = None
    tile: TileSpec | None = None
    reading: PixelRules = USUAL

    @property
    def top(self) -> int:
        """The value of white in a pixel."""
        return 255 if self.reading.depth == 8 else 65535

    @property
    def has_masks(self) -> bool:
        """Whether an answer is a mask; otherwise it is a class."""
        return self.task == "segmentation"

    @property
    def grey_step(self) -> int:
        """Distance of the grey values by which neighbouring classes are written in a mask."""
        return 255 // (len(self.classes) - 1)

    @classmethod
    def from_config(cls, own: Mapping[str, Any], task: Task) -> Self:
        """What ``_preceptor`` of an exported network's ``config.json`` says, in the steps of ``preprocessing``."""
        height, width = own["image_size"]
        placed = next(step for step in own["preprocessing"] if step["step"] in ("resize", "tile"))
        is_tiled = placed["step"] == "tile"
        return cls(
            task=task,
            classes=tuple(own["classes"]),
            image_size=(height, width),
            resize="squash" if is_tiled else placed["rule"],
            fill=_colour(placed.get("fill")) if not is_tiled else None,
            tile=TileSpec(size=placed["size"][0], overlap=placed["overlap"]) if is_tiled else None,
            reading=_reading(own),
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values, for ``bundle.json``."""
        placed: dict[str, Any] = {"tile": None, "rule": self.resize, "size": list(self.image_size), "kernel": KERNEL}
        if self.fill is not None:
            placed["fill"] = list(self.fill)
        if self.tile:
            placed = {"tile": self.tile.model_dump(), "size": list(self.image_size)}
        return placed | {"reading": self.reading.model_dump(mode="json", exclude_none=True)}

    @classmethod
    def from_json(cls, placed: Mapping[str, Any], task: Task, classes: tuple[str, ...]) -> Self:
        """The reverse of :meth:`to_json`."""
        height, width = placed["size"]
        tile = TileSpec.model_validate(placed["tile"]) if placed["tile"] else None
        rule = placed.get("rule", "squash")
        return cls(
            task=task,
            classes=classes,
            image_size=(height, width),
            resize=rule,
            fill=_colour(placed.get("fill")),
            tile=tile,
            reading=PixelRules.model_validate(placed.get("reading", {})),
        )


def _reading(own: Mapping[str, Any]) -> PixelRules:
    """What the steps ``read`` and ``scale`` say; percentiles as the range that they came to."""
    steps = {step["step"]: step for step in own["preprocessing"]}
    options = dict(steps["read"].get("options", {}))
    if "range" in options:
        options.pop("percentiles", None)
    if "orientation" not in steps["read"]:  # networks from before the tags were applied
        options["orientation"] = "stored"
    depth: Depth = 8 if steps["scale"]["divide_by"] == 255 else 16
    return PixelRules.model_validate({**options, "channels": own.get("channels", 3), "depth": depth})


def _colour(values: Any) -> Colour | None:
    if values is None:
        return None
    red, green, blue = values
    return int(red), int(green), int(blue)
