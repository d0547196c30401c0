"""A recipe describes one run completely: data, split, networks, technique, training, seed.

Frozen pydantic models with defaults, checked when they are built, read from and written to YAML.
Nothing here imports torch: a wrong recipe is refused at once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Any, Self, Union

import yaml
from pydantic import (
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    ValidationError,
    WrapValidator,
    field_validator,
    model_serializer,
    model_validator,
)

from preceptor.calls import plainly
from preceptor.errors import UserError
from preceptor.explain import explain, unknown
from preceptor.kinds import kinds_at
from preceptor.knowledge.catalogue import entry_for
from preceptor.measures.measure import AnyMeasure, Measures
from preceptor.measures.own import measures_in_recipe
from preceptor.measures.segmentation import class_scored
from preceptor.measures.table import MEASURES, main_measure
from preceptor.own_code import is_own
from preceptor.plan.cast import Cast, Facts, Usual
from preceptor.plan.frozen import FrozenMap
from preceptor.plan.stage import Plan
from preceptor.plan.weights import notes_on_weights, require_weights_meant
from preceptor.recipe_rules import reads_no_label, refuse_other_channels, refuse_what_needs_labels
from preceptor.specs import (
    FEATURES,
    AugmentSpec,
    DataSpec,
    Model,
    NetworksSpec,
    SplitSpec,
    Task,
    TaskLossSpec,
    TrainingSpec,
)
from preceptor.techniques import TECHNIQUES, OwnTechnique, Technique
from preceptor.techniques.base import LossSpec
from preceptor.techniques.own import technique_options
from preceptor.yaml_text import read_mapping, read_value


def _own_or_known(raw: object, known: Callable[[object], Technique]) -> Technique:
    """A technique of the package, or one that is named with its file."""
    if isinstance(raw, OwnTechnique):
        return raw
    name = raw.get("name") if isinstance(raw, Mapping) else None
    return OwnTechnique.model_validate(raw) if isinstance(name, str) and is_own(name) else known(raw)


if TYPE_CHECKING:
    TechniqueSpec = Technique
else:  # of the classes themselves, told apart by their names
    _Known = Annotated[Union[tuple(TECHNIQUES.values())], Field(discriminator="name")]  # noqa: UP007
    TechniqueSpec = Annotated[SerializeAsAny[_Known], WrapValidator(_own_or_known)]


VERSION = 1
"""Of the format in which recipes are written. A later one says here what it makes of those before it."""


class Recipe(Model):
    """One run, completely.

    Args:
        version: of the format; a recipe without one is of the first.
        name: what runs are called in reports, and their folder below ``runs/``.
        task: ``classification`` or ``segmentation``.
        data: where the images come from.
        split: how they are divided.
        augment: how training images are changed.
        networks: who takes part.
        technique: who teaches whom, and how; each technique has options of its own.
        task_loss: what is learned from the labels.
        training: how stages are trained.
        teacher_training: keys of ``training`` that differ where a teacher is trained first.
        measures: the user's own, ``path/to/module.py:NAME``, by which networks are scored besides.
        surface_tolerance: of the surface Dice, in microns where files say how large a pixel is, else in pixels.
        seed: of everything random.
    """

    version: int = VERSION
    name: str = ""
    task: Task
    data: DataSpec
    split: SplitSpec = SplitSpec()
    augment: AugmentSpec = AugmentSpec()
    networks: NetworksSpec
    technique: TechniqueSpec
    task_loss: TaskLossSpec = TaskLossSpec()
    training: TrainingSpec = TrainingSpec()
    teacher_training: dict[str, Any] = Field(default_factory=dict)
    measures: tuple[str, ...] = ()
    surface_tolerance: Annotated[float, Field(gt=0, le=1e6)] = 2.0
    seed: Annotated[int, Field(ge=0)] = 0

    @field_validator("version")
    @classmethod
    def _can_be_read(cls, version: int) -> int:
        if version != VERSION:
            wanted = f"update it for one of version {version}"
            raise ValueError(f"this preceptor reads recipes of version {VERSION}; {wanted}")
        return version

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        strangers = set(self.teacher_training) - set(TrainingSpec.model_fields)
        if strangers:
            raise ValueError(f"teacher_training: {unknown(sorted(strangers)[0], TrainingSpec.model_fields)}")
        whole = sorted({"monitor", "threads", "tensorboard", "trackers", "teacher_cache"} & set(self.teacher_training))
        if whole:
            raise ValueError(f"teacher_training: {whole[0]} is for the whole run; put it under training")
        self.teacher_stage_training  # noqa: B018  # wrong values are refused now, not after the first stage
        refuse_what_needs_labels(self.data, self.split, self.training, self.task, self.measures)
        self._require_monitor()
        self._suits_the_technique()
        refuse_other_channels(self.data, self.augment, self.networks)
        self.training.teacher_cache.require_as_shown(self.augment)
        return self

    def _require_monitor(self) -> None:
        if self.is_label_free:
            return
        known, monitor = self.measures_known, self.monitor
        monitors = [one.name for one in known.values() if one.may_monitor]
        if monitor in monitors or (self.task == "segmentation" and class_scored(monitor) is not None):
            return  # which classes there are, the data tell
        if monitor in known and monitor not in MEASURES[self.task]:
            raise ValueError(f"training.monitor: the entry of {monitor} must say may_monitor=True for that")
        raise ValueError(f"training.monitor: {self.task} has {', '.join(monitors)}, got {monitor!r}")

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As it is, without what is as usual and was not there when recipes were first written."""
        later = ("measures", "surface_tolerance")
        usual = [name for name in later if getattr(self, name) == type(self).model_fields[name].default]
        return {key: value for key, value in written(self).items() if key not in usual}

    def _suits_the_technique(self) -> None:
        technique, networks = self.technique, self.networks
        if self.is_label_free and not technique.learns_without_labels:
            raise ValueError(
                f"technique {technique.name} learns from labels, and none is read; without labels there is "
                "technique.name=distil_features"
            )
        for spec in technique.losses_named:
            self._require_task(spec)
        if self.task not in technique.tasks:
            raise ValueError(
                f"technique {technique.name} is for {', '.join(technique.tasks)}, this recipe's task is {self.task}: "
                f"{technique.instead}"
            )
        if networks.teachers and not technique.takes_teachers:
            raise ValueError(f"networks.teachers: {technique.name} has one teacher at most; give `networks.teacher`")
        has_some = networks.teacher or networks.teachers or technique.brings_teachers
        if technique.has_teacher and not has_some:
            wanted = "`networks.teacher`, `networks.teachers` or `technique.teachers`"
            raise ValueError(
                f"technique {technique.name} wants {wanted if technique.takes_teachers else '`networks.teacher`'}"
            )
        technique.require_students(len(networks.peers))

    def _require_task(self, spec: LossSpec) -> None:
        tasks = entry_for(spec.loss).settings
        if self.task not in tasks:
            raise ValueError(
                f"technique {self.technique.name}: loss {spec.loss!r} is for {', '.join(tasks)}, this recipe's task is "
                f"{self.task}; `preceptor methods` lists every loss with its tasks"
            )

    @property
    def teacher_stage_training(self) -> TrainingSpec:
        """``training`` with what ``teacher_training`` changes, for a stage that trains the teacher alone."""
        return TrainingSpec.model_validate({**self.training.model_dump(), **self.teacher_training})

    @property
    def measures_known(self) -> Measures:
        """Every measure by which networks are scored, as its text describes it: a user's own have no functions."""
        return measures_in_recipe(self.task, self.measures)

    @property
    def is_label_free(self) -> bool:
        """Whether no label is read at all, of any part: nothing of classes is learned or known."""
        return reads_no_label(self.data, self.split)

    @property
    def scored_in(self) -> str:
        """The task, or ``features`` where no label is read: of what measures scores are."""
        return FEATURES if self.is_label_free else self.task

    @property
    def monitored(self) -> AnyMeasure | None:
        """The measure that chooses weights; None for one of a single class, which the data alone know."""
        return self.measures_known.get(self.monitor)

    @property
    def monitor(self) -> str:
        """The validation score that chooses weights."""
        return self.training.monitor or main_measure(self.scored_in).name

    def cast(self, facts: Facts | None = None) -> Cast:
        """Who takes part, as a technique is told."""
        return Cast(
            task=self.task,
            source=self.data.source,
            students=FrozenMap(self.networks.peers),
            teacher=self.networks.teacher,
            teachers=self.networks.teachers,
            training=self.training,
            teacher_training=self.teacher_stage_training,
            goes_on=bool(self.teacher_training),
            monitor=self.monitor,
            shots=self.split.shots,
            has_labels=not self.is_label_free,
            facts=facts or Usual(),
        )

    def plan(self, facts: Facts | None = None) -> Plan:
        """What the technique makes of it; ``facts`` say what networks are like, which is as most are unless given.

        Raises:
            UserError: options that do not fit these networks.
        """
        plan = self.technique.plan(self.cast(facts))
        require_weights_meant(plan)
        notes = notes_on_weights(plan, self.technique.name, goes_on=bool(self.teacher_training))
        return replace(plan, notes=(*plan.notes, *notes))

    @classmethod
    @plainly
    def load(cls, path: Path | str) -> "Recipe":
        """Read a recipe; as :func:`load_recipe`, and without its notes, which only overrides cause."""
        if not isinstance(path, Path | str):
            raise UserError(f"Recipe.load: the path of a recipe was wanted, got {type(path).__name__}")
        return load_recipe(Path(path))[0]

    def with_(self, changes: Mapping[str, Any] | None = None, /, **more: Any) -> "Recipe":
        """The recipe with some values changed: ``with_(seed=3)``, ``with_({"training.epochs": 5})``.

        Another ``technique.name`` leaves out the options that the new technique does not have.
        """
        return changed_recipe(self.model_dump(mode="json"), {**(changes or {}), **more}.items())[0]

    def to_yaml(self) -> str:
        """The complete recipe, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> tuple[Recipe, list[str]]:
    """Read a recipe and apply ``a.b=value`` overrides, values being YAML.

    Changing ``technique.name`` leaves out the options that the new technique does not have.

    Returns:
        the recipe, and a note for each option left out.

    Raises:
        UserError: what is wrong, where, and the nearest valid key.
    """
    return changed_recipe(read_mapping(path, "recipe"), map(parse_override, overrides), origin=str(path))


def changed_recipe(
    raw: Mapping[str, Any], changes: Iterable[tuple[str, Any]], origin: str = "recipe"
) -> tuple[Recipe, list[str]]:
    """Build the recipe that ``raw`` is after ``changes`` (dotted key, value), as :func:`load_recipe` does."""
    changed, notes = changed_mapping(raw, changes)
    return parse_recipe(changed, origin=origin), notes


def changed_mapping(raw: Mapping[str, Any], changes: Iterable[tuple[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """``raw`` after ``changes``, unchecked, and a note for each technique option left out."""
    changed, changes = deepcopy(dict(raw)), list(changes)
    technique = raw.get("technique")
    before = dict(technique) if isinstance(technique, dict) else {}
    for where, value in changes:
        apply_change(changed, where, value)
    return changed, _leave_out(changed.get("technique"), before, [where for where, _ in changes])


def parse_recipe(raw: object, origin: str = "recipe") -> Recipe:
    """Check ``raw`` and build the recipe; UserError in the user's words where it is wrong."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        lines = [explain(detail, Recipe, TECHNIQUES) for detail in error.errors(include_url=False)]
        raise UserError("\n".join([f"{origin}:", *(f"  {line}" for line in dict.fromkeys(lines))])) from None


def _leave_out(technique: object, before: Mapping[str, Any], changed: Sequence[str]) -> list[str]:
    """Drop the recipe's own technique options that a technique chosen by an override does not have."""
    if not isinstance(technique, dict) or technique.get("name") == before.get("name"):
        return []
    known = _options_of(str(technique.get("name")))
    chosen = {where.removeprefix("technique.").split(".")[0] for where in changed}
    left_out = sorted(set(before) & set(technique) - known - chosen) if known else []
    for key in left_out:
        del technique[key]
    return [f"technique.{key} of the recipe is no option of {technique['name']}: left out" for key in left_out]


def _options_of(technique: str) -> set[str]:
    """What a technique can be told, its name included; nothing where there is no such technique."""
    if is_own(technique):
        return {"name", *(option.name for option in technique_options(technique))}
    return set(TECHNIQUES[technique].model_fields) if technique in TECHNIQUES else set()


def parse_override(text: str) -> tuple[str, Any]:
    """Dotted key and value of ``a.b=value``.

    The value is a text as it stands where the recipe wants one, else what :func:`read_value` makes of it.
    """
    where, equals, value = text.partition("=")
    if not equals or not where:
        raise UserError(f"--set {text!r}: write it as key.key=value, for example training.epochs=5")
    named = f"--set {where}: {shorten(value, 80, placeholder=' …')!r}"
    kinds = kinds_at(Recipe, where.split("."))
    if type(None) in kinds and value.strip() in ("", "~", "null"):
        return where, None
    return where, read_value(value, named, is_text=bool(kinds) and kinds <= {str, type(None)})


def apply_change(raw: dict[str, Any], where: str, value: Any) -> None:
    """Put ``value`` at the dotted key ``where`` of ``raw``, in place."""
    *parents, last = where.split(".")
    node = raw
    for parent in parents:
        node = node.setdefault(parent, {})
        if not isinstance(node, dict):
            raise UserError(f"--set {where}: {parent!r} is a single value in the recipe and has no keys below it")
    node[last] = value
