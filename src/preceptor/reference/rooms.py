"""The picture of the rooms, from the imports themselves: ``python -m preceptor.reference.rooms`` prints it."""

import ast
from functools import cache
from html import escape
from pathlib import Path

_SOURCE = Path(__file__).parents[1]
_WIDTH, _BOX, _ROW, _GAP = 1000, 62, 84, 14


def rooms_svg() -> str:
    """Every package as a box, above all those that it uses."""
    uses, titles = _uses(), _titles()

    @cache
    def level(room: str) -> int:
        return 1 + max((level(other) for other in uses[room]), default=-1)

    rows = [[room for room in sorted(uses) if level(room) == number] for number in range(max(map(level, uses)) + 1)]
    parts: list[str] = []
    for number, row in enumerate(reversed(rows)):
        width = (_WIDTH - _GAP * (len(row) + 1)) / len(row)
        for place, room in enumerate(row):
            parts += _box(_GAP + place * (width + _GAP), _GAP + number * _ROW, width, room, titles[room])
    foot = _GAP + len(rows) * _ROW
    parts += _box(_GAP, foot, _WIDTH - 2 * _GAP, "the ground", "specs, errors, files, quoting: what all stand on")
    height = foot + _BOX + _GAP
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">',
            "<title>The rooms of preceptor; each uses only what lies below it</title>",
            f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _uses() -> dict[str, set[str]]:
    """Room -> the other rooms that its modules import."""
    rooms = {path.name for path in _SOURCE.iterdir() if (path / "__init__.py").is_file()}
    found: dict[str, set[str]] = {room: set() for room in rooms}
    for room in rooms:
        for path in (_SOURCE / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("preceptor."):
                    other = str(node.module).split(".")[1]
                    found[room] |= {other} & rooms - {room}
    return _without_circles(found)


def _without_circles(uses: dict[str, set[str]]) -> dict[str, set[str]]:
    """Without what leads back: an import inside a function may look up to a room that stands on this one."""
    kept: dict[str, set[str]] = {room: set() for room in uses}

    def reaches(start: str, end: str) -> bool:
        return start == end or any(reaches(other, end) for other in kept[start])

    for room in sorted(uses, key=lambda one: (len(uses[one]), one)):
        for other in sorted(uses[room], key=lambda one: (len(uses[one]), one)):
            if not reaches(other, room):
                kept[room].add(other)
    return kept


def _titles() -> dict[str, str]:
    """Room -> the first line of what it says of itself, up to a colon or full stop."""
    found = {}
    for path in _SOURCE.glob("*/__init__.py"):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[path.parent.name] = text.partition("\n")[0].split(":")[0].split(". ")[0].rstrip(".")
    return found


def _box(left: float, top: float, width: float, name: str, title: str) -> list[str]:
    place = f'x="{left:.1f}" y="{top}" width="{width:.1f}" height="{_BOX}"'
    shape = f'<rect {place} rx="6" fill="#e6f2f0" stroke="#00796b"/>'
    most = max(1, int(width / 6.1))
    first, rest = _cut(title, most)
    second = rest if len(rest) <= most else _cut(rest, most - 2)[0] + " …"
    middle = left + width / 2
    lines = [(20, 15, "bold", name), (38, 11, "normal", first), (52, 11, "normal", second)]
    return [shape] + [
        f'<text x="{middle:.1f}" y="{top + down}" font-size="{size}" font-weight="{weight}" text-anchor="middle" '
        f'fill="#1f2d2b">{escape(text)}</text>'
        for down, size, weight, text in lines
        if text
    ]


def _cut(text: str, most: int) -> tuple[str, str]:
    """What fits on a line, and the rest."""
    if len(text) <= most:
        return text, ""
    end = text.rfind(" ", 0, most + 1)
    return (text[:end], text[end + 1 :]) if end > 0 else (text[:most], text[most:])


if __name__ == "__main__":
    print(rooms_svg(), end="")
