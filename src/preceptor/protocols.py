"""What papers state of how they trained, what they leave open, and what a recipe does: ``published/protocols.yaml``."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from preceptor.shipped import shipped_folder
from preceptor.yaml_text import read_yaml_file

AS_STATED, DEPARTS, OPEN, READING = "as stated", "DEPARTS", "left open", "our reading"
"""How what is done stands to what the paper states."""


@dataclass(frozen=True, slots=True)
class ProtocolRow:
    """One thing that a paper states, or leaves open.

    Args:
        paper: what it says.
        wants: recipe key -> value that it states.
        keys: recipe keys that it leaves open.
        ours: what is done, where no recipe key says it or there is more to say.
    """

    what: str
    paper: str
    wants: Mapping[str, Any]
    keys: tuple[str, ...]
    ours: str

    def done(self, recipes: Iterable[Mapping[str, Any]]) -> str:
        """What the recipes do, in words."""
        known = list(recipes)
        said = []
        for key in (*self.wants, *self.keys):
            values = dict.fromkeys(_text(value_at(recipe, key)) for recipe in known if has_key(recipe, key))
            if values:
                said.append(f"{key}={' or '.join(values)}")
        return "; ".join(filter(None, (", ".join(said), self.ours)))

    def departures(self, recipe: Mapping[str, Any]) -> list[str]:
        """Where the recipe has another value than the paper states; a key that its technique lacks says nothing."""
        return [
            f"{key} is {_text(value_at(recipe, key))}, the paper states {_text(wanted)}"
            for key, wanted in self.wants.items()
            if not _same(value_at(recipe, key), wanted) and (has_key(recipe, key) or not key.startswith("technique."))
        ]

    def standing(self, recipes: Iterable[Mapping[str, Any]]) -> str:
        """One of the words above."""
        if any(self.departures(recipe) for recipe in recipes):
            return DEPARTS
        return AS_STATED if self.wants else OPEN if self.keys else READING


@dataclass(frozen=True, slots=True)
class Costs:
    """Millions of parameters of a teacher and of one student, and the percent that two students save, as printed.

    Args:
        saved: None where it is not printed.
        ours: the same as counted here, heads of two classes.
    """

    teacher: float
    student: float
    saved: float | None = None
    ours: "Costs | None" = None


@dataclass(frozen=True, slots=True)
class Protocol:
    """What a paper states of one of its settings.

    Args:
        studies: names of the studies that repeat it.
        tables: task -> its tables with published figures.
    """

    paper: str
    title: str
    name: str
    studies: tuple[str, ...]
    tables: Mapping[str, tuple[str, ...]]
    rows: tuple[ProtocolRow, ...]
    costs: Costs | None


@cache
def protocols() -> tuple[Protocol, ...]:
    """Of every paper whose figures are shipped, in the order of the file."""
    path = shipped_folder("studies") / "published" / "protocols.yaml"
    return tuple(
        Protocol(
            paper=paper,
            title=of_paper["title"],
            name=one["name"],
            studies=tuple(one["studies"]),
            tables={task: tuple(map(str, tables)) for task, tables in one["tables"].items()},
            rows=tuple(map(_row, (*of_paper["rows"], *one["rows"]))),
            costs=_costs(one["costs"]) if "costs" in one else None,
        )
        for paper, of_paper in read_yaml_file(path, path.name).items()
        for one in of_paper["setups"]
    )


def protocol_of(study: str) -> Protocol | None:
    """That of the study with this name; None where no paper is known that it repeats."""
    return next((one for one in protocols() if study in one.studies), None)


def saved(teacher: float, student: float) -> float:
    """The percent of a teacher's parameters that two students do without."""
    return 100 * (1 - 2 * student / teacher)


def has_key(recipe: Mapping[str, Any], key: str) -> bool:
    """Whether a recipe has the dotted ``key``."""
    *above, last = key.split(".")
    found: Any = recipe
    for name in above:
        found = found.get(name) if isinstance(found, Mapping) else None
    return isinstance(found, Mapping) and last in found


def value_at(recipe: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted ``key``; None where there is none."""
    found: Any = recipe
    for name in key.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _same(value: object, wanted: object) -> bool:
    if isinstance(wanted, (list, tuple)):
        return isinstance(value, (list, tuple)) and len(value) == len(wanted) and all(map(_same, value, wanted))
    if isinstance(wanted, (int, float)) and isinstance(value, (int, float)):
        return abs(value - wanted) <= 1e-9 * abs(wanted)
    return value == wanted


def _text(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return " : ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _row(row: Mapping[str, Any]) -> ProtocolRow:
    return ProtocolRow(row["what"], row["paper"], row.get("wants", {}), tuple(row.get("keys", ())), row.get("ours", ""))


def _costs(costs: Mapping[str, Any]) -> Costs:
    ours = costs.get("ours")
    counted = None if ours is None else Costs(ours["teacher"], ours["student"], saved(ours["teacher"], ours["student"]))
    return Costs(costs["teacher"], costs["student"], costs.get("saved"), counted)
