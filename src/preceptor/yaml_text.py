"""Reading YAML that anybody may have written: recipes, studies and single values, all through one door.

Nothing in it is run, no key hides another of the same name, and a text of a few lines cannot stand for gigabytes.
"""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten
from typing import Any

import yaml

from preceptor.errors import UserError
from preceptor.opening import open_file

LONGEST = 2_000_000
"""Characters of a text; the largest shipped study has 3,000."""

DEEPEST = 50
"""Levels of lists and mappings in one another."""

MOST = 100_000
"""Values in all, one counted again wherever an alias repeats it."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The same YAML, ten times as fast where libyaml is there."""

_OPENING = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_CLOSING = (yaml.SequenceEndEvent, yaml.MappingEndEvent)


_QUOTES = ("'", '"')
_MARKS = ("[", "{", "&", "*", "!", "|", ">", "%", "@", "`", *_QUOTES)
"""How values begin that follow YAML's rules."""
_PLAIN = re.compile(
    r"(?:~|null|Null|NULL|true|True|TRUE|false|False|FALSE|)"
    r"|[-+]?(?:\d+|(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN"
)
"""Numbers, truth values and nothing."""


class NotYamlError(UserError):
    """A text that follows no rule of YAML, where one of another kind may have been meant."""


def read_yaml_file(path: Path, named: str) -> Any:
    """What the file at ``path`` says; ``named`` is how errors call it.

    Raises:
        UserError: it is no plain file in UTF-8, or see :func:`read_yaml`.
        FileNotFoundError, IsADirectoryError: for the caller, who knows what was wanted.
    """
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with open_file(path, "YAML file") as file:
        content = file.read(4 * LONGEST + 1)
    try:
        return read_yaml(content.decode("utf-8"), named)
    except UnicodeDecodeError as error:
        raise UserError(f"{named} is not readable YAML: {error}") from None


def read_yaml(text: str, named: str) -> Any:
    """What ``text`` says; ``named`` is how errors call it.

    Raises:
        NotYamlError: it is no YAML, or a value does not follow its tag.
        UserError: a key stands twice, an alias contains itself, or it is too long, too deep or says too much.
    """
    if len(text) > LONGEST:
        raise UserError(f"{named} is longer than {LONGEST:,} characters; nothing that is read here is")
    try:
        _check_depth(text, named)
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None
            _check_size(root, named)
            for node in _nodes(root):
                _check_keys(node, named)
                _check_scalar(loader, node, named)
            return loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise NotYamlError(f"{named} is not readable YAML: {error}") from None
    except UnicodeEncodeError:
        raise NotYamlError(f"{named} is not readable YAML: it holds half a character (a lone surrogate)") from None


def read_value(text: str, named: str, *, is_text: bool = False) -> Any:
    """A value as it is written on the command line: lists, mappings and quoted texts are YAML.

    A number is one only where it is written as one would print it, and only true, false and null are more than a
    text: ``0123``, ``no``, ``2024-01-02``, ``1:30``, ``batch #2`` and ``/x/a: b`` are texts.

    Args:
        text: as it was written.
        named: how errors call it.
        is_text: whether a text is wanted, whatever it looks like; quotes around it are not part of it.

    Raises:
        UserError: see :func:`read_yaml`.
    """
    plain = text.strip()
    if is_text:
        if plain[:1] in _QUOTES and isinstance(quoted := _quoted(plain, named), str):
            return quoted
        return text
    if plain[:1] in _MARKS or plain.startswith(("- ", "? ")) or "\n" in plain or len(plain) > LONGEST:
        return read_yaml(text, named)
    if not _PLAIN.fullmatch(plain):
        return plain
    value = read_yaml(plain, named)
    if isinstance(value, str):  # 1e-3, to which YAML wants a dot
        return float(value)
    return value if not isinstance(value, int) or isinstance(value, bool) or str(value) == plain.lstrip("+") else plain


def _quoted(text: str, named: str) -> Any:
    try:
        return read_yaml(text, named)
    except NotYamlError:
        return None


def _check_depth(text: str, named: str) -> None:
    """Before anything is built, as building goes down into the text level by level."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, _OPENING) - isinstance(event, _CLOSING)
        if depth > DEEPEST:
            assert event.start_mark is not None
            line = event.start_mark.line + 1
            raise UserError(f"{named}: line {line} is nested more than {DEEPEST} levels deep")


def _check_size(root: yaml.Node, named: str) -> None:
    """Count every node as often as aliases repeat it, without walking through the repetitions."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting[-1]
        if id(node) in sizes:
            waiting.pop()
            continue
        children = _children(node)
        new = [child for child in children if id(child) not in sizes]
        if not new:
            sizes[id(node)] = 1 + sum(sizes[id(child)] for child in children)
            open_nodes.discard(id(node))
            waiting.pop()
            if sizes[id(node)] > MOST:
                line = node.start_mark.line + 1
                raise UserError(
                    f"{named}: with its aliases (*name) written out, what begins in line {line} has more than {MOST:,} "
                    "values; write out what is meant"
                )
            continue
        open_nodes.add(id(node))
        for child in new:
            if id(child) in open_nodes:
                line = child.start_mark.line + 1
                raise UserError(
                    f"{named}: what begins in line {line} contains itself by an alias (*name); write it out"
                )
        waiting.extend(new)


def _check_keys(node: yaml.Node, named: str) -> None:
    """Of two equal keys YAML would silently keep the last."""
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        found, line = (key.tag, key.value), key.start_mark.line + 1
        if found in lines:
            first = lines[found]
            where = f"twice in line {line}" if line == first else f"in line {first} and again in line {line}"
            raise UserError(f"{named}: the key {key.value!r} stands {where}; keep one of them")
        lines[found] = line


def _check_scalar(loader: Any, node: yaml.Node, named: str) -> None:
    """What makes dates and numbers of a text raises whatever Python does, without a word on where."""
    if not isinstance(node, yaml.ScalarNode) or node.tag == "tag:yaml.org,2002:merge":
        return
    try:
        loader.construct_object(node)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        kind, line = node.tag.rpartition(":")[2], node.start_mark.line + 1
        value = shorten(repr(node.value), 60, placeholder=" …")
        raise NotYamlError(f"{named} is not readable YAML: line {line}: {value} is no {kind}") from None


def _nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    """Every node once."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            waiting.extend(reversed(_children(node)))


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def read_mapping(path: Path, what: str) -> dict[str, Any]:
    """The YAML mapping in ``path``, unchecked; ``what`` it is called in errors."""
    try:
        raw = read_yaml_file(path, f"{what} {str(path)!r}")
    except FileNotFoundError:
        example = "recipes/phantom.yaml" if what == "recipe" else "studies/phantom.yaml"
        raise UserError(f"no {what} {str(path)!r}: give the path of a .yaml file, for example {example}") from None
    except IsADirectoryError:
        raise UserError(f"{what} {str(path)!r} is a folder: give the .yaml file in it") from None
    if not isinstance(raw, dict):
        raise UserError(f"{what} {str(path)!r} holds {type(raw).__name__}, a mapping of keys was wanted")
    return raw
