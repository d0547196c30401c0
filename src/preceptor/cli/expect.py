"""``preceptor plan STUDY --measure``: what a study will cost, before anything is started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from preceptor.errors import UserError
from preceptor.screen import Screen
from preceptor.study.expect import EqualJobs, kinds_of
from preceptor.yaml_text import read_mapping

if TYPE_CHECKING:
    from preceptor.bench.expect import Expected

STEPS = 20
"""Steps that are measured of each kind."""


def show_expected(
    path: Path, overrides: list[str], scale: str | None, *, workers: int | None, device: str, trust: bool
) -> None:
    """Print hours, memory and disk of each kind of run of a study, and of all.

    Raises:
        UserError: it is a recipe, or something that training would refuse.
    """
    if "recipe" not in read_mapping(path, "study"):
        raise UserError(f"--measure is for a study, {path} is a recipe: `preceptor bench {path}` measures that")
    from preceptor.cli.study import settle_study
    from preceptor.study.local import fair_workers
    from preceptor.study.plan import plan_study
    from preceptor.study.spec import load_study

    console = Screen(highlight=False, soft_wrap=True)
    study = load_study(path, scale, overrides)
    settle_study(study, path, console, trust=trust)
    kinds = kinds_of(plan_study(study).jobs)
    from preceptor.bench.expect import expected_apart

    found = []
    for number, kind in enumerate(kinds, start=1):
        with console.status(f"kind {number} of {len(kinds)}: {kind.name}"):
            found.append(expected_apart(kind.jobs[0].recipe, kind.spared, steps=STEPS, device=device))
    threads = kinds[0].jobs[0].recipe.training.threads or 1
    side_by_side = workers or fair_workers(threads, device)
    console.print(table_of(kinds, found, side_by_side))
    for line in summary(kinds, found, side_by_side, together=study.together):
        console.print(line)


def table_of(kinds: Sequence[EqualJobs], found: Sequence[Expected], workers: int) -> Table:
    """A row for each kind, and one for all."""
    table = Table(box=None)
    columns = ("kind", "runs", "steps", "s/step", "time, one process", f"with {workers}", "peak memory", "run folders")
    for column in columns:
        table.add_column(column, justify="left" if column == "kind" else "right")
    for kind, one in zip(kinds, found, strict=True):
        runs = len(kind.jobs)
        hours = runs * one.seconds / 3600
        table.add_row(
            kind.name,
            str(runs),
            f"{one.steps:,}",
            f"{one.step_seconds:.3g}",
            _hours(hours),
            _hours(hours / min(workers, runs)),
            _size(one.memory),
            _size(runs * one.disk),
        )
    hours = sum(len(kind.jobs) * one.seconds / 3600 for kind, one in zip(kinds, found, strict=True))
    disk = sum(len(kind.jobs) * one.disk for kind, one in zip(kinds, found, strict=True))
    memory = _size(workers * max(one.memory for one in found))
    runs = sum(len(kind.jobs) for kind in kinds)
    table.add_row("all", str(runs), "", "", _hours(hours), _hours(hours / workers), memory, _size(disk))
    return table


def summary(kinds: Sequence[EqualJobs], found: Sequence[Expected], workers: int, *, together: bool) -> list[str]:
    """What else takes space, and what the numbers mean."""
    packed = sum(dict(one.packed for one in found).values())
    kept = sum(len(kind.jobs) * one.teachers for kind, one in zip(kinds, found, strict=True))
    lines = [f"caches: packed images {_size(packed)}, there now; what frozen teachers say, up to {_size(kept)}"]
    lines.append(
        f"measured with {STEPS} steps of each kind, alone on this machine; {workers} side by side share its memory and "
        "disks, and jobs that wait for a teacher leave some idle: at best."
    )
    if together:
        lines.append("runs that are trained as one are counted one by one, and take less.")
    return lines


def _hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{60 * hours:.1f} min" if hours >= 1 / 60 else f"{3600 * hours:.0f} s"


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
