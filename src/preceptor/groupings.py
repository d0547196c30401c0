"""What a group of samples is called: patients, images of origin, or groups of a column that has a name of its own."""

import re

_WORDS = re.compile(r"[^\W\d_]+(?: [^\W\d_]+)*")
_PERSON = re.compile(
    r"patient|subject|donor|participant|person|individual|volunteer|animal|mouse|\b(wo)?man\b|\bcase\b",
    re.IGNORECASE,
)
_IRREGULAR = {"woman": "women", "man": "men", "mouse": "mice", "series": "series", "biopsy": "biopsies"}


def unit_of(grouping: str | None) -> str:
    """One group by its name, such as ``patient``; ``group`` where none is known, or ``group (patientID)``.

    A column's name that is no word says what a group is, but cannot be put into the plural.
    """
    if grouping in (None, "", "group"):
        return "group"
    assert grouping is not None
    return grouping if _is_word(grouping) else f"group ({grouping})"


def units_of(grouping: str | None) -> str:
    """Several of them: ``patients``, ``images of origin``, ``groups``, ``groups (patientID)``."""
    if grouping in (None, "", "group"):
        return "groups"
    assert grouping is not None
    if not _is_word(grouping):
        return f"groups ({grouping})"
    noun, of, rest = grouping.partition(" of ")
    before, blank, last = noun.rpartition(" ")
    return f"{before}{blank}{_plural(last)}{of}{rest}"


def narrow_for_patients(grouping: str | None) -> str:
    """What is to be said of an interval over such groups where several of them may be of one patient; else ''."""
    if grouping and _PERSON.search(grouping):
        return ""
    return f"Several {units_of(grouping)} may be of one patient: for patients these intervals are too narrow."


def _is_word(grouping: str) -> bool:
    return grouping == grouping.lower() and _WORDS.fullmatch(grouping) is not None


def _plural(noun: str) -> str:
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if re.search(r"(s|x|ch|sh)$", noun) else f"{noun}s"
