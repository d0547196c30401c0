"""A table of any kind, and how it is written as CSV, Markdown and LaTeX."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from preceptor.measures import Interval, Spread
from preceptor.places import without_places
from preceptor.quoting import one_line

_FORMULA = tuple("=+-@")
"""How a cell begins that a spreadsheet computes instead of showing it."""

_MARKDOWN = {character: "\\" + character for character in "\\|[]`*"} | {"<": "&lt;", ">": "&gt;"}
_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_TEX |= {character: "\\" + character for character in "&%$#_{}"}
_TEX |= {character: f"${character}$" for character in "<>|"}
_TEX |= {"[": "{[}", "*": "{*}"}  # which after the end of a row would belong to it
_TEX |= {"†": r"$\dagger$", "‡": r"$\ddagger$", "²": "$^2$"}
_TEX |= {"±": r"$\pm$", "▲": r"$\blacktriangle$", "▼": r"$\blacktriangledown$", "≥": r"$\ge$", "×": r"$\times$"}
_TEX |= {"–": "--", "−": "$-$", "→": r"$\to$", "·": r"$\cdot$", "…": r"\dots{}"}


@dataclass(frozen=True, slots=True)
class Datum:
    """What stands in one place of a table.

    Args:
        text: what is read.
        value: what the column is sorted by; the text unless given.
        beside: smaller and after it, each on a line of its own, such as a published figure.
        is_best: in bold.
        is_warning: set apart.
        numbers: columns of its own in CSV, in place of the text.
    """

    text: str
    value: float | None = None
    beside: tuple[str, ...] = ()
    is_best: bool = False
    is_warning: bool = False
    numbers: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Args:
        name: of its files.
        heads: levels of headings from top to bottom; each has a text for every column.
        labels: how many columns from the left say what a row is.
        caption: what must be known to read it.
    """

    name: str
    title: str
    heads: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[Datum, ...], ...]
    labels: int
    caption: str

    def __post_init__(self) -> None:
        assert {len(line) for line in (*self.heads, *self.rows)} == {len(self.heads[0])}, f"{self.name}: uneven rows"

    @property
    def spans(self) -> list[list[tuple[str, int]]]:
        """Each level's headings with the number of columns they cover; only the lowest names every column."""
        joined = []
        for depth, level in enumerate(self.heads[:-1]):
            keys = [
                (place < self.labels, [head[place] for head in self.heads[: depth + 1]]) for place in _places(level)
            ]
            joined.append([(key[1][-1], len(list(same))) for key, same in groupby(keys)])
        return [*joined, [(text, 1) for text in self.heads[-1]]]


def as_csv(grid: Grid, note: str = "") -> str:
    """One row of headings; a measured column becomes several: the mean, its deviation, its interval, and so on.

    Args:
        note: repeated in a last column of every row, such as that this is not the published protocol.
    """
    measured = [list(dict.fromkeys(key for row in grid.rows for key in row[place].numbers)) for place in _columns(grid)]
    header = [
        " ".join(filter(None, (_joined(grid, place), key)))
        for place in _columns(grid)
        for key in (measured[place] or [""])
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*map(_spreadsheet, header), *(["note"] if note else [])])
    for row in grid.rows:
        cells: list[str] = []
        for place, datum in enumerate(row):
            numbers = [datum.numbers.get(key) for key in measured[place]]
            cells += ["" if number is None else f"{number:.6g}" for number in numbers] or [_spreadsheet(_plain(datum))]
        writer.writerow([*cells, *([note] if note else [])])
    return text.getvalue()


def as_markdown(grid: Grid, note: str = "") -> str:
    """A pipe table with its caption."""
    lines = [f"**{_markdown(grid.title)}**", ""]
    lines += [f"*{_markdown(note)}*", ""] if note else []
    lines += [_row(_markdown(_joined(grid, place)) for place in _columns(grid)), _row("---" for _ in _columns(grid))]
    lines += [_row(_markdown_datum(datum) for datum in row) for row in grid.rows]
    return "\n".join([*lines, *(["", _markdown(grid.caption)] if grid.caption else [])]) + "\n"


def as_latex(grid: Grid, note: str = "") -> str:
    """A ``table`` that wants no package but ``amssymb`` for its marks."""
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{_tex(' '.join(filter(None, (grid.title + '.', note))))}}}"]
    lines += [rf"\begin{{tabular}}{{{'l' * grid.labels}{'r' * (len(grid.heads[0]) - grid.labels)}}}", r"\hline"]
    for level in grid.spans:
        lines.append(
            _tex_row(
                _tex(head) if span == 1 else rf"\multicolumn{{{span}}}{{c}}{{{_tex(head)}}}" for head, span in level
            )
        )
    lines.append(r"\hline")
    lines += [_tex_row(_tex_datum(datum) for datum in row) for row in grid.rows]
    lines += [r"\hline", r"\end{tabular}"]
    lines += [rf"\par\footnotesize {_tex(grid.caption)}"] if grid.caption else []
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def text_of(value: float, *, is_share: bool = True) -> str:
    """A score as it is read: in percent, but for those that are no shares."""
    return f"{100 * value:.2f}" if is_share else f"{value:.3f}"


def measured(
    found: Spread,
    interval: Interval | None = None,
    *,
    is_share: bool = True,
    published: tuple[float, float | None, str] | None = None,
    mark: str = "",
    is_best: bool = False,
    beside: Sequence[str] = (),
) -> Datum:
    """Mean ± deviation, with an interval and the published figure beside them."""
    factor = 100.0 if is_share else 1.0
    spread = "" if found.deviation is None else f" ± {text_of(found.deviation, is_share=is_share)}"
    more = [*beside]
    numbers: dict[str, float | None] = {"": factor * found.mean}
    numbers["±"] = None if found.deviation is None else factor * found.deviation
    numbers["seeds"] = found.count
    if interval:
        more.insert(0, f"{text_of(interval.low, is_share=is_share)}–{text_of(interval.high, is_share=is_share)}")
        numbers |= {"low": factor * interval.low, "high": factor * interval.high}
    if published:
        mean, deviation, _ = published
        more.append(published_text(*published))
        numbers |= {"published": mean, "published ±": deviation}
    return Datum(
        text=f"{text_of(found.mean, is_share=is_share)}{spread}{f' {mark}' if mark else ''}",
        value=found.mean,
        beside=tuple(more),
        is_best=is_best,
        numbers=numbers,
    )


def published_text(mean: float, deviation: float | None, mark: str = "") -> str:
    """A printed figure, with its mark where it has one."""
    spread = "" if deviation is None else f" ± {deviation:g}"
    return f"published {mean:g}{spread}{f' {mark}' if mark else ''}"


def label(text: object) -> Datum:
    """What a row is."""
    return Datum(str(text))


def number_datum(value: float | None, form: str = "{:,.0f}") -> Datum:
    """A number, or an empty place."""
    return Datum("") if value is None else Datum(form.format(value), value)


def _places(level: Sequence[str]) -> range:
    return range(len(level))


def _columns(grid: Grid) -> range:
    return range(len(grid.heads[0]))


def _joined(grid: Grid, place: int) -> str:
    """A column's headings on one line."""
    return " · ".join(dict.fromkeys(filter(None, (level[place] for level in grid.heads))))


def _after(datum: Datum) -> str:
    return f" ({', '.join(datum.beside)})" if datum.beside else ""


def _plain(datum: Datum) -> str:
    return datum.text + _after(datum)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _said(text: str) -> str:
    """What a table that is passed on may say: one line, no control characters, no places on this machine."""
    return without_places(one_line(text))


def _spreadsheet(text: str) -> str:
    """A cell that no spreadsheet takes for a formula; a number stays one."""
    text = _said(text)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _markdown(text: str) -> str:
    return "".join(_MARKDOWN.get(character, character) for character in _said(text))


def _markdown_datum(datum: Datum) -> str:
    text = _markdown(datum.text)
    return (f"**{text}**" if datum.is_best else text) + _markdown(_after(datum))


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in _said(text))


def _tex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _tex_datum(datum: Datum) -> str:
    main = rf"\textbf{{{_tex(datum.text)}}}" if datum.is_best else _tex(datum.text)
    return main + (rf" {{\footnotesize ({_tex(', '.join(datum.beside))})}}" if datum.beside else "")
