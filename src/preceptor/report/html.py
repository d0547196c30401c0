"""One page that holds everything: no network, no file beside it."""

import base64
import json
import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import yaml

from preceptor import __version__
from preceptor.measures.not_worse import MARGIN
from preceptor.places import place_free, without_places
from preceptor.quoting import plain
from preceptor.report import tables
from preceptor.report.across import across, rank_table, sentences
from preceptor.report.data_card import DataCard, data_card
from preceptor.report.drawing import figures, points
from preceptor.report.drawing.along import along
from preceptor.report.drawing.grid import Grid, as_csv, as_latex, as_markdown
from preceptor.report.drawing.ranks import rank_diagram
from preceptor.report.methods_text import methods_paragraph
from preceptor.report.operating import good_enough, operated, rates
from preceptor.report.probes import probes
from preceptor.report.protocol import protocol
from preceptor.report.reading.published import read_published
from preceptor.report.reading.studies import CellRecord, StudyRecord
from preceptor.report.results import results
from preceptor.report.statistics import Statistics
from preceptor.report.teachers import teachers
from preceptor.report.verdict import NOT_PUBLISHED, StudyVerdict, study_verdict
from preceptor.runs.analysis import Figure
from preceptor.yaml_text import read_yaml_file

_PAGE = Path(__file__).parent / "page"
_KINDS = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
FORMS = {"csv": as_csv, "md": as_markdown, "tex": as_latex}
"""Ending -> how a table is written."""

_WIDE = 850
"""Pixels from which a picture is a gallery, of which nothing would be seen in a third of the page."""

_TYPES = {"csv": "text/csv", "md": "text/markdown", "tex": "application/x-tex"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure as an address that holds its own content, or a text in its place; a wide one has a line for itself."""

    title: str
    source: str = ""
    caption: str = ""
    text: str = ""
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class Method:
    """One cell in detail."""

    title: str
    figures: tuple[Picture, ...]
    recipe: str
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One study on the page.

    Args:
        tables: by name; ``results`` is the one in the study's layout.
    """

    slug: str
    study: StudyRecord
    verdict: StudyVerdict
    overview: Picture | None
    along: Picture | None
    tables: dict[str, Grid]
    costs: tuple[Picture, ...]
    methods: tuple[Method, ...]
    analysis: tuple[Picture, ...]
    card: DataCard | None
    commands: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]
    paragraphs: tuple[str, ...]

    @property
    def note(self) -> str:
        """What must stand on every page and in every table, if anything."""
        return NOT_PUBLISHED if self.study.is_small else ""


@dataclass(frozen=True, slots=True)
class Overall:
    """What several studies say together."""

    sentences: tuple[str, ...]
    diagram: Picture
    table: Grid


def overall(studies: Sequence[StudyRecord]) -> Overall | None:
    """The methods that all of them have, over their data sets; None where there are no two."""
    found = across(studies)
    if found is None:
        return None
    said = "Dot: average rank. A bar joins methods of which no two are told apart; none where no verdict is possible."
    diagram = Picture("Average ranks", _address(rank_diagram(found).encode(), "image/svg+xml"), said)
    return Overall(tuple(sentences(found)), diagram, rank_table(found))


def section(study: StudyRecord, slug: str, margin: float = MARGIN) -> Section:
    """Compute and draw everything of one study.

    Args:
        margin: how much worse than its teacher a student may be to be called not worse, as a share.
    """
    statistics = Statistics(study)
    bar = f"; bar: 95 % interval over the test {study.units}" if statistics.intervals else ""
    grids = [
        results(study, statistics, read_published(study)),
        tables.differences(study, statistics),
        teachers(study, statistics),
        good_enough(study, margin),
        probes(study, statistics, margin),
        rates(study),
        tables.scores(study, statistics),
        tables.costs(study),
        tables.gradients(study),
        tables.runs(study),
        protocol(study),
    ]
    return Section(
        slug=slug,
        study=study,
        verdict=study_verdict(study, statistics),
        overview=_drawn(
            "Every method",
            figures.overview(study, statistics),
            f"Dot: mean over seeds; ticks: seeds{bar}.",
        ),
        along=_drawn(
            "Along an axis",
            along(study, statistics),
            "Dot: mean over seeds; bar: 95 % interval over the test samples or groups.",
        ),
        tables={grid.name: grid for grid in grids if grid is not None and grid.rows},
        costs=tuple(
            filter(
                None,
                (
                    _drawn(
                        "Score against parameters", figures.cost(study, statistics, "parameters", "parameters (M)", 1e6)
                    ),
                    _drawn(
                        "Score against multiply-adds",
                        figures.cost(study, statistics, "multiply_adds", "multiply-adds (M)", 1e6),
                    ),
                    _drawn("Score against latency", figures.cost(study, statistics, "latency", "latency (ms)", 1.0)),
                ),
            )
        ),
        methods=tuple(_method(study, cell) for cell in study.cells),
        analysis=tuple(map(_noted, study.analysis.figures)),
        card=data_card(study),
        commands=tuple(_commands(study)),
        versions=tuple(_versions(study)),
        paragraphs=tuple(methods_paragraph(study, statistics)),
    )


def page(sections: Sequence[Section], title: str, together: Overall | None = None) -> str:
    """The HTML text.

    Args:
        together: what the studies say over their data sets.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PAGE), autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.filters["address"] = _address_of_table
    template = environment.get_template("page.html")
    notes = [one.note for one in sections]
    note = (
        notes[0]
        if all(notes)
        else "In part small scale: NOT the published protocol where it says so."
        if any(notes)
        else ""
    )
    return template.render(title=title, sections=sections, across=together, forms=FORMS, note=note, version=__version__)


def _shown(value: object) -> object:
    """What stands on the page, which is made to be passed on; contents of files and finished HTML as they are."""
    if not isinstance(value, str) or hasattr(value, "__html__") or value.startswith("data:"):
        return value
    return without_places(plain(value))


def _method(study: StudyRecord, cell: CellRecord) -> Method:
    network = "T" if cell.kind == "teacher" else study.network
    networks = [name for name in study.networks if cell.kind == "run" or name != "T"]
    drawn = [
        _drawn("Learning curves", figures.curves(cell, study.task), "A line per seed; the validation part."),
        _drawn("Loss terms", figures.terms(cell), "Weighted as in the sum, mean over seeds."),
    ]
    if study.task == "classification":
        drawn += [
            _drawn(
                "Calibration",
                figures.reliabilities(cell, ["T"] if cell.kind == "teacher" else networks),
                "Test part, all seeds together; a dot's area is the share of samples with that confidence.",
            ),
            _drawn(
                f"Confusion matrix of {network}", figures.confusion(cell, network), "Percent of each label, test part."
            ),
        ]
        if at := operated(cell, network):
            said = "Test part, first seed; the dot is the threshold of the largest Youden index of validation."
            drawn += [
                _drawn("ROC", points.roc(at, cell.title), said),
                _drawn(
                    "Calibration at the temperature of validation",
                    points.calibrated(at, cell.title),
                    "Test part, first seed.",
                ),
            ]
    noted = [_noted(note) for job in cell.jobs if job.run for note in job.run.analysis.figures]
    recipes = [job.run.files.recipe for job in cell.jobs if job.run]
    recipe = place_free(read_yaml_file(recipes[0], str(recipes[0]))) if recipes else None
    return Method(
        title=cell.title,
        figures=(*filter(None, drawn), *noted),
        recipe=yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True) if recipe else "",
        errors=tuple(f"seed {job.seed}: {job.error}" for job in cell.jobs if job.error),
    )


def _drawn(title: str, svg: str | None, caption: str = "") -> Picture | None:
    if svg is None:
        return None
    return Picture(title, _address(svg.encode(), "image/svg+xml"), caption)


def _noted(note: Figure) -> Picture:
    kind = _KINDS.get(note.file.suffix.lower())
    if kind:
        content = note.file.read_bytes()
        return Picture(note.title, _address(content, kind), note.caption, is_wide=_png_width(content) >= _WIDE)
    return Picture(note.title, caption=note.caption, text=note.file.read_text(encoding="utf-8", errors="replace"))


def _png_width(content: bytes) -> int:
    """In pixels; 0 for another kind of file."""
    return int.from_bytes(content[16:20], "big") if content[:8] == b"\x89PNG\r\n\x1a\n" else 0


def _address(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _address_of_table(grid: Grid, ending: str, note: str) -> str:
    return _address(FORMS[ending](grid, note).encode(), f"{_TYPES[ending]};charset=utf-8")


def _commands(study: StudyRecord) -> Iterable[str]:
    """What repeats the runs, from where the report was asked for, or from above a folder given from the root."""
    above = study.folder.parent if study.folder.is_absolute() else Path()

    def said(path: Path) -> str:
        return shlex.quote(os.path.relpath(path, above))

    if study.file is not None:
        yield f"preceptor study {said(study.file)} --out {said(study.folder)}"
    else:
        for job in study.jobs:
            if job.run is not None:
                yield f"preceptor train {said(job.run.files.recipe)} --out {said(job.run.folder)}"
    yield f"preceptor report {said(study.folder)}"


def _versions(study: StudyRecord) -> Iterable[tuple[str, str]]:
    """What the runs were made with; several values where they differ."""
    found: dict[str, dict[str, None]] = {}
    for run in study.finished:
        facts = {**run.environment, **(run.environment.get("packages") or {})}
        for key, value in facts.items():
            if key != "packages":
                text = value if isinstance(value, str) else json.dumps(value)
                found.setdefault(key, {})[text] = None
    for key, values in found.items():
        texts = sorted(values)
        if key == "finished":
            yield key, texts[0] if len(texts) == 1 else f"{texts[0]} to {texts[-1]}"
        else:
            yield key, ", ".join(texts)
