"""What can be chosen by name, read from the source text of the classes themselves.

``preceptor methods`` and the checks of a recipe must not wait for torch, yet every option should be
written down once, in the signature of the class that has it. So signatures and class attributes are
parsed (:mod:`preceptor.signatures`); only :func:`load` imports anything.
"""

import ast
import difflib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

from pydantic import ConfigDict, ValidationError, create_model

from preceptor.errors import UserError
from preceptor.knowledge.setting import Setting
from preceptor.own_code import is_own, nearest, own_class, run_file
from preceptor.signatures import ClassText, Option, classes_in
from preceptor.specs import Task

_PACKAGE = Path(__file__).parents[1]
_ROOMS = ("knowledge", "techniques")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A knowledge loss as its source text describes it.

    Args:
        key: name in recipes; for a user's own loss ``file.py:ClassName``.
        term: what it is called in the names of loss terms.
        module: dotted name, or None for a user's own file.
        settings: task -> published setting; its keys are the tasks that the loss serves.
        options: arguments of ``__init__``.
        summary, source: of the class's docstring.
        needs_labels: whether it reads the class of every image, or of every pixel.
        keeps_batch: whether it wants every batch in full size.
        brings_head: whether it replaces the student's head.
    """

    key: str
    term: str
    class_name: str
    path: Path
    module: str | None
    settings: Mapping[Task, Setting]
    options: tuple[Option, ...]
    summary: str
    source: str
    needs_labels: bool = False
    keeps_batch: bool = False
    brings_head: bool = False


@cache
def losses() -> dict[str, Entry]:
    """Every knowledge loss of the package by key, in alphabetical order."""
    found: dict[str, Entry] = {}
    for path in sorted(path for room in _ROOMS for path in (_PACKAGE / room).rglob("*.py")):
        if "Setting(" not in path.read_text(encoding="utf-8"):
            continue
        for text in classes_in(path).values():
            key = text.attribute("key")
            if isinstance(key, ast.Constant) and text.attribute("settings") is not None:
                module = ".".join(("preceptor", *path.relative_to(_PACKAGE).with_suffix("").parts))
                assert key.value not in found, f"two losses have the key {key.value!r}"
                found[str(key.value)] = _entry(text, key=str(key.value), term=str(key.value), module=module)
    return dict(sorted(found.items()))


def entry_for(name: str, base_dir: Path = Path()) -> Entry:
    """The loss that a recipe names: a key, or ``path/to/module.py:ClassName``, which is read and not run.

    Args:
        base_dir: what a relative path starts from.

    Raises:
        UserError: no such loss, with the nearest key; or a file that does not describe one.
    """
    if name in losses():
        return losses()[name]
    if not is_own(name):
        raise UserError(
            f"no knowledge loss {name!r}; {nearest(name, losses())} Your own is named path/to/module.py:ClassName."
        )
    text = own_class(name, "loss", base_dir)
    term = text.attribute("key")
    if not isinstance(term, ast.Constant):
        raise UserError(f'loss {name!r}: a loss names its term in a class attribute like key = "{text.name.lower()}"')
    return _entry(text, key=name, term=str(term.value), module=None)


def check_options(entry: Entry, options: Mapping[str, Any]) -> dict[str, Any]:
    """``options`` with the types that the loss's signature asks for.

    Raises:
        UserError: an unknown option, with the nearest; a wrong type; a missing one.
    """
    return options_in(f"loss {entry.key}", entry.options, options)


def options_in(what: str, options: Sequence[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` with the types that ``options`` ask for; ``what`` has them, for errors.

    Raises:
        UserError: as :func:`check_options`.
    """
    known = {option.name: option for option in options}
    for name in given:
        if name not in known:
            has = f"it has {', '.join(map(str, options))}" if known else "it has none"
            near = difflib.get_close_matches(str(name), known, n=1)
            raise UserError(f"{what}: no option {name!r}; {f'did you mean {near[0]!r}? ' if near else ''}{has}")
    fields: dict[str, Any] = {
        option.name: (option.type, ... if option.is_required else option.default) for option in options
    }
    model = create_model("Options", __config__=ConfigDict(extra="forbid"), **fields)
    try:
        found = model.model_validate(dict(given))
    except ValidationError as error:
        lines = dict.fromkeys(_explain(what, known, detail) for detail in error.errors())
        raise UserError("\n".join(lines)) from None
    return {name: getattr(found, name) for name in known if name in given}


def load(entry: Entry) -> type[Any]:
    """Import the class of ``entry``; the first call waits for torch.

    Raises:
        UserError: a user's own file fails, or its class is no loss.
    """
    from preceptor.knowledge.base import Loss

    module = importlib.import_module(entry.module) if entry.module else run_file(entry.path, f"loss {entry.key!r}")
    found: type[Any] = getattr(module, entry.class_name)
    if not (isinstance(found, type) and issubclass(found, Loss)):
        raise UserError(f"loss {entry.key!r} is no subclass of preceptor.knowledge.base.Loss; let it extend that")
    return found


def loss_rows() -> list[dict[str, str]]:
    """One row per knowledge loss: key, what it does, tasks with the published setting, options, source."""
    return [
        {
            "loss": entry.key,
            "what it does": entry.summary,
            "tasks": "; ".join(f"{task} ({_in_words(setting)})" for task, setting in entry.settings.items()),
            "options": ", ".join(with_default(one.name, one.type, one.default) for one in entry.options),
            "source": entry.source,
        }
        for entry in losses().values()
    ]


def _in_words(setting: Setting) -> str:
    """``weight 1000 at stages``."""
    taps = setting.student_tap if isinstance(setting.student_tap, str) else " + ".join(setting.student_tap)
    more = [f"task {setting.task_weight:g}"] if setting.task_weight != 1 else []
    more += [f"warm-up {setting.warmup}"] if setting.warmup else []
    return ", ".join([f"weight {setting.weight:g} at {taps}", *more])


def with_default(name: str, kind: Any, default: Any) -> str:
    """``temperature = 4.0``, ``direction = forward (or reverse)``; the name alone where nothing is the default."""
    if not isinstance(default, str | bool | int | float):
        return name
    value = str(default).lower() if isinstance(default, bool) else str(default)
    others = [str(one) for one in get_args(kind) if one != default] if get_origin(kind) is Literal else []
    return f"{name} = {value}" + (f" (or {', '.join(others)})" if others else "")


def _entry(text: ClassText, *, key: str, term: str, module: str | None) -> Entry:
    return Entry(
        key=key,
        term=term,
        class_name=text.name,
        path=text.path.resolve(),
        module=module,
        settings=_settings(text),
        options=text.options(),
        summary=text.summary,
        source=text.source,
        needs_labels=isinstance(reads := text.attribute("needs_labels"), ast.Constant) and reads.value is True,
        keeps_batch=isinstance(kept := text.attribute("keeps_batch"), ast.Constant) and kept.value is True,
        brings_head=text.defines("head"),
    )


def _settings(text: ClassText) -> dict[Task, Setting]:
    """The class attribute ``settings``, a dict of task to ``Setting(...)`` with plain values."""
    node = text.attribute("settings")
    example = 'settings = {"classification": Setting(weight=1.0, student_tap="last")}'
    wrong = UserError(
        f"{text.path.name}:{text.name}: a loss has a class attribute with plain values like\n    {example}"
    )
    if not isinstance(node, ast.Dict):
        raise wrong
    found: dict[Task, Setting] = {}
    for task, call in zip(node.keys, node.values, strict=True):
        if (
            not isinstance(call, ast.Call)
            or call.args
            or not isinstance(task, ast.Constant)
            or task.value not in get_args(Task)
        ):
            raise wrong
        try:
            values = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
            found[cast(Task, task.value)] = Setting(**values)
        except (TypeError, ValueError):
            raise wrong from None
    return found


def _explain(what: str, known: Mapping[str, Option], detail: Mapping[str, Any]) -> str:
    option = known[str(detail["loc"][0])]
    if detail["type"] == "missing":
        return f"{what}: option {option.name} ({option.annotation}) is missing"
    return f"{what}: option {option.name} wants {option.annotation}, got {detail['input']!r}"
