"""A study file: a base recipe, axes along which it changes, seeds, and the layout of the table.

Nothing here imports torch: a wrong study is refused at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from preceptor.errors import UserError
from preceptor.explain import explain, unknown
from preceptor.recipe import changed_mapping, parse_override
from preceptor.specs import Threads
from preceptor.yaml_text import read_mapping


def _as_changes(value: object) -> object:
    """``[a.b=1, c=2]`` as the mapping ``{a.b: 1, c: 2}``."""
    if isinstance(value, (list, tuple)) and all(isinstance(text, str) for text in value):
        return dict(map(parse_override, value))
    return value


RecipeChanges = Annotated[dict[str, Any], BeforeValidator(_as_changes)]
"""Dotted keys of the recipe with new values; also written as a list of ``a.b=value``."""


class StudyPart(BaseModel):
    """Base of every part of a study: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class TableAxes(StudyPart):
    """How the cells become a table: which axes go down, which across, and what stands in a cell.

    ``network`` and ``metric`` are axes too, and come last unless they are named. ``metrics`` are scores on the
    test split; ``fidelity.NAME`` are those against the teacher.
    """

    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


class PublishedTable(StudyPart):
    """Published figures to show beside one's own: the rows of ``file`` whose ``table`` is this."""

    file: str
    table: str


class ExtraCell(StudyPart):
    """A cell that the grid does not have: its place on the axes, and what it changes."""

    cell: dict[str, str]
    set: RecipeChanges = Field(default_factory=dict)


class Study(StudyPart):
    """A grid of recipes × seeds.

    Args:
        recipe: the base recipe; in the file also the path of one, relative to the file.
        set: changes of the base recipe, before the axes'.
        axes: name -> option -> changes. A list of values instead of options varies the recipe field that
            the axis is named after, such as ``split.train_fraction: [0.1, 1.0]``.
        folds: of cross-validation: for every seed, every cell is run once for each fold, whose test parts together are
            all the data; a report counts the folds of a seed as one run.
        threads: compute threads of every run; the recipe's own, or 1, unless given. Where a run is placed
            changes nothing about its arithmetic.
        together: train runs of one seed that differ in their technique alone as one cohort, so that batches and an
            equal online teacher are there once (see :mod:`preceptor.training.together`). Where an online teacher
            shares features in one of them, it has the 1x1 convolution inside for all. On a CPU no result changes
            by it; each run's ``seconds`` are those of all.
        exclude: cells to leave out, each by some of its options.
        include: cells besides the grid's.
        protocol: ``published`` where the file states a paper's own protocol.
        scale: which of the file's sizes this is.
    """

    name: str
    title: str = ""
    recipe: dict[str, Any]
    set: RecipeChanges = Field(default_factory=dict)
    axes: dict[str, dict[str, RecipeChanges]] = Field(default_factory=dict)
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    folds: Annotated[int, Field(ge=2, le=1000)] | None = None
    threads: Threads | None = None
    together: bool = False
    exclude: tuple[dict[str, str], ...] = ()
    include: tuple[ExtraCell, ...] = ()
    layout: TableAxes = TableAxes()
    published: PublishedTable | None = None
    protocol: Literal["published", "own"] = "own"
    scale: str | None = None

    @field_validator("axes", mode="before")
    @classmethod
    def _values_of_a_field(cls, axes: object) -> object:
        if not isinstance(axes, Mapping):
            return axes
        return {
            axis: {_label(value): {str(axis): value} for value in options} if isinstance(options, list) else options
            for axis, options in axes.items()
        }

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        for axis, options in self.axes.items():
            if not options:
                raise ValueError(f"axes.{axis}: has no options")
        if len(builtin_set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: {', '.join(map(str, self.seeds))} names a seed twice")
        for axis in (*self.layout.rows, *self.layout.columns):
            if axis not in (*self.axes, "network", "metric"):
                raise ValueError(f"layout: {unknown(axis, (*self.axes, 'network', 'metric'))}")
        for number, left_out in enumerate(self.exclude):
            for axis, option in left_out.items():
                if axis not in self.axes:
                    raise ValueError(f"exclude.{number}: {unknown(axis, self.axes)}")
                if option not in self.axes[axis]:
                    raise ValueError(f"exclude.{number}.{axis}: {unknown(option, self.axes[axis])}")
        for number, extra in enumerate(self.include):
            missing = [axis for axis in self.axes if axis not in extra.cell]
            strange = [axis for axis in extra.cell if axis not in self.axes]
            if missing or strange:
                wrong = unknown(strange[0], self.axes) if strange else f"has no place on axis {missing[0]!r}"
                raise ValueError(f"include.{number}.cell: {wrong}")
        return self

    @property
    def is_published_protocol(self) -> bool:
        """Whether this is what the paper did, as far as it says."""
        return self.protocol == "published" and self.scale is None

    @property
    def base(self) -> dict[str, Any]:
        """The base recipe with the study's own changes; unchecked, since an axis may have to complete it."""
        return changed_mapping(self.recipe, self.set.items())[0]

    def to_yaml(self) -> str:
        """The study with its scale merged and its recipe written out."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


builtin_set = set  # the field `set` hides it inside the class


def load_study(path: Path, scale: str | None = None, overrides: Sequence[str] = ()) -> Study:
    """Read a study file, in the size ``scale``, with ``a.b=value`` changes of its base recipe.

    Raises:
        UserError: what is wrong, where, and the nearest valid key.
    """
    raw = read_mapping(path, "study")
    scales = raw.pop("scales", None) or {}
    if not isinstance(scales, Mapping) or not all(isinstance(change, Mapping) for change in scales.values()):
        raise UserError(f"{path}: scales: wants a mapping of names, such as `small`, to what they change")
    if scale is not None:
        if scale not in scales:
            known = unknown(scale, scales) if scales else f"{path.name} has no other size; leave --scale out"
            raise UserError(f"{path}: --scale: {known}")
        title, other = str(raw.get("title") or raw.get("name")), scales[scale].get("recipe")
        raw = merged(raw, scales[scale]) | {"scale": scale}
        if isinstance(other, str) and "title" not in scales[scale]:  # other images and networks than the title names
            raw["title"] = f"{title.partition(':')[0]}, scale {scale} (recipe {Path(other).stem})"
    if overrides:
        raw = merged(raw, {"set": list(overrides), "protocol": "own"})
    recipe = raw.get("recipe")
    if isinstance(recipe, str):
        raw["recipe"] = read_mapping(path.parent / recipe, "recipe")
    if isinstance(raw.get("published"), dict) and "file" in raw["published"]:
        raw["published"] = raw["published"] | {"file": str(path.parent / str(raw["published"]["file"]))}
    return parse_study(raw, origin=str(path))


def parse_study(raw: object, origin: str = "study") -> Study:
    """Check ``raw`` and build the study; UserError in the user's words where it is wrong."""
    try:
        study = Study.model_validate(raw)
    except ValidationError as error:
        lines = [explain(detail, Study, {}) for detail in error.errors(include_url=False)]
        raise UserError("\n".join([f"{origin}:", *(f"  {line}" for line in dict.fromkeys(lines))])) from None
    if study.published and not Path(study.published.file).is_file():
        raise UserError(f"{origin}: published.file: there is no {study.published.file!r}")
    return study


def merged(raw: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """``raw`` in another size: ``set`` is added to, ``axes`` and ``layout`` change by key, all else is replaced.

    An axis of null is left out.
    """
    result = {**raw, **{key: value for key, value in change.items() if key not in ("set", "axes", "layout")}}
    if "set" in change:
        result["set"] = {**_changes(raw.get("set")), **_changes(change["set"])}
    for key in ("axes", "layout"):
        if key in change:
            both = {**(raw.get(key) or {}), **(change[key] or {})}
            result[key] = {name: value for name, value in both.items() if value is not None}
    return result


def _changes(value: object) -> dict[str, Any]:
    found = _as_changes(value or {})
    if not isinstance(found, dict):
        raise UserError(f"set: wants a mapping of dotted keys or a list of a.b=value, got {value!r}")
    return found


def _label(value: object) -> str:
    """How an axis of plain values calls one of them."""
    if isinstance(value, Iterable) and not isinstance(value, str):
        return yaml.safe_dump(value, default_flow_style=True).strip()
    return str(value)
