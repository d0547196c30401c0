"""A stage as a picture: networks as boxes, edges as arrows with their losses, as SVG."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import hypot
from textwrap import shorten

from preceptor.plan.network import Composed
from preceptor.plan.show import architecture_of_use, where
from preceptor.plan.stage import Member, Plan, Stage
from preceptor.specs import Task

WIDTH, HEIGHT = 200, 64
"""Of a box."""

ACROSS, DOWN, MARGIN = 500, 170, 40
BEND = 34
"""How far an arrow swings out, so that two facing ones lie apart."""

_FILL = {"frozen": ("#eceff3", "#6b7785"), "teacher": ("#dce7f5", "#2b4c7e"), "student": ("#e8f3e4", "#3e7032")}

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Box:
    """A network on the page, ``x`` and ``y`` its middle."""

    name: str
    x: float
    y: float
    kind: str
    lines: tuple[str, ...]


def cohort_svg(plan: Plan, task: Task, stage: Stage | None = None) -> str:
    """The graph of ``stage``, by default of the last one."""
    stage = stage or plan.stages[-1]
    columns = _columns(plan, stage)
    tallest = max(map(len, columns))
    width = MARGIN * 2 + WIDTH + ACROSS * (len(columns) - 1)
    height = MARGIN * 2 + HEIGHT + DOWN * (tallest - 1) + 30
    boxes = {}
    for column, names in enumerate(columns):
        for row, name in enumerate(names):
            x = MARGIN + WIDTH / 2 + ACROSS * column
            y = MARGIN + HEIGHT / 2 + DOWN * (row + (tallest - len(names)) / 2)
            boxes[name] = _box(plan, stage, name, x, y)
    parts = [*_reads(stage, boxes), *_arrows(stage, boxes, task), *map(_drawn, boxes.values())]
    caption = f"{stage.name}: every arrow teaches, a dashed line is read from; each box tells its own task loss"
    parts.append(f'<text x="{width / 2:.0f}" y="{height - 14:.0f}" font-size="12" fill="#555">{escape(caption)}</text>')
    body = "\n  ".join(parts)
    return _PAGE.format(width=width, height=height, body=body)


_PAGE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" font-size="13" text-anchor="middle"
  font-family="Helvetica, Arial, sans-serif">
  <defs>
    <marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">
      <path d="M0 0 L10 5 L0 10 z" fill="#444"/>
    </marker>
  </defs>
  <rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>
  {body}
</svg>
"""


def _columns(plan: Plan, stage: Stage) -> list[list[str]]:
    """Who only teaches on the left, what is composed to the right of what it reads."""
    found: list[list[str]] = [[], [], [], []]
    for name, member in stage.members.items():
        is_teacher = name not in plan.students and member.network.name not in plan.students
        reads_students = any(one in plan.students for one in member.builds_on)
        if member.builds_on:
            found[3 if reads_students else 1 if is_teacher else 2].append(name)
        else:
            found[0 if is_teacher else 2].append(name)
    return [column for column in found if column]


def _box(plan: Plan, stage: Stage, name: str, x: float, y: float) -> _Box:
    member = stage.members[name]
    kind = "frozen" if not member.trains else "student" if name in plan.students else "teacher"
    own = f"{member.task_weight:.4g} · task" if member.task_weight else "no task loss"
    words = shorten(architecture_of_use(member.network), 32, placeholder=" …")
    return _Box(name, x, y, kind, (words, own if member.trains else _still(member)))


def _still(member: Member) -> str:
    return "teaches only" if isinstance(member.network, Composed) else "frozen"


def _drawn(box: _Box) -> str:
    fill, stroke = _FILL[box.kind]
    left, top = box.x - WIDTH / 2, box.y - HEIGHT / 2
    lines = [
        f'<tspan x="{box.x:.0f}" dy="17" font-size="12" font-weight="normal">{escape(line)}</tspan>'
        for line in box.lines
    ]
    return (
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{fill}" '
        f'stroke="{stroke}" stroke-width="2"/>\n  '
        f'<text x="{box.x:.0f}" y="{top + 20:.0f}" font-weight="bold" font-size="15" fill="#111">{escape(box.name)}'
        f"{''.join(lines)}</text>"
    )


def _reads(stage: Stage, boxes: dict[str, _Box]) -> Iterator[str]:
    for name, member in stage.members.items():
        for source in member.builds_on:
            path, _ = _path(boxes[source], boxes[name], bend=-BEND / 2)
            yield f'<path d="{path}" fill="none" stroke="#999" stroke-width="1.5" stroke-dasharray="5 4"/>'


def _arrows(stage: Stage, boxes: dict[str, _Box], task: Task) -> Iterator[str]:
    labels: dict[tuple[str, str], list[str]] = {}
    for edge in stage.edges:
        if edge.weight:
            words = f"{edge.weight:.4g} · {edge.loss.key}{where(edge, task)}"
            labels.setdefault((edge.source, edge.target), []).append(words)
    for (source, target), lines in labels.items():
        path, middle = _path(boxes[source], boxes[target], bend=BEND)
        yield f'<path d="{path}" fill="none" stroke="#444" stroke-width="2" marker-end="url(#tip)"/>'
        yield from _labels(lines, middle, boxes[source], boxes[target])


def _labels(lines: Sequence[str], middle: Point, source: _Box, target: _Box) -> Iterator[str]:
    """On the outer side of an arrow's bend, so that those of facing arrows lie apart."""
    out_x, out_y = source.y - target.y, target.x - source.x
    is_beside = abs(out_x) > abs(out_y)
    anchor = ("start" if out_x > 0 else "end") if is_beside else "middle"
    x = middle[0] + (8 if out_x > 0 else -8) * is_beside
    first = middle[1] + (4 if is_beside else 18 if out_y > 0 else -8)
    rise = 15 * (len(lines) - 1) * (0.5 if is_beside else 0 if out_y > 0 else 1)
    for number, line in enumerate(lines):
        yield (
            f'<text x="{x:.0f}" y="{first - rise + 15 * number:.0f}" text-anchor="{anchor}" font-size="12" fill="#111" '
            f'stroke="#ffffff" stroke-width="4" paint-order="stroke">{escape(line)}</text>'
        )


def _path(source: _Box, target: _Box, bend: float) -> tuple[str, Point]:
    """A curve from the rim of one box to that of another, round what lies between, and where its words may stand."""
    dx, dy = target.x - source.x, target.y - source.y
    length = hypot(dx, dy) or 1.0
    bend *= max(1.0, 2 * abs(dx) / ACROSS - 1)
    control = ((source.x + target.x) / 2 - dy / length * bend, (source.y + target.y) / 2 + dx / length * bend)
    begin, end = _rim(source, control), _rim(target, control)
    at = 0.4 if dx else 0.5  # nearer to the source, where fewer arrows meet
    shares = ((1 - at) ** 2, 2 * at * (1 - at), at**2)
    x, y = (
        sum(share * point[axis] for share, point in zip(shares, (begin, control, end), strict=True)) for axis in (0, 1)
    )
    text = f"M{begin[0]:.0f} {begin[1]:.0f} Q{control[0]:.0f} {control[1]:.0f} {end[0]:.0f} {end[1]:.0f}"
    return text, (x, y)


def _rim(box: _Box, towards: Point) -> Point:
    """Where the line from the middle of a box to a point leaves it, a little outside."""
    dx, dy = towards[0] - box.x, towards[1] - box.y
    shrink = min((WIDTH / 2 + 3) / abs(dx) if dx else 1e9, (HEIGHT / 2 + 3) / abs(dy) if dy else 1e9)
    return box.x + dx * shrink, box.y + dy * shrink
