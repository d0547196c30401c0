"""Regular expressions that users write, searched under a limit of time.

Some patterns take longer than anyone's life on a name that nearly matches (``^(a+)+$``). Python cannot stop such a
search from a thread, so it is done by a process of its own, which is ended when its time is over.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from preceptor.errors import UserError
from preceptor.quoting import quoted, shown

SECONDS = 5.0
"""What all names may take together, besides a second for every 50,000 of them: a plain pattern needs 1 % of it."""

_SEARCH = """
import json, os, re, signal, sys
pattern, texts, named = json.load(sys.stdin)
rule, at, found = re.compile(pattern), 0, []
search = rule.fullmatch if named else rule.search
signal.signal(signal.SIGALRM, lambda *_: os.write(2, b"%d\\n" % at))
signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
for at, text in enumerate(texts):
    match = search(text)
    found.append(match and (match.groupdict() if named else match[1] if rule.groups else match[0]))
signal.setitimer(signal.ITIMER_REAL, 0)
json.dump(found, sys.stdout)
"""
"""Says ten times a second, also within a search, at which text it is; after every text would double the time."""


def first_brackets(pattern: str, texts: Sequence[str], what: str) -> list[str | None]:
    """What ``pattern`` finds in each text: its first bracket, or all that it matches; None where it finds nothing.

    Args:
        pattern: a regular expression of :mod:`re`, as the user wrote it.
        what: it is, for messages: ``folder: the option group``.

    Raises:
        UserError: no regular expression, or one that does not come to an end; names the text.
    """
    return list(_searched(pattern, texts, what, named=False))


def found_in_all(pattern: str, texts: Sequence[str], source: str, option: str) -> list[str]:
    """What ``pattern``, which an option of a source is, finds in each text: see :func:`first_brackets`.

    Raises:
        UserError: it finds nothing in one of them.
    """
    found = first_brackets(pattern, texts, f"{source}: the option {option}")
    for text, one in zip(texts, found, strict=True):
        if not one:
            raise UserError(f"{source}: the {option} rule {shown(pattern)} finds nothing in {quoted(text)}")
    return [one for one in found if one]


def named_brackets(pattern: str, texts: Sequence[str], what: str) -> list[dict[str, str | None] | None]:
    """The named brackets, ``(?P<key>…)``, of each text that ``pattern`` fits whole; None where it does not.

    Args and errors are those of :func:`first_brackets`.
    """
    return list(_searched(pattern, texts, what, named=True))


def _searched(pattern: str, texts: Sequence[str], what: str, *, named: bool) -> list[Any]:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise UserError(f"{what} is no regular expression: {error}") from None
    limit = SECONDS + len(texts) / 50_000
    with tempfile.TemporaryFile("w+") as progress:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-S", "-c", _SEARCH],
                input=json.dumps([pattern, list(texts), named]),
                stdout=subprocess.PIPE,
                stderr=progress,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            progress.seek(0)
            name = texts[int((progress.read().split() or ["0"])[-1])]
            raise UserError(
                f"{what} {shown(pattern)} does not come to an end within {limit:.0f} s at {quoted(name)}: a repetition "
                "inside a repetition, like (a+)+, tries every way of sharing the letters.\n"
                "Repeat once only, for example ^(a+)$, or say what a part is made of, for example [^_]+."
            ) from None
        if done.returncode:
            progress.seek(0)
            raise UserError(f"{what} {shown(pattern)} could not be searched: {shown(progress.read().strip()[-200:])}")
    found: list[Any] = json.loads(done.stdout)
    return found
