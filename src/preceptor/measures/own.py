"""A user's own measures: what they say of themselves is read from the text, and run only when something is scored.

Reading a recipe or a report must not run what somebody else wrote. So a measure is known in two ways: *described*, by
the plain values of its entry, and *loaded*, with the functions that score.
"""

import ast
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np

from preceptor.errors import UserError
from preceptor.inside import inside
from preceptor.measures.arrays import Float64, Int64
from preceptor.measures.measure import Answers, AnyMeasure, ClassAnswers, MaskAnswers, Measure, Measures
from preceptor.measures.surface import SURFACES
from preceptor.measures.table import MEASURES, with_own
from preceptor.own_code import is_own, run_file
from preceptor.signatures import values_in
from preceptor.specs import Task

_FUNCTIONS = ("addends", "finish", "score", "paired")
_FACTS = {one.name: one for one in fields(Measure) if one.name not in _FUNCTIONS}
_EXAMPLE = (
    'MINE = Measure(name="mine", label="Mine", task="classification", addends=..., finish=ratio), as in '
    "docs/own-measure.md"
)


def described_measure(name: str) -> AnyMeasure:
    """The measure that a recipe names ``path/to/module.py:NAME``, by its text, which is not run; without functions.

    Raises:
        UserError: no such file, no measure of that name in it, or one that says wrong things of itself.
    """
    path, entry, values = path_of(name), entry_of(name), values_in(path_of(name))
    if entry not in values:
        near = difflib.get_close_matches(entry, values, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it assigns {', '.join(values) or 'nothing'}."
        raise UserError(f"measure {name!r}: {path.name} has no {entry!r}; {hint} A measure is a value: {_EXAMPLE}")
    call = values[entry]
    if not isinstance(call, ast.Call) or not ast.unparse(call.func).endswith("Measure") or call.args:
        raise UserError(f"measure {name!r} is no Measure(...) with named arguments; write {_EXAMPLE}")
    given = {str(keyword.arg): keyword.value for keyword in call.keywords}
    for wanted in ("addends", "finish"):
        if wanted not in given:
            raise UserError(f"measure {name!r}: {wanted} is missing; write {_EXAMPLE}")
    facts = {}
    for key, value in given.items():
        if key not in _FUNCTIONS:
            try:
                facts[key] = ast.literal_eval(value)
            except ValueError:
                raise UserError(
                    f"measure {name!r}: {key} is {ast.unparse(value)}; write a plain value: it is read and not run"
                ) from None
    return from_facts(facts, f"measure {name!r}")


def from_facts(facts: Mapping[str, Any], what: str) -> AnyMeasure:
    """The measure of which ``facts`` are known, without functions; ``what`` it is, for errors.

    Raises:
        UserError: an unknown fact, a missing one, or one of another kind.
    """
    for key, value in facts.items():
        if key not in _FACTS:
            near = difflib.get_close_matches(str(key), _FACTS, n=1)
            raise UserError(f"{what}: a measure has no {key!r}{f'; did you mean {near[0]!r}?' if near else ''}")
        kind = str if _FACTS[key].default in (MISSING, "") else bool
        if not isinstance(value, kind):
            raise UserError(f"{what}: {key} wants {'a text' if kind is str else 'True or False'}, got {value!r}")
    if "." in str(facts.get("name", "")):
        raise UserError(f"{what}: name is {facts['name']!r}; write it in small letters, digits and underscores")
    for key, one in _FACTS.items():
        if one.default is MISSING and key not in facts:
            raise UserError(f"{what}: {key} is missing; write {_EXAMPLE}")
    if facts["task"] not in get_args(Task):
        raise UserError(f"{what}: task wants {' or '.join(get_args(Task))}, got {facts['task']!r}")
    return Measure(**facts, addends=None, finish=_unknown)


def facts_of(measure: AnyMeasure) -> dict[str, Any]:
    """What is known of a measure without its functions, but for what is as usual."""
    values = {key: getattr(measure, key) for key in _FACTS}
    return {key: value for key, value in values.items() if value != _FACTS[key].default}


def loaded(name: str) -> AnyMeasure:
    """The measure that a recipe names; its file is run.

    Raises:
        UserError: its file fails, or it turns out to be something else than its text says.
    """
    return loaded_from(path_of(name), entry_of(name), f"measure {name!r}")


def loaded_from(path: Path, entry: str, what: str) -> AnyMeasure:
    """As :func:`loaded`, from a file; ``what`` is loaded, for errors."""
    found = getattr(run_file(path, what), entry, None)
    if not isinstance(found, Measure):
        raise UserError(f"{what} is no Measure but {type(found).__name__}; write {_EXAMPLE}")
    if not all(map(callable, (found.addends, found.finish, found.score or found.finish))):
        raise UserError(f"{what}: addends, finish and score want functions; write {_EXAMPLE}")
    from_facts(facts_of(found), what)
    return found


def measures_in_recipe(task: str, names: Iterable[str]) -> Measures:
    """All measures of a task with those that a recipe names, described.

    Raises:
        UserError: one of another task, or with a name that is taken.
    """
    own: dict[str, AnyMeasure] = {}
    for name in names:
        if not is_own(name):
            raise UserError(f"measures: {name!r} is no file of yours; write path/to/module.py:NAME")
        one = described_measure(name)
        if one.task != task:
            raise UserError(f"measure {name!r} is for {one.task}, this recipe's task is {task}")
        if one.key in MEASURES[task] or one.key in own:
            raise UserError(f"measure {name!r}: there is a measure {one.key!r} already; give it another name")
        own[one.key] = one
    return with_own(task, own.values())


def require_sound(measure: AnyMeasure, answers: Answers) -> None:
    """Refuse, before training, a measure that cannot score such answers or resamples of them.

    Raises:
        UserError: what it gives, and what was wanted.
    """
    measure.of(answers)
    rows = measure.rows(answers)
    measure.finished(np.stack([rows.sum(axis=0), 2 * rows.sum(axis=0), rows[0]]))
    if measure.paired is not None and measure.paired.values is not None and measure.paired.test != "delong":
        values = np.asarray(measure.paired.values(answers))
        if values.shape != (len(rows),):
            raise UserError(
                f"measure {measure.name}: paired.values gives the shape {values.shape}; a score for each of the "
                f"{len(rows)} samples was wanted"
            )
        score = measure.of(answers)
        if score is not None and not np.isclose(values.mean(), score, rtol=1e-4, atol=1e-6):
            raise UserError(
                f"measure {measure.name}: the mean of paired.values is {values.mean():.6g}, the measure {score:.6g}; a "
                'report would test another score than it shows. Give values of which it is the mean, or test="pooled"'
            )


def answers_to_try(task: str, classes: int, labels: Int64) -> Answers:
    """Answers by chance: about ``labels`` (N,), or about as many masks."""
    draw = np.random.default_rng(0)
    if task == "classification":
        said, teacher = (draw.dirichlet(np.ones(classes), size=len(labels)) for _ in range(2))
        return ClassAnswers(said, labels, teacher)
    counts, against = (draw.integers(1, 100, size=(len(labels), classes - 1, 4)) for _ in range(2))
    return MaskAnswers(counts, against, surfaces=draw.random((len(labels), classes - 1, len(SURFACES))))


def measure_in_result(measure: AnyMeasure, file: str, entry: str) -> dict[str, Any]:
    """What a run's result says of a measure of the user's own: where its file is kept in the run, and what is known."""
    return {"file": file, "entry": entry, **facts_of(measure)}


def of_a_run(run: Path, said: object, *, said_by: Path, trust: bool = False) -> tuple[AnyMeasure, ...]:
    """The user's own measures of a finished run, as its result says them: described, or loaded from what it keeps.

    Args:
        said: ``measures`` of its result.
        said_by: the file of the result, for errors.
        trust: run the files that the run keeps.

    Raises:
        UserError: something else stands there, or a file fails.
    """
    found = []
    if not isinstance(said, Mapping) or not all(isinstance(facts, Mapping) for facts in said.values()):
        raise UserError(
            f"{said_by}: measures should say of each measure what it is; the file is damaged or not a run's"
        )
    for key, facts in said.items():
        what = f"{said_by}: measure {key!r}"
        one = from_facts({name: fact for name, fact in facts.items() if name not in ("file", "entry")}, what)
        if trust:
            path = inside(run, facts.get("file"), said_by=said_by)
            if not path.is_file():
                raise UserError(f"{what}: {path} is gone; bring it back, or leave out --trust")
            one = loaded_from(path, str(facts.get("entry")), what)
        found.append(one)
    return tuple(found)


def path_of(name: str) -> Path:
    """The file of ``path/to/module.py:NAME``."""
    return Path(name.rpartition(":")[0]).expanduser().resolve()


def entry_of(name: str) -> str:
    """What stands behind its colon."""
    return name.rpartition(":")[2]


def _unknown(sums: Float64) -> Float64:
    return np.full(len(sums), np.nan)
