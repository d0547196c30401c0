"""What can be chosen by name, read from the source text of the classes themselves.

``preceptor methods`` and the checks of a recipe must not wait for torch, yet every option should be
written down once, in the signature of the class that has it. So signatures and class attributes are
parsed (:mod:`preceptor.signatures`); only :func:`load` imports anything.
"""

import ast
import difflib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import ConfigDict, ValidationError, create_model

from preceptor.errors import UserError
from preceptor.refusals import OWN_MODULE, refusal
from preceptor.signatures import ClassText, Option, classes_in, functions_in, options_of, source_of, summary_of

_PACKAGE = Path(__file__).parent
_ROOMS = ("knowledge", "techniques")
_TASKS = ("classification", "segmentation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a knowledge loss is used in one task, as published.

    Args:
        weight: factor of the loss.
        student_tap, teacher_tap: what it compares; the teacher's is the student's unless given.
        warmup: epochs over which the weight rises linearly from 0.
        task_weight: published factor of the network's own task loss beside it.
    """

    weight: float
    student_tap: str | tuple[str, ...]
    teacher_tap: str | tuple[str, ...] | None = None
    warmup: int = 0
    task_weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A knowledge loss as its source text describes it.

    Args:
        key: name in recipes; for a user's own loss ``file.py:ClassName``.
        module: dotted name, or None for a user's own file.
        settings: task -> published setting; its keys are the tasks that the loss serves.
        options: arguments of ``__init__``.
        summary, source: of the class's docstring.
        keeps_batch: whether it wants every batch in full size.
    """

    key: str
    class_name: str
    path: Path
    module: str | None
    settings: Mapping[str, Setting]
    options: tuple[Option, ...]
    summary: str
    source: str
    keeps_batch: bool = False


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
                found[str(key.value)] = _entry(text, key=str(key.value), module=module)
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
    file, colon, class_name = name.rpartition(":")
    if not colon or not file.endswith(".py"):
        raise UserError(
            f"no knowledge loss {name!r}; {_nearest(name, losses())} Your own is named path/to/module.py:ClassName."
        )
    classes = classes_in(base_dir / Path(file).expanduser())
    if class_name not in classes:
        raise UserError(f"loss {name!r}: {file} has no class {class_name!r}; {_nearest(class_name, classes)}")
    if not isinstance(classes[class_name].attribute("key"), ast.Constant):
        raise UserError(f'loss {name!r}: a loss names its term in a class attribute like key = "{class_name.lower()}"')
    return _entry(classes[class_name], key=name, module=None)


def check_options(entry: Entry, options: Mapping[str, Any]) -> dict[str, Any]:
    """``options`` with the types that the loss's signature asks for.

    Raises:
        UserError: an unknown option, with the nearest; a wrong type; a missing one.
    """
    known = {option.name: option for option in entry.options}
    for name in options:
        if name not in known:
            has = f"it has {', '.join(map(str, entry.options))}" if known else "it has none"
            near = difflib.get_close_matches(str(name), known, n=1)
            raise UserError(
                f"loss {entry.key}: no option {name!r}; {f'did you mean {near[0]!r}? ' if near else ''}{has}"
            )
    fields: dict[str, Any] = {
        option.name: (option.type, ... if option.is_required else option.default) for option in entry.options
    }
    model = create_model("Options", __config__=ConfigDict(extra="forbid"), **fields)
    try:
        checked = model.model_validate(dict(options))
    except ValidationError as error:
        lines = dict.fromkeys(_explain(entry, known, detail) for detail in error.errors())
        raise UserError("\n".join(lines)) from None
    return {name: getattr(checked, name) for name in known if name in options}


def load(entry: Entry) -> type[Any]:
    """Import the class of ``entry``; the first call waits for torch.

    Raises:
        UserError: a user's own file fails, or its class is no loss.
    """
    from preceptor.knowledge.base import Loss

    module = importlib.import_module(entry.module) if entry.module else _run_file(entry)
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
            "options": ", ".join(_with_default(one.name, one.type, one.default) for one in entry.options),
            "source": entry.source,
        }
        for entry in losses().values()
    ]


def technique_rows() -> list[dict[str, str]]:
    """One row per technique: key, what it does, options, source, from its recipe part and its function."""
    from preceptor.technique_specs import TechniqueSpec

    functions = _technique_docstrings()
    rows = []
    for spec in get_args(get_args(TechniqueSpec)[0]):
        for key in get_args(spec.model_fields["name"].annotation):
            fields = {name: spec.model_fields[name] for name in options_of(functions[key])}
            options = [_with_default(name, field.annotation, field.default) for name, field in fields.items()]
            rows.append(
                {
                    "technique": key,
                    "what it does": summary_of(functions[key]),
                    "tasks": ", ".join(spec.tasks),
                    "options": ", ".join(options),
                    "source": source_of(functions[key]),
                }
            )
    return rows


def _in_words(setting: Setting) -> str:
    """``weight 1000 at stages``."""
    taps = setting.student_tap if isinstance(setting.student_tap, str) else " + ".join(setting.student_tap)
    more = [f"task {setting.task_weight:g}"] if setting.task_weight != 1 else []
    more += [f"warm-up {setting.warmup}"] if setting.warmup else []
    return ", ".join([f"weight {setting.weight:g} at {taps}", *more])


def _with_default(name: str, kind: Any, default: Any) -> str:
    """``temperature = 4.0``, ``direction = forward (or reverse)``; the name alone where nothing is the default."""
    if not isinstance(default, str | bool | int | float):
        return name
    value = str(default).lower() if isinstance(default, bool) else str(default)
    others = [str(one) for one in get_args(kind) if one != default] if get_origin(kind) is Literal else []
    return f"{name} = {value}" + (f" (or {', '.join(others)})" if others else "")


def _technique_docstrings() -> dict[str, str]:
    """The docstring of each function in the dict ``TECHNIQUES``."""
    tree = ast.parse((_PACKAGE / "techniques" / "__init__.py").read_text(encoding="utf-8"))
    modules = {
        alias.asname or alias.name: str(statement.module)
        for statement in tree.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    (table,) = (node.value for node in tree.body if isinstance(node, ast.AnnAssign) and node.value is not None)
    assert isinstance(table, ast.Dict)
    return {
        key.value: functions_in(_PACKAGE.parent / (modules[function.id].replace(".", "/") + ".py"))[function.id]
        for key, function in zip(table.keys, table.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and isinstance(function, ast.Name)
    }


def _entry(text: ClassText, *, key: str, module: str | None) -> Entry:
    return Entry(
        key=key,
        class_name=text.name,
        path=text.path.resolve(),
        module=module,
        settings=_settings(text),
        options=text.options(),
        summary=text.summary,
        source=text.source,
        keeps_batch=isinstance(kept := text.attribute("keeps_batch"), ast.Constant) and kept.value is True,
    )


def _settings(text: ClassText) -> dict[str, Setting]:
    """The class attribute ``settings``, a dict of task to ``Setting(...)`` with plain values."""
    node = text.attribute("settings")
    example = 'settings = {"classification": Setting(weight=1.0, student_tap="last")}'
    wrong = UserError(
        f"{text.path.name}:{text.name}: a loss has a class attribute with plain values like\n    {example}"
    )
    if not isinstance(node, ast.Dict):
        raise wrong
    found = {}
    for task, call in zip(node.keys, node.values, strict=True):
        if (
            not isinstance(call, ast.Call)
            or call.args
            or not isinstance(task, ast.Constant)
            or task.value not in _TASKS
        ):
            raise wrong
        try:
            values = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
            found[str(task.value)] = Setting(**values)
        except (TypeError, ValueError):
            raise wrong from None
    return found


def _run_file(entry: Entry) -> Any:
    """The module of a user's file, run once for each content it has."""
    digest = hashlib.sha256(entry.path.read_bytes() + str(entry.path).encode()).hexdigest()[:16]
    name = f"{OWN_MODULE}{entry.path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, entry.path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        where = refusal(error) or f"{type(error).__name__}: {error}"
        del sys.modules[name]
        raise UserError(f"loss {entry.key!r}: running its file fails: {where}") from error
    return module


def _explain(entry: Entry, known: Mapping[str, Option], detail: Mapping[str, Any]) -> str:
    option = known[str(detail["loc"][0])]
    if detail["type"] == "missing":
        return f"loss {entry.key}: option {option.name} ({option.annotation}) is missing"
    return f"loss {entry.key}: option {option.name} wants {option.annotation}, got {detail['input']!r}"


def _nearest(name: str, valid: Iterable[str]) -> str:
    names = list(valid)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}." if names else "it has none."
