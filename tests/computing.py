"""How much computing a new process takes, in a unit that a slow or shared machine stretches as well."""

import resource
import subprocess
import sys

UNIT = "import numpy, pydantic, yaml, typer"


def _seconds(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def computing(code: str, enough: float, rounds: int = 3) -> float:
    """Computing time of Python code in a process of its own, as a multiple of importing four small libraries.

    Both take turns; the least of each counts, since other work on the machine only adds.

    Args:
        enough: a multiple below which no further turn is taken.
    """
    turns = []
    found = float("inf")
    while found >= enough and len(turns) < rounds:
        turns.append((_seconds(UNIT), _seconds(code)))
        found = min(theirs for _, theirs in turns) / min(unit for unit, _ in turns)
    return found
