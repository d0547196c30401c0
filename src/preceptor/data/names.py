"""Names of files, classes and groups: text that every file and every terminal of a run can hold.

Names that are not UTF-8 (umlauts from old zip archives) can stand in no table and no report; control characters
would be acted on by terminals. Such names are refused where the data is opened, before anything is decoded.
"""

import os
import re
from collections.abc import Sequence

from preceptor.errors import UserError
from preceptor.quoting import quoted

_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def check_names(what: str, names: Sequence[str | None]) -> None:
    """Refuse names that are not UTF-8 or hold control characters.

    Args:
        what: they are, in the plural: ``image names``.
        names: of any number; None is passed over.

    Raises:
        UserError: how many, the first one, and how to rename it.
    """
    if not _UNFIT.search("/".join(filter(None, names))):
        return
    unfit = [name for name in dict.fromkeys(names) if name and _UNFIT.search(name)]
    alien = [name for name in unfit if _SURROGATE.search(name)]
    if alien and _is_utf8(alien[0]):
        raise UserError(
            f"{what}: {quoted(alien[0])} cannot be read as text here, though it is UTF-8 on the disk.\n"
            "Tell this shell that names are UTF-8: export LC_ALL=C.UTF-8"
        )
    if alien:
        raise UserError(
            f"{what}: {_count(alien)} not UTF-8, as after unpacking an old zip archive: {quoted(alien[0])}\n"
            "Rename what is so named, for example with `convmv -r -f latin1 -t utf8 --notest FOLDER`, or unpack the "
            "archive again with `unzip -O latin1`."
        )
    raise UserError(
        f"{what}: {len(unfit)} with control characters, which terminals act on: {quoted(unfit[0])}\n"
        "Rename what is so named, without them."
    )


def _count(names: Sequence[str]) -> str:
    return "one is" if len(names) == 1 else f"{len(names)} are"


def _is_utf8(name: str) -> bool:
    """Whether the bytes of a name that Python could not read are UTF-8 all the same: the locale is another."""
    try:
        os.fsencode(name).decode("utf-8")
    except UnicodeError:
        return False
    return True
