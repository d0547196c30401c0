"""A small picture of lines, dots and boxes as an SVG text with no address in it.

A report of a hundred runs has some hundred and fifty of them, on which matplotlib spends 40 ms each, twice as long as
everything else on the page takes. Here a picture is as quick as its text is put together.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

_FONTS = "Helvetica, Arial, sans-serif"
_LETTER = 0.55  # mean width of a letter, in sizes of the font
_SIZE, _SMALL = 9.0, 8.0
_LINE = 11.5
_INK, _DIM, _GRID = "#222222", "#777777", "#e5e5e5"


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a chart.

    Args:
        low, high: what it spans.
        label: what is measured.
        names: texts at places, instead of numbers.
        is_log: powers of ten are equally far apart.
        whole: only whole numbers are marked.
    """

    low: float
    high: float
    label: str = ""
    names: tuple[tuple[float, str], ...] = ()
    is_log: bool = False
    whole: bool = False

    def share(self, value: float) -> float:
        """Where ``value`` is, 0 at the low end and 1 at the high one."""
        low, high, value = (math.log(v) if self.is_log else v for v in (self.low, self.high, value))
        return (value - low) / (high - low)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """What is marked: the names, or round numbers."""
        if self.names:
            return list(self.names)
        return [(value, f"{value:,.10g}") for value in (self._powers(most) if self.is_log else self._steps(most))]

    def _steps(self, most: int) -> list[float]:
        """Multiples of 1, 2 or 5 times a power of ten."""
        least = max((self.high - self.low) / most, 1.0 if self.whole else 0.0)
        power = 10.0 ** math.floor(math.log10(least))
        step = next(times * power for times in (1, 2, 5, 10) if times * power >= least * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(number * step, 12) for number in range(first, last + 1)]

    def _powers(self, most: int) -> list[float]:
        """1, 2 and 5 times the powers of ten; the powers alone, or every k-th of them, where these are too many."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        found = self._inside(times * 10.0**power for power in range(first, last + 1) for times in (1, 2, 5))
        every = 1
        while len(found) > most:
            found = self._inside(10.0**power for power in range(first, last + 1, every))
            every += 1
        return found

    def _inside(self, values: Iterable[float]) -> list[float]:
        return [value for value in values if self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9)]


def around(values: Iterable[float], label: str = "", *, is_log: bool = False, whole: bool = False) -> Axis:
    """An axis that spans ``values`` with a little room at its ends."""
    known = list(values)
    low, high = min(known), max(known)
    if is_log:
        return Axis(low / (high / low) ** 0.05, high * (high / low) ** 0.05, label, is_log=True)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    return Axis(low - room, high + room, label, whole=whole)


class Chart:
    """A chart to which marks are added; they lie over one another in that order.

    Args:
        width: of everything.
        height: of the part inside the axes.
        left: of the margin that names of the vertical axis take; by default as wide as its numbers want.
        grid: axes whose ticks are drawn through, ``x``, ``y`` or both.
        top: of the margin above, for names of places.
    """

    def __init__(
        self, x: Axis, y: Axis, *, width: float = 260, height: float = 140, grid: str = "", top: float = 6
    ) -> None:
        self.x, self.y = x, y
        self._width, self._height, self._top = width, height, top
        names = [text for _, text in y.ticks()]
        self._left = 8 + text_width(max(names, key=len, default=""), _SMALL) + (13 if y.label else 0)
        self._inside = width - self._left - 10
        self._marks: list[str] = []
        self._legend: list[tuple[str, str]] = []
        self._grid = grid
        self._room = 0.0  # of names above, up to which they are taken

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A point of the picture, from its top left corner."""
        return self._left + self._inside * self.x.share(x), self._top + self._height * (1 - self.y.share(y))

    def line(
        self,
        xs: Sequence[float],
        ys: Sequence[float],
        colour: str,
        *,
        dashes: str = "",
        width: float = 1.3,
        opacity: float = 1.0,
    ) -> None:
        """A line through the points; a dot where there is but one."""
        points = [self.at(x, y) for x, y in zip(xs, ys, strict=True)]
        if len(points) == 1:
            self._marks.append(_circle(*points[0], 2, colour, opacity))
            return
        path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._marks.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{_n(width)}"'
            f'{_dashed(dashes)} opacity="{_n(opacity)}" stroke-linejoin="round"/>'
        )

    def dot(
        self, x: float, y: float, colour: str, *, radius: float = 3, shape: str = "o", opacity: float = 1.0
    ) -> None:
        """A mark: ``o`` round, ``s`` square, ``^`` and ``v`` triangles, ``|`` a stroke."""
        self._marks.append(_SHAPES[shape](*self.at(x, y), radius, colour, opacity))

    def box(self, low: tuple[float, float], high: tuple[float, float], colour: str) -> None:
        """A filled rectangle between two corners."""
        (x0, y0), (x1, y1) = self.at(*low), self.at(*high)
        size = f'width="{_n(abs(x1 - x0))}" height="{_n(abs(y1 - y0))}"'
        self._marks.append(f'<rect x="{_n(min(x0, x1))}" y="{_n(min(y0, y1))}" {size} fill="{colour}" stroke="white"/>')

    def text(self, x: float, y: float, text: str, *, colour: str = _INK, size: float = 7) -> None:
        """A text centred on a point."""
        px, py = self.at(x, y)
        self._marks.append(_text(px, py + 0.35 * size, text, size=size, colour=colour, anchor="middle"))

    def place(self, x: float, name: str = "") -> None:
        """A dotted line from top to bottom, with its name above where that has room beside the one before."""
        px, _ = self.at(x, self.y.low)
        low, high = _n(self._top + self._height), _n(self._top)
        self._marks.append(
            f'<line x1="{_n(px)}" x2="{_n(px)}" y1="{low}" y2="{high}" stroke="#aaaaaa" stroke-width="0.8"'
            f"{_dashed('1.5 2')}/>"
        )
        end = px + text_width(name, 7)
        if name and px >= self._room and end <= self._width:
            self._room = end + 4
            self._marks.append(_text(px + 1, self._top - 2, name, size=7, colour=_DIM))

    def level(self, y: float, *, colour: str = "#bbbbbb") -> None:
        """A thin line from left to right."""
        self.line([self.x.low, self.x.high], [y, y], colour, width=0.8)

    def key(self, name: str, colour: str, *, shape: str = "", dashes: str = "") -> None:
        """An entry below: what a colour means, with a line or a shape of it; each name once."""
        x, y = 7, -3.0
        mark = (
            _SHAPES[shape](x, y, 3, colour, 1)
            if shape
            else f'<line x1="0" x2="14" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="1.6"{_dashed(dashes)}/>'
        )
        if (name, mark) not in self._legend:
            self._legend.append((name, mark))

    def svg(self) -> str:
        """The picture."""
        bottom = self._top + self._height
        parts = [*self._ticks(bottom)]
        turned = any(_is_turned(self.x, self._inside, text) for _, text in self.x.ticks())
        below = 13.0 if not turned else 8 + max(text_width(text, _SMALL) for _, text in self.x.ticks())
        if self.x.label:
            below += 12
            parts.append(_text(self._left + self._inside / 2, bottom + below - 2, self.x.label, anchor="middle"))
        if self.y.label:
            middle = self._top + self._height / 2
            turn = f' transform="rotate(-90 9 {_n(middle)})"'
            parts.append(_text(9, middle, self.y.label, anchor="middle", more=turn))
        keys, height = self._keys(bottom + below + 4)
        content = "".join([*parts, *self._marks, *keys])
        size = (
            f'viewBox="0 0 {_n(self._width)} {_n(height)}" width="{_n(1.3 * self._width)}" height="{_n(1.3 * height)}"'
        )
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{_FONTS}">{content}</svg>'

    def _ticks(self, bottom: float) -> Iterable[str]:
        right = self._left + self._inside
        for value, text in self.x.ticks():
            x = self._left + self._inside * self.x.share(value)
            if "x" in self._grid:
                yield _rule(x, x, self._top, bottom, _GRID)
            if not self.x.names:
                yield _rule(x, x, bottom, bottom + 3, _INK)
            if _is_turned(self.x, self._inside, text):
                turn = f' transform="rotate(-90 {_n(x + 3)} {_n(bottom + 4)})"'
                yield _text(x + 3, bottom + 4, text, size=_SMALL, anchor="end", more=turn)
            else:
                yield _text(x, bottom + 11, text, size=_SMALL, anchor="middle")
        for value, text in self.y.ticks():
            y = bottom - self._height * self.y.share(value)
            if "y" in self._grid:
                yield _rule(self._left, right, y, y, _GRID)
            if not self.y.names:
                yield _rule(self._left - 3, self._left, y, y, _INK)
            yield _text(self._left - 5, y + 3, text, size=_SMALL, anchor="end")
        if not (self.x.names and self.y.names):
            yield _rule(self._left, right, bottom, bottom, _INK)
            yield _rule(self._left, self._left, self._top, bottom, _INK)

    def _keys(self, top: float) -> tuple[list[str], float]:
        """The entries below, as many in a line as it holds, and where they end."""
        parts, x, y = [], 4.0, top + _LINE if self._legend else top
        for name, mark in self._legend:
            width = 18 + text_width(name, _SMALL)
            if x > 4 and x + width > self._width:
                x, y = 4.0, y + _LINE
            parts.append(f'<g transform="translate({_n(x)} {_n(y)})">{mark}{_text(18, 0, name, size=_SMALL)}</g>')
            x += width + 8
        return parts, y + 4


def text_width(text: str, size: float) -> float:
    """About how wide a text is."""
    return _LETTER * size * len(text)


def blend(share: float) -> str:
    """From white to dark blue."""
    red, green, blue = (round(255 + share * (dark - 255)) for dark in (8, 69, 148))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _is_turned(axis: Axis, inside: float, text: str) -> bool:
    """Whether names below stand upright, for lack of room."""
    return bool(axis.names) and any(text_width(t, _SMALL) > inside / len(axis.names) - 2 for _, t in axis.names)


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _dashed(dashes: str) -> str:
    return f' stroke-dasharray="{dashes}"' if dashes else ""


def _rule(x1: float, x2: float, y1: float, y2: float, colour: str) -> str:
    return f'<line x1="{_n(x1)}" x2="{_n(x2)}" y1="{_n(y1)}" y2="{_n(y2)}" stroke="{colour}" stroke-width="0.7"/>'


def _text(
    x: float, y: float, text: str, *, size: float = _SIZE, colour: str = _INK, anchor: str = "start", more: str = ""
) -> str:
    place = f'x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" fill="{colour}" text-anchor="{anchor}"'
    return f"<text {place}{more}>{escape(text)}</text>"


def _circle(x: float, y: float, radius: float, colour: str, opacity: float) -> str:
    return f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" fill="{colour}" opacity="{_n(opacity)}"/>'


def _square(x: float, y: float, radius: float, colour: str, opacity: float) -> str:
    side = _n(2 * radius)
    place = f'x="{_n(x - radius)}" y="{_n(y - radius)}" width="{side}" height="{side}"'
    return f'<rect {place} fill="{colour}" opacity="{_n(opacity)}"/>'


def _stroke(x: float, y: float, radius: float, colour: str, opacity: float) -> str:
    place = f'x1="{_n(x)}" x2="{_n(x)}" y1="{_n(y - radius)}" y2="{_n(y + radius)}"'
    return f'<line {place} stroke="{colour}" stroke-width="1" opacity="{_n(opacity)}"/>'


def _triangle(up: float) -> Callable[[float, float, float, str, float], str]:
    def drawn(x: float, y: float, radius: float, colour: str, opacity: float) -> str:
        points = ((x, y - up * radius), (x - radius, y + up * radius), (x + radius, y + up * radius))
        path = " ".join(f"{_n(px)},{_n(py)}" for px, py in points)
        return f'<polygon points="{path}" fill="{colour}" opacity="{_n(opacity)}"/>'

    return drawn


_SHAPES = {"o": _circle, "s": _square, "|": _stroke, "^": _triangle(1.2), "v": _triangle(-1.2)}
