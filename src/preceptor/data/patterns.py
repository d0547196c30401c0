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

from preceptor.errors import UserError
from preceptor.shown import quoted, shown

SECONDS = 5.0
"""What all names may take together, besides a second for every 50,000 of them: a plain pattern needs 1 % of it."""

_SEARCH = """
import json, re, sys
pattern, texts = json.load(sys.stdin)
rule = re.compile(pattern)
for text in texts:
    found = rule.search(text)
    sys.stdout.write(json.dumps(found and (found[1] if rule.groups else found[0])) + "\\n")
    sys.stdout.flush()
"""


def first_brackets(pattern: str, texts: Sequence[str], what: str) -> list[str | None]:
    """What ``pattern`` finds in each text: its first bracket, or all that it matches; None where it finds nothing.

    Args:
        pattern: a regular expression of :mod:`re`, as the user wrote it.
        what: it is, for messages: ``folder: the option group``.

    Raises:
        UserError: no regular expression, or one that does not come to an end; names the text.
    """
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise UserError(f"{what} is no regular expression: {error}") from None
    limit = SECONDS + len(texts) / 50_000
    with tempfile.TemporaryFile("w+") as answers:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-S", "-c", _SEARCH],
                input=json.dumps([pattern, list(texts)]),
                stdout=answers,
                stderr=subprocess.PIPE,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            answers.seek(0)
            name = texts[min(len(answers.read().splitlines()), len(texts) - 1)]
            raise UserError(
                f"{what} {shown(pattern)} does not come to an end within {limit:.0f} s at {quoted(name)}: a repetition "
                "inside a repetition, like (a+)+, tries every way of sharing the letters.\n"
                "Repeat once only, for example ^(a+)$, or say what a part is made of, for example [^_]+."
            ) from None
        if done.returncode:
            raise UserError(f"{what} {shown(pattern)} could not be searched: {shown(done.stderr.strip()[-200:])}")
        answers.seek(0)
        return [json.loads(line) for line in answers.read().splitlines()]
