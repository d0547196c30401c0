"""The loss weights of every published cell, from ``published_weights.csv``.

Source: Niyaz, Sambyal & Bathula, "Leveraging different learning styles for improved knowledge distillation in
biomedical imaging", *Computers in Biology and Medicine*, Tables 3, 4, 8, 9, 14 and 15. Where the earlier
conference text differs (Table 3, ``kd_ml`` diverse: .1,.4 | .45,.3 | .45,.3) the journal's weights stand.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

from preceptor.errors import UserError
from preceptor.plan.cast import Cast
from preceptor.specs import Task
from preceptor.techniques.shares import Shares, Strategy


@dataclass(frozen=True, slots=True)
class PublishedCell:
    """A published cell: where it is printed, what it was trained on and how, and both students' weights."""

    table: int
    dataset: str
    task: Task
    teacher: str
    student: str
    technique: str
    strategy: Strategy
    weights: tuple[Shares, Shares]


def published_weights(
    *, dataset: str, task: Task, teacher: str | None, student: str, technique: str, strategy: Strategy
) -> tuple[Shares, Shares]:
    """The weights of both students as published.

    Args:
        dataset: key of the data source; ``pcam`` holds the images of ``histopathologic_cancer``.
        teacher, student: architecture, or encoder of a U-Net; ``tu-`` and the tag of pretrained
            weights do not count. Mutual learning has no teacher: None or any.

    Raises:
        UserError: no such cell; the message lists what there is.
    """
    wanted = {
        "dataset": "histopathologic_cancer" if dataset == "pcam" else dataset,
        "task": task,
        "student": _family(student),
        "technique": technique,
        "strategy": strategy,
    }
    if technique != "ml":
        wanted["teacher"] = _family(teacher or "")
    for cell in published_cells():
        if all(getattr(cell, name) == value for name, value in wanted.items()):
            return cell.weights
    networks = student if technique == "ml" else f"{teacher or 'no teacher'} → {student}"
    setups = dict.fromkeys(f"{c.dataset} {c.task}, {c.teacher} → {c.student}" for c in published_cells())
    techniques = dict.fromkeys(cell.technique for cell in published_cells())
    raise UserError(
        f"technique.weights: nothing is published for {dataset} {task}, {networks}, {technique} {strategy}.\n"
        f"There are weights for {', '.join(techniques)} in every strategy, for two students, on\n"
        + "\n".join(f"  {setup}" for setup in setups)
        + "\nUse one of these, or give technique.alpha (and beta, gamma) with `weights: given`."
    )


def published_shares(cast: Cast, technique: str, strategy: Strategy) -> list[Shares]:
    """The weights of the published cell that a recipe is, one for each student.

    Raises:
        UserError: no such cell, or one of other numbers of students.
    """
    teacher, student = cast.teacher, next(iter(cast.students.values()))
    cell = published_weights(
        dataset=cast.source,
        task=cast.task,
        teacher=(teacher.encoder or teacher.architecture) if teacher else None,
        student=student.encoder or student.architecture,
        technique=technique,
        strategy=strategy,
    )
    count = len(cast.students)
    if len(cell) != count:
        raise UserError(f"technique.weights: published weights are for {len(cell)} students, here are {count}")
    return list(cell)


@cache
def published_cells() -> tuple[PublishedCell, ...]:
    """Every row of the file, in the order of the tables."""
    with Path(__file__).with_name("published_weights.csv").open(newline="", encoding="utf-8") as lines:
        return tuple(_cell(row) for row in csv.DictReader(lines))


def _cell(row: dict[str, str]) -> PublishedCell:
    first, second = (
        Shares(*(float(row[f"{name}_{number}"]) for name in ("alpha", "beta", "gamma"))) for number in (1, 2)
    )
    return PublishedCell(
        table=int(row["table"]),
        dataset=row["dataset"],
        task=cast(Task, row["task"]),
        teacher=row["teacher"],
        student=row["student"],
        technique=row["technique"],
        strategy=cast(Strategy, row["strategy"]),
        weights=(first, second),
    )


def _family(network: str) -> str:
    """``tu-mobilenetv1_100`` and ``hf-hub:timm/resnet18.a1_in1k`` without what does not change the architecture."""
    return network.rpartition("/")[2].removeprefix("tu-").partition(".")[0]
