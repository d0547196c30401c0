"""Options of a data set that say how its files become pixels."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from preceptor.specs import Channels, Depth, Model

Axis = Literal[0, 1, 2]
Stack = Annotated[int, Field(ge=1, le=16)]
OPTIONS = ("range", "percentiles", "bits", "orientation", "axis", "stack", "patient_ids")
"""Those that are options of every source whose images are files."""


class PixelRules(Model):
    """How files become pixels; see ``docs/images.md``.

    Args:
        channels: of the pixels that networks see.
        depth: bits of each value of a packed image.
        range: the values that become black and white; what lies beyond is cut off.
        percentiles: the same, as percentiles of the values of all images together.
        bits: how many bits of whole numbers are in use: 12 means that 4095 is white.
        orientation: ``upright`` turns images and masks as their orientation tag says, ``stored`` leaves them as they
            lie in the file.
        axis: of a volume, along which it is cut into slices.
        stack: neighbouring slices that become the channels of one image, an odd number.
        patient_ids: how a DICOM file's PatientID is written where it becomes the group: ``hashed`` or ``clear``.
    """

    channels: Channels = 3
    depth: Depth = 8
    range: tuple[float, float] | None = None
    percentiles: tuple[float, float] | None = None
    bits: Annotated[int, Field(ge=1, le=32)] | None = None
    orientation: Literal["upright", "stored"] = "upright"
    axis: Axis = 2
    stack: Stack = 1
    patient_ids: Literal["hashed", "clear"] = "hashed"

    @model_validator(mode="after")
    def _one_way_to_brightness(self) -> Self:
        given = [name for name in ("range", "percentiles", "bits") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} each say what is black and what is white; give one of them")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError(f"range: black must be below white, got {list(self.range)}")
        if self.percentiles is not None and not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            raise ValueError(f"percentiles: two rising numbers from 0 to 100 were wanted, got {list(self.percentiles)}")
        if self.stack % 2 == 0:
            raise ValueError(f"stack: an odd number of slices, the same on either side, was wanted, got {self.stack}")
        if self.stack > 1 and self.channels != self.stack:
            raise ValueError(
                f"stack: {self.stack} slices become {self.stack} channels, but the images have {self.channels}; "
                f"set data.channels={self.stack}"
            )
        return self

    @property
    def given(self) -> dict[str, Any]:
        """Those that are not as usual."""
        return self.model_dump(mode="json", exclude_defaults=True)


USUAL = PixelRules()
