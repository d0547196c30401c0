"""The results in a study's layout, every score, and the probes: columns that are measured."""

from collections.abc import Iterator, Sequence

from preceptor.verify.cell import Cell, Place, known
from preceptor.verify.numbers import Numbers
from preceptor.verify.written import NUMBERS, Method

_PUBLISHED = "a published figure, which is no score of these runs"
_NOBODY = "no method stands at this place of the layout"
_INSIDE = ("network", "metric")
_ALONE = {"teacher": "teacher alone", "baseline": "student alone"}


def headings(cells: Sequence[str], names: Sequence[str]) -> list[tuple[int, str]]:
    """(place among ``names``, ending) of every column of a CSV file; the place is -1 for columns beside them."""
    found, place = [], -1
    for cell in cells:
        for ahead in (place, place + 1):
            if 0 <= ahead < len(names) and (ending := _ending(cell, names[ahead])) is not None:
                if ahead == place and ending == "":
                    continue  # the next column of the same name
                found.append((ahead, ending))
                place = ahead
                break
        else:
            found.append((-1, cell))
    return found


def _ending(cell: str, name: str) -> str | None:
    if cell == name:
        return ""
    rest = cell.removeprefix(f"{name} ") if name else cell
    return rest if rest in NUMBERS and rest != cell else None


def every_score(numbers: Numbers, rows: list[list[str]]) -> Iterator[Cell]:
    """The table of every score."""
    keys = numbers.written.keys
    names = [name for name in rows[0][2:] if name in keys]
    columns = headings(rows[0][2:], names)
    for row in rows[1:]:
        for (place, ending), cell in zip(columns, row[2:], strict=True):
            at = Place("scores", f"{row[0]}, {row[1]}", f"{names[place]} {ending}".strip() if place >= 0 else ending)
            if not cell:
                continue
            if place < 0:
                yield at.unknown(cell, "a column that is not known here")
            elif row[0] == "second observer":
                yield at.unknown(cell, "of the second observer's masks only the scores are kept")
            else:
                yield from measured(numbers, at, cell, (row[0], row[1], keys[names[place]]), ending)


def measured(numbers: Numbers, at: Place, cell: str, what: tuple[str, str, str], ending: str) -> list[Cell]:
    """One number of a measured column.

    Args:
        what: title of the method, network, key of the score.
    """
    if ending.startswith("published"):
        return [at.unknown(cell, _PUBLISHED)]
    return known(at, cell, _number, numbers, at, cell, what, ending)


def _number(numbers: Numbers, at: Place, cell: str, what: tuple[str, str, str], ending: str) -> Iterator[Cell]:
    values = numbers.of(numbers.written.method(what[0]), what[1], what[2])
    yield at.number(cell, values.get(ending), is_end=ending in ("low", "high"))


def study_results(numbers: Numbers, rows: list[list[str]]) -> Iterator[Cell]:
    """The table in the study's layout."""
    written = numbers.written
    down, across = written.axes
    heads = written.columns[len(down) :]
    names = [" · ".join(dict.fromkeys(filter(None, labels))) for labels in heads]
    columns = headings(rows[0][len(down) :], names)
    for row in rows[1:]:
        labels = tuple(row[: len(down)])
        for (place, ending), cell in zip(columns, row[len(down) :], strict=True):
            if cell == "" or cell.startswith("–"):
                continue
            if place < 0:
                yield Place("results", ", ".join(labels), ending).unknown(cell, "a column that is not known here")
                continue
            at = Place("results", ", ".join(filter(None, labels)), f"{names[place]} {ending}".strip())
            what = _what(numbers, labels, tuple(heads[place]), down, across)
            yield from measured(numbers, at, cell, what, ending) if what else [at.unknown(cell, _NOBODY)]


def _what(
    numbers: Numbers, row: tuple[str, ...], column: tuple[str, ...], down: Sequence[str], across: Sequence[str]
) -> tuple[str, str, str] | None:
    """Title, network and key of what stands in a row and column: the first method that fits."""
    written = numbers.written
    for method in written.methods:
        networks = (
            ["T"] if method.kind == "teacher" else [n for n in written.networks if method.kind == "run" or n != "T"]
        )
        for network in networks:
            for key in written.tabled:
                place = {**method.labels, "network": network, "metric": written.names[key]}
                own = [place.get(axis, "") for axis in across]
                fits = all(mine in ("", theirs) for mine, theirs in zip(own, column, strict=True))
                if fits and tuple(_labels(method, place, down)) == row:
                    return method.title, network, key
    return None


def _labels(method: Method, place: dict[str, str], down: Sequence[str]) -> list[str]:
    """The labels of a row; students and teachers alone say so on the first axis of the study."""
    labels = [place.get(axis, "") for axis in down]
    first = next((n for n, axis in enumerate(down) if axis not in _INSIDE), None)
    if method.kind in _ALONE and first is not None:
        labels[first] = " · ".join(filter(None, (_ALONE[method.kind], labels[first])))
    return labels


def probes(numbers: Numbers, rows: list[list[str]]) -> Iterator[Cell]:
    """What frozen networks know of the classes, beside what they cost."""
    name = numbers.written.names[numbers.written.metric]
    names = [f"{name}, logistic", f"{name}, neighbours"]
    columns = headings(rows[0][3:], names)
    for row in rows[1:]:
        for (place, ending), cell, head in zip(columns, row[3:], rows[0][3:], strict=True):
            at = Place("probes", f"{row[0]}, {row[1]}", head)
            if not cell:
                continue
            if place < 0:
                yield at.unknown(cell, "counted or timed on the network itself")
            else:
                network = row[1] if place == 0 else f"{row[1]}_neighbours"
                yield from measured(numbers, at, cell, (row[0], network, numbers.written.metric), ending)
