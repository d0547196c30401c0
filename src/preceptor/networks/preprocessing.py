"""How image files became what a network saw, in timm's terms and in words that a stranger can follow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from preceptor.networks.blueprint import Blueprint
from preceptor.networks.normalisation import padding_for
from preceptor.specs import Colour, ResizeRule, TileSpec

CROP_MODES: dict[ResizeRule, str] = {"squash": "squash", "crop": "center", "pad": "border"}
"""What timm calls each rule, at ``crop_pct`` 1."""

_KERNEL = "bilinear, widened where the image shrinks (Pillow's Image.Resampling.BILINEAR)"
_TENSOR_KERNEL = "torch.nn.functional.interpolate(pixels, size, mode='bilinear', antialias=True)"
_SIXTEEN_BIT = (
    "if image.mode.startswith('I;16'):",
    "    image = Image.fromarray((numpy.array(image) // 256).astype('uint8'))",
    "image = image.convert('RGB')",
)
_RULES: dict[ResizeRule, str] = {
    "squash": "stretched to the size, whatever the shape",
    "crop": "scaled so that it covers the size, the centre cut out",
    "pad": "scaled so that it fits into the size, centred on a ground of one colour",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """What was done to images of any size before a network was called.

    Args:
        resize: how they came to ``image_size``.
        padding: the colour around them where ``resize`` is ``pad``.
        tile: they were cut into tiles of their own resolution instead.
        depth: bits of each value before it was scaled.
        levels: how the values of files became levels, where that was not as usual: options of the data set.
    """

    resize: ResizeRule = "squash"
    padding: Colour | None = None
    tile: TileSpec | None = None
    depth: int = 8
    levels: Mapping[str, Any] = field(default_factory=dict)

    def in_timms_terms(self, blueprint: Blueprint) -> dict[str, Any]:
        """The part of timm's ``pretrained_cfg`` from which it makes its evaluation transform."""
        return {
            "input_size": [blueprint.channels, *blueprint.network_size],
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "crop_mode": "squash" if self.tile else CROP_MODES[self.resize],
            "mean": list(blueprint.mean),
            "std": list(blueprint.std),
        }

    def differs_from_timms(self, blueprint: Blueprint) -> str | None:
        """What timm's transform of an image file does otherwise, None where it does the same."""
        if blueprint.channels != 3 or self.depth != 8 or self.levels:
            return "it reads 8-bit RGB; how these files become pixels is said under `read`"
        if self.tile:
            size = self.tile.size
            return f"it takes whole images, and this network takes tiles of {size}×{size} px at full resolution"
        if self.padding and self.padding != padding_for(blueprint.mean):
            return (
                f"it fills with {padding_for(blueprint.mean)}, the mean of this network; the images that it was "
                f"trained on were filled with {self.padding}, the mean of the run's first student"
            )
        if blueprint.image_size != blueprint.network_size:
            return (
                f"it brings images to {_size(blueprint.network_size)} at once; here they come to "
                f"{_size(blueprint.image_size)} first, as 8-bit pixels"
            )
        return None

    def steps(self, blueprint: Blueprint) -> list[dict[str, Any]]:
        """What to do with an image file, in order; the last step gives what the library's model takes."""
        top = 2**self.depth - 1
        steps: list[dict[str, Any]] = [
            {
                "step": "read",
                "result": self._result(blueprint),
                "orientation": self.levels.get(
                    "orientation", "upright: turned as the EXIF or TIFF orientation tag says"
                ),
                **({"grey": "the same value in all three channels"} if blueprint.channels == 3 else {}),
                "palette": "its colours",
                **self._sixteen_bit(),
                "transparency": f"laid over white: rint(colour * alpha + {top} * (1 - alpha)), alpha from 0 to 1",
                "floating_point": f"values from 0 to 1 times {top}, rounded",
                **({"options": dict(self.levels)} if self.levels else {}),
            }
        ]
        if self.tile:
            steps.append(
                {
                    "step": "tile",
                    "size": [self.tile.size, self.tile.size],
                    "overlap": self.tile.overlap,
                    "fill": "images smaller than a tile are filled up below and to the right with the median colour of "
                    "their outermost pixels",
                    "corners": "in each direction 0, d, 2 d, … with d = size - overlap as long as the tile fits, and "
                    "one more flush with the end where these leave a rest",
                }
            )
        else:
            step = {"step": "resize", "rule": self.resize, "size": list(blueprint.image_size), "kernel": _KERNEL}
            more = {"fill": list(self.padding)} if self.padding else {}
            steps.append({**step, **more, "what": f"{_RULES[self.resize]}; one of this size is left as it is"})
        order = ", RGB" if blueprint.channels == 3 else ""
        result = f"float32, (N, {blueprint.channels}, height, width){order}"
        steps.append({"step": "scale", "divide_by": top, "result": result})
        if blueprint.network_size != blueprint.image_size:
            steps.append({"step": "resize", "size": list(blueprint.network_size), "kernel": _TENSOR_KERNEL})
        return [*steps, {"step": "normalise", "mean": list(blueprint.mean), "std": list(blueprint.std)}]

    def _sixteen_bit(self) -> dict[str, Any]:
        if self.depth == 16:
            return {"sixteen_bit": "as they are; 8 bits times 257"}
        return {"sixteen_bit": "the high byte, value // 256; with Pillow:", "sixteen_bit_lines": list(_SIXTEEN_BIT)}

    def _result(self, blueprint: Blueprint) -> str:
        if blueprint.channels == 3:
            return f"{self.depth}-bit RGB"
        if blueprint.channels == 1:
            return f"grey of {self.depth} bits; of colours 0.299 red + 0.587 green + 0.114 blue, rounded"
        return f"{blueprint.channels} channels of {self.depth} bits, in the order of the file"

    def answer(self, blueprint: Blueprint) -> dict[str, Any]:
        """How the model's logits become class probabilities or masks."""
        if blueprint.task == "classification":
            answer: dict[str, Any] = {"logits": "(N, classes)", "probabilities": "softmax over the classes"}
            return {**answer, **({"tiles": "each tile is answered on its own"} if self.tile else {})}
        answer = {"logits": f"(N, {blueprint.logit_channels}, height, width)"}
        if blueprint.network_size != blueprint.image_size:
            answer["resize"] = list(blueprint.image_size)
            answer["resize_kernel"] = "torch.nn.functional.interpolate(logits, size, mode='bilinear')"
        if self.tile:
            answer["tiles"] = "logits are averaged where tiles overlap, and what was filled up is cut off; then decided"
        if blueprint.logit_channels == 1:
            answer |= {"activation": "sigmoid", "threshold": 0.5, "mask": f"{blueprint.classes[1]} where logit > 0"}
        else:
            answer |= {"activation": "softmax", "mask": "argmax over the classes, the first is background"}
        return answer

    def described(self, blueprint: Blueprint) -> dict[str, Any]:
        """All of it, for ``config.json``."""
        return {
            "image_size": list(blueprint.image_size),
            "network_size": list(blueprint.network_size),
            "mean": list(blueprint.mean),
            "std": list(blueprint.std),
            "preprocessing": self.steps(blueprint),
            "timms_transform": self.differs_from_timms(blueprint) or "does the same from `resize` on",
            "answer": self.answer(blueprint),
        }

    def described_for_sources(self, blueprint: Blueprint) -> dict[str, Any]:
        """The part that networks share on which another is built; size and normalisation are each one's own."""
        steps = self.steps(blueprint)
        shared = steps[: next(place for place, step in enumerate(steps) if step["step"] == "scale") + 1]
        goes_on = {"step": "sources", "what": "each network in `sources` goes on as its own config.json says"}
        return {
            "image_size": list(blueprint.image_size),
            "preprocessing": [*shared, goes_on],
            "answer": self.answer(blueprint),
        }


STRETCHED = Preprocessing()
"""Where nothing else is said: images of any shape are stretched."""


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]} px"
