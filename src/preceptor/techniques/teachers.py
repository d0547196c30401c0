"""Several teachers: T1 … TK, given or trained in the run, and the committee T that they form."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from preceptor.built.committee import NEEDS_LABELS, Committee
from preceptor.cohort.stage import Member, Stage, Start
from preceptor.errors import UserError
from preceptor.networks.export import OWN_KEY
from preceptor.networks.network import Network
from preceptor.networks.weights import read_config
from preceptor.runs.result import read_result
from preceptor.specs import NetworkSpec
from preceptor.technique_specs import Integration
from preceptor.techniques.context import Context, learning, teacher_weights


def teacher_specs(context: Context, *, folds: int | None = None) -> dict[str, NetworkSpec]:
    """T1 … TK: from ``technique.teachers`` where given, else as the run is to train them.

    What is given has the architecture, input size and normalisation that ``networks.teachers`` says, else those that
    its folder was saved with, else those of ``networks.teacher``.

    Raises:
        UserError: weights that cannot be found, or whose architecture nothing tells; no teacher at all.
    """
    recipe = context.recipe
    given: tuple[str, ...] = getattr(recipe.technique, "teachers", ())
    listed, one = recipe.networks.teachers, recipe.networks.teacher
    if folds and listed:
        raise UserError(
            "technique.folds: all teachers are of one architecture, networks.teacher; leave out networks.teachers"
        )
    if given and listed and len(given) != len(listed):
        raise UserError(
            f"technique.teachers: {len(given)} given for {len(listed)} networks.teachers; give one for each, in order"
        )
    if given:
        paths = [teacher_weights(g, f"technique.teachers, number {k}") for k, g in enumerate(given, start=1)]
        specs = [_given(path, listed[k] if listed else None, one) for k, path in enumerate(paths)]
    else:
        specs = list(listed or (one,) * (folds or 1) if one else listed)
    return {f"T{number}": spec for number, spec in enumerate(specs, start=1)}


def teacher_builders(context: Context, *, folds: int | None = None) -> dict[str, Callable[[], Network]]:
    """Makers of T1 … TK."""
    return {name: context.builder(name, spec) for name, spec in teacher_specs(context, folds=folds).items()}


def taken_teachers(context: Context, *, folds: int | None = None) -> frozenset[str]:
    """Which of T1 … TK are taken as they are, as :meth:`Context.takes_teacher` does the only one.

    Raises:
        UserError: a trained network in the place of those that ``folds`` is to train.
    """
    specs = teacher_specs(context, folds=folds)
    if getattr(context.recipe.technique, "teachers", ()):
        return frozenset(specs)
    if context.recipe.teacher_training:
        return frozenset()
    taken = frozenset(name for name, spec in specs.items() if context.is_trained(name, spec))
    if folds and taken:
        raise UserError(
            f"technique.folds: {folds} teachers are to be trained, each without a fold, but networks.teacher has "
            "trained weights, which would be taken as they are; leave one out, or say with teacher_training how to "
            "train them further"
        )
    return taken


def teacher_stages(context: Context, *, folds: int | None = None) -> tuple[Stage, ...]:
    """A stage for each teacher that trains it alone; none for those that are taken as they are.

    Args:
        folds: K teachers, the k-th trained without the k-th fold of the training part.

    Raises:
        UserError: few shots would train the teachers too.
    """
    recipe = context.recipe
    taken = taken_teachers(context, folds=folds)
    builders = teacher_builders(context, folds=folds)
    if taken == set(builders):
        return ()
    context.require_more_than_shots()
    return tuple(
        Stage(
            name=_stage(name),
            members=learning({name: build}),
            training=recipe.teacher_stage_training,
            fold=(number, folds) if folds else None,
        )
        for number, (name, build) in enumerate(builders.items(), start=1)
        if name not in taken
    )


def committee_members(
    context: Context,
    *,
    integration: Integration,
    temperature: float,
    power: float | None = None,
    folds: int | None = None,
) -> dict[str, Member]:
    """T1 … TK, frozen, and after them their committee T.

    Those that are not taken as they are start from what :func:`teacher_stages` leaves.
    """
    taken = taken_teachers(context, folds=folds)
    members = {
        name: Member(build=build, trains=False, start=None if name in taken else Start(_stage(name), name))
        for name, build in teacher_builders(context, folds=folds).items()
    }
    names = tuple(members)

    def committee(*teachers: Network) -> Committee:
        named = dict(zip(names, teachers, strict=True))
        return Committee(named, integration=integration, temperature=temperature, power=power)

    return {**members, "T": Member(build=committee, builds_on=names, trains=False)}


def committee_notes(context: Context, integration: Integration) -> tuple[str, ...]:
    """What the user should know of a committee before training."""
    if integration not in NEEDS_LABELS:
        return ()
    return (
        f"The committee T weighs its teachers by the training labels ({integration}); where it is evaluated, labels "
        "are unknown and its teachers weigh equally.",
    )


def best_teacher(context: Context, option: str = "technique.host") -> str:
    """The name of the given teacher with the best validation score in its own run; the first of equals.

    Args:
        option: by which the user can name one instead, for the error.

    Raises:
        UserError: a teacher that no finished run tells the score of.
    """
    given: tuple[str, ...] = getattr(context.recipe.technique, "teachers", ())
    if len(given) < 2:
        return "T1"
    monitor = context.recipe.monitor
    scores = {f"T{k}": _score(teacher_weights(one), monitor) for k, one in enumerate(given, start=1)}
    unknown = [f"{name} ({one})" for (name, score), one in zip(scores.items(), given, strict=True) if score is None]
    if unknown:
        raise UserError(
            f"technique.teachers: no result.json beside {', '.join(unknown)} tells a validation {monitor}, so which "
            f"teacher is best cannot be known; give finished run folders, or name one: {option}=T1"
        )
    return max(scores, key=lambda name: scores[name] or 0.0)


def _stage(teacher: str) -> str:
    """``teacher2`` for T2."""
    return f"teacher{teacher.removeprefix('T')}"


def _given(path: Path, listed: NetworkSpec | None, otherwise: NetworkSpec | None) -> NetworkSpec:
    own: dict[str, Any] = read_config(path).get(OWN_KEY, {}) if path.is_dir() else {}
    if "built" in own:
        raise UserError(
            f"technique.teachers: {path} is {own['built']['note'].partition(':')[0]}; give single networks instead, "
            f"for example those in {path / 'sources'}"
        )
    spec = listed or (NetworkSpec.model_validate(own["spec"]) if "spec" in own else otherwise)
    if spec is None:
        raise UserError(
            f"technique.teachers: nothing tells the architecture of {path}; name it in networks.teachers, one entry "
            "for each teacher"
        )
    return spec.model_copy(update={"weights": str(path)})


def _score(weights: Path, monitor: str) -> float | None:
    """The validation score of the network in a run folder, None where no result tells it."""
    network = weights if weights.is_dir() else weights.parent
    run = next((folder for folder in network.absolute().parents if (folder / "result.json").exists()), None)
    if run is None:
        return None
    result = read_result(run)
    return None if result is None else result.validation.get(network.name, {}).get(monitor)
