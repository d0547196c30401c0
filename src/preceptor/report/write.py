"""``report.html`` and the tables beside it."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from preceptor.files import write_text
from preceptor.measures.not_worse import MARGIN
from preceptor.report.html import FORMS, overall, page, section
from preceptor.report.own_measures import with_own_measures
from preceptor.report.reading.find import find_studies
from preceptor.report.sources import sources
from preceptor.written_tables import SOURCES, TABLES


def write_report(
    folders: Sequence[Path],
    out: Path,
    note: Callable[[str], None] = lambda line: None,
    *,
    trust: bool = False,
    margin: float = MARGIN,
) -> Path:
    """Report all runs and studies in ``folders``; return the page. ``note`` says a line to the user.

    The page holds everything; each table also stands in ``tables/`` as CSV, Markdown and LaTeX, and
    of which runs it is made.

    Args:
        note: says what is damaged and left out, and what could not be verified.
        margin: how much worse than its teacher a student may be to be called not worse, as a share.
        trust: run the Python files of measures of the user's own, which the runs keep.

    Raises:
        UserError: no run there, or none that is whole.
    """
    studies = [with_own_measures(study, note, trust=trust) for study in find_studies(folders, note)]
    slugs = _different([_slug(study.name) for study in studies])
    sections = [section(study, slug, margin) for study, slug in zip(studies, slugs, strict=True)]
    for one in sections:
        for grid in one.tables.values():
            for ending, form in FORMS.items():
                write_text(out / TABLES / f"{one.slug}-{grid.name}.{ending}", form(grid, one.note))
        said = sources(one.study, folders, one.tables.get("results"), one.note)
        write_text(out / TABLES / f"{one.slug}{SOURCES}", said)
    together = overall(studies)
    if together:
        for ending, form in FORMS.items():
            write_text(out / TABLES / f"across-{together.table.name}.{ending}", form(together.table))
    title = studies[0].title if len(studies) == 1 else f"{studies[0].title} and {len(studies) - 1} more"
    write_text(out / "report.html", page(sections, title, together))
    return out / "report.html"


def _slug(name: str) -> str:
    return re.sub(r"[^\w.]+", "-", name).strip("-.") or "runs"


def _different(slugs: Sequence[str]) -> list[str]:
    """With numbers where several are the same."""
    return [slug if slug not in slugs[:place] else f"{slug}-{place + 1}" for place, slug in enumerate(slugs)]
