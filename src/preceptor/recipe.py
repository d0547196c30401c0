"""A recipe describes one run completely: data, split, networks, technique, training, seed.

Frozen pydantic models with defaults, checked when they are built, read from and written to YAML.
Nothing here imports torch: a wrong recipe is refused at once.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Task = Literal["classification", "segmentation"]
Strategy = Literal["predictions", "features", "diverse"]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Model(BaseModel):
    """Base of every recipe part: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TileSpec(Model):
    """Cut images into square tiles of ``size`` pixels, neighbours sharing ``overlap`` pixels."""

    size: Annotated[int, Field(gt=0)]
    overlap: Annotated[int, Field(ge=0)] = 0


class DataSpec(Model):
    """Where the images come from and how they are packed.

    ``image_size`` is (height, width) or one number for both. ``resize`` is what happens to images
    of another size: ``squash`` stretches, ``crop`` scales the short side and cuts the centre,
    ``pad`` scales the long side and fills with the border colour. ``tile`` cuts instead.
    ``duplicates`` is what happens to images with equal pixels: ``drop`` keeps one where the labels
    agree and none where they differ, ``keep`` puts all of them on one side of the split,
    ``error`` refuses. What was done is stated on the terminal and in the result.
    """

    source: str
    path: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    image_size: Annotated[int, Field(gt=0)] | tuple[int, int] = 224
    resize: Literal["squash", "crop", "pad"] = "squash"
    tile: TileSpec | None = None
    duplicates: Literal["drop", "keep", "error"] = "drop"
    limit: Annotated[int, Field(gt=0)] | None = None
    cache: str | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of a packed image."""
        return self.image_size if isinstance(self.image_size, tuple) else (self.image_size, self.image_size)


class SplitSpec(Model):
    """``by``: ``group`` where the data knows groups, ``image``, or ``official`` parts; ``auto`` picks
    official, then group, then image, and says which."""

    by: Literal["auto", "group", "image", "official"] = "auto"
    fractions: tuple[Fraction, Fraction, Fraction] = (0.75, 0.10, 0.15)
    train_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: int | None = None


class AugmentSpec(Model):
    """Random changes of each training image, the same for its mask.

    ``rotate`` is the largest angle in degrees, ``shift`` the largest move as a share of the side,
    ``scale`` the largest relative change of size, ``stain`` the strength of H&E stain jitter,
    ``colour`` that of brightness, contrast and saturation jitter.
    """

    flip_horizontal: bool = True
    flip_vertical: bool = True
    transpose: bool = False
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    shift: Annotated[float, Field(ge=0, lt=1)] = 0.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    stain: Annotated[float, Field(ge=0, lt=1)] = 0.0
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.0


class NetworkSpec(Model):
    """One network.

    ``architecture`` is a timm name for classification (``hf-hub:`` and ``local-dir:`` work) or a
    segmentation-models-pytorch architecture such as ``unet``, which also wants an ``encoder``.
    ``weights``: ``imagenet``, ``none``, or a folder or .safetensors file. ``options`` go to the library.
    """

    architecture: str
    encoder: str | None = None
    weights: str = "imagenet"
    input_size: Annotated[int, Field(gt=0)] | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    options: dict[str, Any] = Field(default_factory=dict)
