"""What the paper states of how it trained, beside what the runs of a study did."""

from collections.abc import Iterable

from preceptor.protocols import DEPARTS, protocol_of, saved
from preceptor.report.drawing.grid import Datum, Grid, label
from preceptor.report.reading.studies import StudyRecord

_ONE_SOURCE = ("ml", "kd_offline", "kd_online")


def protocol(study: StudyRecord) -> Grid | None:
    """Each thing that the paper states or leaves open, and what was done; None where no paper is repeated."""
    found = protocol_of(study.name) if study.published else None
    recipes = [job.run.recipe for job in study.jobs if job.run is not None and job.kind == "run"]
    recipes = recipes or [job.run.recipe for job in study.jobs if job.run is not None]
    if found is None or not recipes:
        return None
    rows = []
    for row in found.rows:
        standing = row.standing(recipes)
        done = Datum(row.done(recipes)), Datum(standing, is_warning=standing == DEPARTS)
        rows.append((label(row.what), label(row.paper), *done))
    caption = f"{found.title}: {found.name}. By the recipes of these runs; what is left open, somebody had to choose."
    heads = ("what", "the paper", "here", "is")
    return Grid("protocol", "What the paper states, and what was done", (heads,), tuple(rows), 2, caption)


def contradiction(study: StudyRecord) -> Iterable[str]:
    """By which of two readings students share diversely where one source teaches, if the paper has two."""
    if protocol_of(study.name) is None:
        return
    techniques = [job.run.recipe.get("technique") or {} for job in study.jobs if job.run is not None]
    readings = {
        str(one.get("diverse"))
        for one in techniques
        if one.get("strategy") == "diverse" and one.get("name") in _ONE_SOURCE and one.get("diverse")
    }
    if readings:
        yield (
            f"Diverse sharing of one source (ML, KD) is read by the paper's {' and '.join(sorted(readings))}: its "
            "equations and its Table 1 exchange what the two students get, so by the other one rows S1 and S2 change "
            "places."
        )


def compression(study: StudyRecord) -> str:
    """How many parameters two students save, as counted and as printed; '' where nothing is printed."""
    found = protocol_of(study.name) if study.published else None
    if found is None or found.costs is None:
        return ""
    printed = found.costs
    said = f"The paper prints {printed.teacher:g} million for the teacher and {printed.student:g} for a student"
    if printed.saved is not None:
        said += f", and that two save {printed.saved:g} %"
    counted = {
        (result.parameters["T"], result.parameters["S1"])
        for run in study.finished
        if (result := run.result) and {"T", "S1"} <= set(result.parameters)
    }
    if counted:
        ends = sorted(saved(*one) for one in counted)
        most = f" to {ends[-1]:.1f}" if ends[-1] - ends[0] > 0.05 else ""
        said += f"; by the networks here two save {ends[0]:.1f}{most} %"
    elif printed.ours and printed.ours.saved is not None:
        said += f"; counted, two save {printed.ours.saved:.1f} %"
    return said + "."
