"""``docs/deviations.md``: what papers state, what is done here, what they leave open and what was chosen."""

from collections.abc import Iterable

from preceptor.protocols import Protocol, ProtocolRow, protocols, saved
from preceptor.shipped import shipped_folder
from preceptor.study.grid import recipes_of
from preceptor.study.spec import load_study

_PAGE = """\
# What papers state, and what is done here

<!-- Written by `preceptor recipes --deviations`; a test fails where the two differ. -->

The studies that repeat a paper, with what it states of how it trained, what it leaves open, and what was chosen; values
are those of the shipped recipes. A study that says `protocol: published` and departs from what is stated is refused. A
report of such a study has the same table, of its own runs.

* **as stated**: the recipe has the value that the paper states.
* **left open**: the paper does not say; the value is this package's choice, and another may give other scores.
* **our reading**: the paper contradicts itself, or what it says can be read in more ways than one.

Printed F1 that are none of the printed IoU are marked where they are shown: F1 lies between IoU and 2·IoU/(1 + IoU),
pooled or averaged, and is the latter where both are of pooled counts.

The studies of [KTHF² and of grafting](studies.md) claim no protocol: the figures of the first are published as a
picture only and its networks not at all, and of the second none were at hand.

Sizes in MB stand in no text or table of these papers that was at hand: those here are counted, four bytes a parameter.
"""


def deviations_page() -> str:
    """A table of what holds for all settings of a paper, then one for each setting, with what it costs."""
    blocks = [_PAGE]
    for paper in dict.fromkeys(one.paper for one in protocols()):
        mine = [one for one in protocols() if one.paper == paper]
        shared = [row for row in mine[0].rows if all(row in one.rows for one in mine)]
        blocks += [f"## {mine[0].title}\n", _table(shared, [recipe for one in mine for recipe in _recipes(one)])]
        for one in mine:
            own = [row for row in one.rows if row not in shared]
            studies = ", ".join(f"`{name}`" for name in one.studies)
            blocks.append(f"### {one.name[0].upper()}{one.name[1:]}\n\nStudies: {studies}.\n")
            blocks += [_table(own, _recipes(one))] if own else []
            blocks += [f"{said}\n"] if (said := _costs(one)) else []
    return "\n".join(blocks)


def _recipes(protocol: Protocol) -> list[dict[str, object]]:
    """Every recipe of its studies with the first seed."""
    found = []
    for name in protocol.studies:
        study = load_study(shipped_folder("studies") / f"{name}.yaml")
        one_seed = study.model_copy(update={"seeds": study.seeds[:1]})
        found += [recipe.model_dump(mode="json") for _, recipe in recipes_of(one_seed)[0]]
    return found


def _table(rows: Iterable[ProtocolRow], recipes: list[dict[str, object]]) -> str:
    lines = ["| what | the paper | here | is |", "| --- | --- | --- | --- |"]
    for row in rows:
        cells = (row.what, row.paper, row.done(recipes), row.standing(recipes))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _costs(protocol: Protocol) -> str:
    """Parameters as printed and as counted."""
    printed = protocol.costs
    if printed is None or printed.ours is None:
        return ""
    text = f"Parameters in millions, teacher and student: printed {printed.teacher:g} and {printed.student:g}"
    by_these = saved(printed.teacher, printed.student)
    text += f" (two students save {by_these:.0f} %" + (f", printed {printed.saved:g} %)" if printed.saved else ")")
    counted = printed.ours
    return (
        f"{text}; counted {counted.teacher:g} and {counted.student:g} (two save {counted.saved:.1f} %), which is "
        f"{4 * counted.teacher:.0f} and {4 * counted.student:.0f} MB of weights."
    )
