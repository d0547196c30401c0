"""Classes read from source text: docstring, class attributes, options of ``__init__``. Nothing is imported or run."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union

from preceptor.errors import UserError
from preceptor.opening import open_file

_LONGEST = 1_000_000
"""Bytes of a user's own file."""

_PLAIN: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool, "None": None}
_CONTAINERS: dict[str, Any] = {"tuple": tuple, "list": list, "dict": dict}


@dataclass(frozen=True, slots=True)
class Option:
    """One argument of a class.

    Args:
        annotation: its type as written.
        type: its type.
        default: None where ``is_required``.
    """

    name: str
    annotation: str
    type: Any
    default: Any
    is_required: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.annotation}" + ("" if self.is_required else f" = {self.default!r}")


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a class or function can be called with by keyword.

    Args:
        required: those without a default.
        takes_any: whether it takes ``**kwargs``.
    """

    names: tuple[str, ...]
    required: tuple[str, ...]
    takes_any: bool


@dataclass(frozen=True, slots=True)
class ClassText:
    """A class as it stands in a file."""

    path: Path
    node: ast.ClassDef
    aliases: Mapping[str, ast.expr]

    @property
    def name(self) -> str:
        """Of the class."""
        return self.node.name

    @property
    def docstring(self) -> str:
        """Of the class, cleaned; empty where there is none."""
        return ast.get_docstring(self.node) or ""

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return summary_of(self.docstring)

    @property
    def source(self) -> str:
        """What follows ``Source:`` in the docstring."""
        return source_line(self.docstring)

    def attribute(self, name: str) -> ast.expr | None:
        """The expression assigned to a class attribute."""
        for statement in self.node.body:
            if isinstance(statement, ast.AnnAssign) and _is_name(statement.target, name):
                return statement.value
            if isinstance(statement, ast.Assign) and any(_is_name(target, name) for target in statement.targets):
                return statement.value
        return None

    def defines(self, method: str) -> bool:
        """Whether the class has a method of this name of its own."""
        return any(isinstance(one, ast.FunctionDef) and one.name == method for one in self.node.body)

    def options(self) -> tuple[Option, ...]:
        """The arguments of ``__init__``, in order.

        Raises:
            UserError: an argument has no type or no literal default, or a type that recipes cannot hold.
        """
        for statement in self.node.body:
            if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
                arguments = _arguments(statement.args, self._where)
                return tuple(self._option(one.arg, one.annotation, default) for one, default in arguments)
        return ()

    def fields(self) -> tuple[Option, ...]:
        """The class attributes with a type, in order, as a data class has them.

        Raises:
            UserError: as :meth:`options`.
        """
        found = [one for one in self.node.body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)]
        return tuple(
            self._option(one.target.id, one.annotation, one.value)
            for one in found
            if isinstance(one.target, ast.Name) and not ast.unparse(one.annotation).startswith("ClassVar")
        )

    def _option(self, name: str, annotation: ast.expr | None, default: ast.expr | None) -> Option:
        where = f"{self._where}: option {name!r}"
        if annotation is None:
            raise UserError(f"{where} has no type; write for example {name}: float = 1.0")
        value = None
        if default is not None:
            try:
                value = ast.literal_eval(default)
            except ValueError:
                raise UserError(f"{where} has the default {ast.unparse(default)}; write a plain value") from None
        annotation = self._unaliased(annotation)
        return Option(name, ast.unparse(annotation), self._type(annotation, where), value, default is None)

    def _unaliased(self, node: ast.expr) -> ast.expr:
        followed = set()
        while isinstance(node, ast.Name) and node.id in self.aliases and node.id not in followed:
            followed.add(node.id)
            node = self.aliases[node.id]
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                return ast.parse(node.value, mode="eval").body
            except SyntaxError:
                raise UserError(f"{self._where}: {node.value!r} is no type") from None
        return node

    def _type(self, node: ast.expr, where: str) -> Any:
        node = self._unaliased(node)
        match node:
            case ast.Name(id=name) if name in _PLAIN:
                return _PLAIN[name]
            case ast.Constant(value=None):
                return None
            case ast.Constant(value=value) if value is ...:
                return ...
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return Union[self._type(left, where), self._type(right, where)]  # noqa: UP007  # None | None fails
            case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
                values = ast.literal_eval(inner)
                return Literal[values]
            case ast.Subscript(value=ast.Name(id=name), slice=inner) if name in _CONTAINERS:
                parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                return _CONTAINERS[name][tuple(self._type(part, where) for part in parts)]
            case _:
                raise UserError(
                    f"{where} has the type {ast.unparse(node)}; a recipe can hold int, float, str, bool, None, "
                    f"Literal[...], tuple[...], list[...], dict[...] and unions of these"
                )

    @property
    def _where(self) -> str:
        return f"{self.path.name}:{self.name}"


def summary_of(docstring: str) -> str:
    """First line, without the markup of references."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", docstring.partition("\n")[0])


def source_line(docstring: str) -> str:
    """What follows ``Source:``, on one line."""
    return _paragraph(docstring, "Source")


def arguments_of(docstring: str) -> dict[str, str]:
    """What follows ``Args:``: each name with its text on one line, several names of one text apart."""
    found = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n(?=[ \t]))*)", inspect.cleandoc(docstring), flags=re.MULTILINE)
    texts: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \w)", "\n" + found[1].rstrip() if found else ""):
        names, colon, text = entry.strip().partition(":")
        if colon:
            texts |= dict.fromkeys((name.strip() for name in names.split(",")), " ".join(text.split()))
    return texts


def _paragraph(docstring: str, name: str) -> str:
    """What follows ``name:`` up to an empty line or the next such word, on one line."""
    found = re.search(rf"^{name}:(.*(?:\n(?![A-Z]\w+:)\S.*|\n[ \t]+\S.*)*)", docstring, flags=re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


def classes_in(path: Path) -> dict[str, ClassText]:
    """The top-level classes of a file, by name.

    Raises:
        UserError: the file is not there or is no Python.
    """
    tree = _tree(path)
    assigned = _assigned(tree)
    return {one.name: ClassText(path, one, assigned) for one in tree.body if isinstance(one, ast.ClassDef)}


def values_in(path: Path) -> dict[str, ast.expr]:
    """What a file assigns to its top-level names.

    Raises:
        UserError: the file is not there or is no Python.
    """
    return _assigned(_tree(path))


def _tree(path: Path) -> ast.Module:
    if not path.exists():
        raise UserError(f"no file {str(path)!r}; give its path from the current folder")
    with open_file(path, "Python file") as file:
        content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise UserError(f"{str(path)!r} is longer than {_LONGEST:,} bytes; give what is used a file of its own")
    try:
        return ast.parse(content.decode("utf-8"))
    except (RecursionError, MemoryError):
        raise UserError(f"{str(path)!r} is nested too deeply to be read") from None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise UserError(f"{str(path)!r} is not valid Python{f' (line {line})' if line else ''}: {error}") from None


def _assigned(tree: ast.Module) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            found |= {target.id: statement.value for target in statement.targets if isinstance(target, ast.Name)}
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
            found[statement.target.id] = statement.value
    return found


def callables_in(path: Path) -> dict[str, Parameters | None]:
    """The top-level classes and functions of a file with their parameters; None of a class that inherits them.

    Raises:
        UserError: as :func:`classes_in`.
    """
    found: dict[str, Parameters | None] = {}
    for node in _tree(path).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = _parameters(node.args, is_method=False)
        elif isinstance(node, ast.ClassDef):
            inits = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
            found[node.name] = _parameters(inits[0].args, is_method=True) if inits else None
    return found


def _parameters(arguments: ast.arguments, *, is_method: bool) -> Parameters:
    positional = arguments.args[1:] if is_method else arguments.args
    without = max(0, len(positional) - len(arguments.defaults))
    required = [one.arg for one in positional[:without]]
    required += [one.arg for one, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if not value]
    names = [one.arg for one in (*positional, *arguments.kwonlyargs)]
    return Parameters(tuple(names), tuple(required), takes_any=arguments.kwarg is not None)


def _arguments(arguments: ast.arguments, where: str) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    if arguments.vararg or arguments.kwarg:
        raise UserError(f"{where}: __init__ takes *args or **kwargs; name every option")
    positional = [*arguments.posonlyargs, *arguments.args][1:]
    without = len(positional) - len(arguments.defaults)
    yield from zip(positional, [*[None] * without, *arguments.defaults], strict=True)
    yield from zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
