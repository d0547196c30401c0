"""The door for a user's own code: ``path/to/file.py:Name`` of a file, or ``package.module:Name`` of what is installed.

A loss, a technique, a network, a data source of one's own all come in here. A file is read as text to check a recipe,
and run only where what it holds is used.
"""

import difflib
import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.errors import UserError
from preceptor.refusals import OWN_MODULE, refusal
from preceptor.signatures import ClassText, callables_in, classes_in

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class OwnCode:
    """What a user's name stands for, once its file has been run or its module imported.

    Args:
        name: as the user wrote it.
        target: the class or function.
        content: of the file; None for what is installed.
    """

    name: str
    target: Callable[..., Any]
    content: bytes | None

    @property
    def sha256(self) -> str | None:
        """Of the file's content."""
        return None if self.content is None else hashlib.sha256(self.content).hexdigest()

    @property
    def portable(self) -> str:
        """The name without the folders in which the file lies."""
        file, _, name = self.name.rpartition(":")
        return self.name if self.content is None else f"{Path(file).name}:{name}"


def is_own(name: str) -> bool:
    """Whether ``name`` means something in a user's own file, as ``path/to/module.py:Name`` does."""
    file, colon, _ = name.rpartition(":")
    return bool(colon) and file.endswith(".py")


def is_code(name: str) -> bool:
    """Whether ``name`` means something in a user's own file or in an installed module."""
    return is_own(name) or bool(_MODULE.fullmatch(name))


def file_of(name: str) -> Path:
    """The file of ``path/to/module.py:Name``."""
    return Path(name.rpartition(":")[0]).expanduser().resolve()


def own_class(name: str, what: str, base_dir: Path = Path()) -> ClassText:
    """The class that a user names, which is read and not run; ``what`` it is to be, for errors.

    Raises:
        UserError: no such file, or no such class in it, with the nearest.
    """
    file, _, class_name = name.rpartition(":")
    classes = classes_in(base_dir / Path(file).expanduser())
    if class_name not in classes:
        raise UserError(f"{what} {name!r}: {file} has no class {class_name!r}; {nearest(class_name, classes)}")
    return classes[class_name]


def check_call(name: str, what: str, options: Mapping[str, Any], *, given: Iterable[str]) -> None:
    """Compare ``options`` with the parameters of the class or function that a user names in a file, which is not run.

    What the text does not tell, as of a class without an ``__init__`` of its own, is found out when it is called; so
    is what an installed module has.

    Args:
        what: it is to be, for errors.
        given: parameters that preceptor fills in itself.

    Raises:
        UserError: no such file or name in it, an option that it does not have, or one that is missing.
    """
    if not is_own(name):
        return
    file, _, wanted = name.rpartition(":")
    found = callables_in(Path(file).expanduser())
    if wanted not in found:
        raise UserError(f"{what} {name!r}: {file} has no class or function {wanted!r}; {nearest(wanted, found)}")
    parameters = found[wanted]
    if parameters is None:
        return
    free = [one for one in parameters.names if one not in given]
    for option in options:
        if option in given:
            raise UserError(f"{what} {name!r}: option {option!r} is set by preceptor; leave it out")
        if option not in parameters.names and not parameters.takes_any:
            raise UserError(f"{what} {name!r}: no option {option!r}; {nearest(option, free)}")
    missing = [one for one in parameters.required if one not in options and one not in given]
    if missing:
        raise UserError(f"{what} {name!r} wants the option {missing[0]!r}; give it in its `options`")


def load_code(name: str, what: str) -> OwnCode:
    """Run the file, or import the module, and take out what the user names; ``what`` it is to be, for errors.

    Raises:
        UserError: it fails, is not installed, or holds no such thing that can be called.
    """
    where, _, wanted = name.rpartition(":")
    content = file_of(name).read_bytes() if is_own(name) else None
    module = run_file(file_of(name), f"{what} {name!r}") if is_own(name) else _imported(where, f"{what} {name!r}")
    target = getattr(module, wanted, None)
    if not callable(target):
        known = [one for one, value in vars(module).items() if callable(value) and not one.startswith("_")]
        raise UserError(f"{what} {name!r}: {where} has no class or function {wanted!r}; {nearest(wanted, known)}")
    return OwnCode(name, target, content)


def run_file(path: Path, what: str) -> Any:
    """The module of a user's file, run once for each content it has; ``what`` is wanted of it, for errors."""
    digest = hashlib.sha256(path.read_bytes() + str(path).encode()).hexdigest()[:16]
    name = f"{OWN_MODULE}{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        where = refusal(error) or f"{type(error).__name__}: {error}"
        del sys.modules[name]
        raise UserError(f"{what}: running its file fails: {where}") from error
    return module


def nearest(name: str, valid: Iterable[str]) -> str:
    """The end of an error about ``name``: the nearest valid name, or all of them."""
    names = list(valid)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}." if names else "it has none."


def _imported(module: str, what: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"{what}: {error}.\nInstall what it needs, or name a class in a file of yours: path/to/module.py:ClassName."
        ) from error
