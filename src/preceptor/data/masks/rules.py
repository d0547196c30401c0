"""Options of a data set that say what the pixels of its masks mean."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from preceptor.specs import IGNORED, Model

Byte = Annotated[int, Field(ge=0, le=255)]
RGB = tuple[Byte, Byte, Byte]
IGNORE_NAME = "ignore"
"""In a table of colours, for the colour of pixels that count nowhere."""
MASK_OPTIONS = ("mask_values", "mask_threshold", "mask_colours", "mask_channel", "mask_ignore")
"""Those that are options of every source whose masks are files."""


class MaskRules(Model):
    """What the pixels of masks mean; see ``docs/masks.md``.

    Args:
        mask_values: ``objects`` takes every value above 0 as foreground, as where each object has a number of its own;
            a list says the value of each class, background first.
        mask_threshold: values from this one on are foreground, those below background.
        mask_colours: class -> its red, green and blue, background first; ``ignore`` is the colour of pixels that count
            nowhere.
        mask_channel: whether the mask is in the ``colour`` of its file, or in its ``alpha``.
        mask_ignore: value, or values, of pixels that count in no loss and in no score.
    """

    mask_values: Literal["objects"] | tuple[float, ...] | None = None
    mask_threshold: float | None = None
    mask_colours: dict[str, RGB] | None = None
    mask_channel: Literal["colour", "alpha"] | None = None
    mask_ignore: tuple[float, ...] = ()

    @field_validator("mask_ignore", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        given = [name for name in MASK_OPTIONS[:3] if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} each say what pixels mean; give one of them")
        if isinstance(self.mask_values, tuple):
            if len(self.mask_values) < 2 or len(self.mask_values) > IGNORED:
                raise ValueError(f"mask_values: the value of each class was wanted, got {list(self.mask_values)}")
            if len({*self.mask_values, *self.mask_ignore}) < len(self.mask_values) + len(self.mask_ignore):
                raise ValueError("mask_values: a value stands twice, here and in mask_ignore together")
        if self.mask_colours is not None:
            self._check_colours(self.mask_colours)
        return self

    def _check_colours(self, colours: dict[str, RGB]) -> None:
        if self.mask_ignore or self.mask_channel == "alpha":
            raise ValueError("mask_colours: the colour of ignored pixels is that of the class `ignore`; alpha has none")
        if len(self.colours_of_classes) < 2 or len(colours) > IGNORED:
            raise ValueError("mask_colours: the colour of each of two or more classes was wanted, background first")
        if len(set(colours.values())) < len(colours):
            raise ValueError("mask_colours: two classes have one colour")

    @property
    def colours_of_classes(self) -> dict[str, RGB]:
        """Class -> colour, without that of ignored pixels."""
        return {name: colour for name, colour in (self.mask_colours or {}).items() if name != IGNORE_NAME}

    @property
    def ignores(self) -> bool:
        """Whether some pixels may count nowhere."""
        return bool(self.mask_ignore) or IGNORE_NAME in (self.mask_colours or {})

    @property
    def given(self) -> dict[str, Any]:
        """Those that are not as usual."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def are_guessed(self) -> bool:
        """Whether no option says what values mean."""
        return self.mask_values is None and self.mask_threshold is None and self.mask_colours is None


AS_USUAL = MaskRules()
