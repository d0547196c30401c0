"""The verdict that comes first: is anything better than the student alone, and may that be believed?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from preceptor.groupings import units_of
from preceptor.measures import Spread
from preceptor.measures.claims import LEVEL
from preceptor.report.comparison import NO_VERDICT, Difference
from preceptor.report.drawing.grid import text_of
from preceptor.report.names import network_name
from preceptor.report.reading.runs import CHOSEN
from preceptor.report.reading.studies import STATUSES, CellRecord, StudyRecord
from preceptor.report.statistics import Statistics
from preceptor.report.teachers import audit_of, noise_of
from preceptor.specs import FEATURES

NOT_PUBLISHED = "Small scale: this is NOT the published protocol."


@dataclass(frozen=True, slots=True)
class StudyVerdict:
    """What a reader should know first.

    Args:
        headline: one sentence.
        sentences: what it rests on.
        warnings: why not to trust it too much.
    """

    headline: str
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]


def study_verdict(study: StudyRecord, statistics: Statistics) -> StudyVerdict:
    """The state of the study in words."""
    return StudyVerdict(
        _headline(study, statistics), tuple(_evidence(study, statistics)), tuple(_warnings(study, statistics))
    )


def _headline(study: StudyRecord, statistics: Statistics) -> str:
    network, metric = study.network, study.metric
    what = f"{study.label(metric)} of {network_name(network)}"
    if not study.finished:
        return "No run is finished yet."
    methods = [cell for cell in study.cells if cell.kind == "run"]
    finished = [cell for cell in methods if statistics.spread(cell, network, metric)]
    found = {cell.title: statistics.against_baseline(cell, network, metric) for cell in finished}
    made = {title: difference for title, difference in found.items() if difference}
    if not methods or not finished:
        return _of_single_runs(study, statistics, what)
    if not made:
        if not any(cell.kind == "baseline" and cell.runs for cell in study.cells):
            return f"Nothing can be said about gains: no student trained alone stands beside {_count(finished)}."
        return f"Nothing can be said about gains in {what}: no paired test could be made."
    words = [difference.word for difference in made.values()]
    better = [title for title, difference in made.items() if difference.word == "better"]
    worse = [title for title, difference in made.items() if difference.word == "worse"]
    if not better and not worse:
        if set(words) == {NO_VERDICT}:
            return f"No verdict is possible on {what}: {_too_few(next(iter(made.values())))}."
        who = f"{next(iter(made))} is not" if len(made) == 1 else f"None of {len(made)} methods is"
        return f"{who} distinguishable from the student alone in {what}."
    parts = []
    if better:
        parts.append(f"{_named(better)} {_is(better)} better than the student alone in {what}")
    if worse:
        tail = "" if better else f" than the student alone in {what}"
        parts.append(f"{_named(worse)} {_is(worse)} worse{tail}")
    rest = len(words) - len(better) - len(worse)
    if rest:
        parts.append(f"{rest} {'is' if rest == 1 else 'are'} not distinguishable from it")
    return "; ".join(parts) + "."


def _of_single_runs(study: StudyRecord, statistics: Statistics, what: str) -> str:
    """Where there is nothing but students and teachers alone."""
    parts = []
    for cell in study.cells:
        network = "T" if cell.kind == "teacher" else study.network
        found = statistics.spread(cell, network, study.metric)
        if found:
            parts.append(f"{cell.title} {_score(found, is_share=study.is_share(study.metric))}")
    name = f"{study.label(study.metric)}{' in percent' if study.is_share(study.metric) else ''}"
    return f"Test {name}: {'; '.join(parts)}." if parts else f"No finished run has {what}."


def _score(found: Spread, *, is_share: bool) -> str:
    spread = "" if found.deviation is None else f" ± {text_of(found.deviation, is_share=is_share)}"
    return f"{text_of(found.mean, is_share=is_share)}{spread}"


def _count(cells: Sequence[CellRecord]) -> str:
    return "the one method" if len(cells) == 1 else f"the {len(cells)} methods"


def _named(titles: Sequence[str], noun: str = "methods") -> str:
    if len(titles) > 4:
        return f"{len(titles)} {noun} ({', '.join(titles[:3])}, …)"
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"


def _is(titles: Sequence[str]) -> str:
    return "is" if len(titles) == 1 else "are"


def _evidence(study: StudyRecord, statistics: Statistics) -> Iterable[str]:
    network, metric = study.network, study.metric
    best = statistics.best(network, metric)
    if best is not None and study.task == FEATURES and _have_losses_of_their_own(study):
        yield (
            "Each method is measured by its own loss and its own teachers, which cannot be compared. "
            f"{_of_single_runs(study, statistics, study.label(metric))}"
        )
    elif best is not None:
        found, interval = statistics.spread(best, network, metric), statistics.interval(best, network, metric)
        assert found is not None
        is_share = study.is_share(metric)
        percent = " %" if is_share else ""
        around = f", 95 % interval {100 * interval.low:.1f}–{100 * interval.high:.1f}" if interval else ""
        extreme = "Highest" if study.higher_is_better(metric) else "Lowest"
        leads = statistics.is_best(best, network, metric)
        if leads:
            words = "it is better than every other one"
        elif any(d.is_possible for d in statistics.differences if d.metric == metric):
            words = "it is not distinguishable from every other one"
        else:
            words = "whether it is the best cannot be told"
        yield (
            f"{extreme} test {study.label(metric)} of {network_name(network)}: {best.title}, "
            f"{_score(found, is_share=is_share)}{percent}{around}; {words}."
        )
        mine = statistics.against_baseline(best, network, metric) if best.kind == "run" else None
        if mine:
            yield mine.words
    done = sum(job.status == "done" for job in study.jobs)
    if done < len(study.jobs):
        statuses = [job.status for job in study.jobs]
        rest = [f"{statuses.count(s)} {s}" for s in STATUSES[1:] if s in statuses]
        yield f"{done} of {len(study.jobs)} runs are finished ({', '.join(rest)}); these are interim figures."
    else:
        seeds = {seed for cell in study.cells for seed in cell.runs}
        yield f"{_plural(done, 'run')} finished, {_plural(len(seeds), 'seed')}."


def _have_losses_of_their_own(study: StudyRecord) -> bool:
    """Whether methods that read no label learn by other losses, or from other teachers."""
    return len({_knowledge_in(run.recipe) for run in study.finished}) > 1


def _knowledge_in(recipe: Mapping[str, Any]) -> str:
    networks = recipe.get("networks") or {}
    return repr((recipe.get("technique"), networks.get("teacher"), networks.get("teachers")))


def _warnings(study: StudyRecord, statistics: Statistics) -> Iterable[str]:
    if study.is_small:
        yield NOT_PUBLISHED
    failed: dict[str, list[str]] = {}
    for job in study.jobs:
        if job.status == "failed":
            first = (job.error or "").strip().splitlines() or ["no error was kept"]
            failed.setdefault(first[0].replace(job.name, "…"), []).append(job.name)
    for error, names in failed.items():
        yield f"Failed: {_named(names, 'runs')}: {error}"
    for job in study.jobs:
        for damaged in job.run.analysis.damaged if job.run else ():
            yield f"The analysis of {job.name} is shown without {damaged.path.name}, which is damaged."
    cells = [cell for cell in study.cells if cell.kind == "run" and cell.runs]
    if cells and max(len(cell.runs) for cell in cells) == 1:
        yield "One seed: another seed may order the methods otherwise, so these figures show no method to be better."
    impossible = [d for d in statistics.differences if d.metric == study.metric and d.word == NO_VERDICT]
    if impossible:
        yield f"No verdict is possible: {_too_few(max(impossible, key=lambda one: one.least_corrected))}."
    yield from _teacher_warnings(study, statistics)
    yield from _same_answers(study)
    for note in dict.fromkeys(note for run in study.finished for note in run.notes):
        if "generated" in note or "optimistic" in note:
            yield note


def _too_few(found: Difference) -> str:
    """How many groups there are, and what they cannot show."""
    what = "samples" if found.groups is None else units_of(found.grouping)
    least, then = f"{found.least_p:.2g}", "so no difference, however large, could be shown with them"
    if found.least_p <= LEVEL:
        least += f", {min(1.0, found.least_corrected):.2g} when corrected for all comparisons"
        then += "; compare fewer methods, or test on more"
    return (
        f"with {found.comparison.units} independent {what} the smallest p-value that the paired test can give is "
        f"{least}, {then}"
    )


def _teacher_warnings(study: StudyRecord, statistics: Statistics) -> Iterable[str]:
    """Teachers that are no better than the student alone, and those that nobody compared."""
    audits: dict[str, list[str]] = {}
    noise: dict[str, list[str]] = {}
    for cell in study.cells:
        taught = [run for run in cell.runs.values() if "T" in run.validation]
        if cell.kind == "run" and taught:
            audits.setdefault(audit_of(study, statistics, cell), []).append(cell.title)
            noise.setdefault(noise_of(cell), []).append(cell.title)
    noise.pop("", None)
    for words, titles in noise.items():
        yield f"Teacher of {_named(titles)} {words} on validation: what it teaches may be noise."
    for words, titles in audits.items():
        if words.startswith("NOT"):
            yield (
                f"Teacher {words[0:3]} better than the student alone on validation{words[10:]} of {_named(titles)}: "
                "a gain there cannot be put down to its knowledge."
            )
        elif words.startswith("not audited"):
            yield f"Teacher of {_named(titles)} {words}: train technique.name=baseline with the same data and seeds."


def _same_answers(study: StudyRecord) -> Iterable[str]:
    """Students whose answer is the same whatever they see."""
    found: dict[str, list[str]] = {}
    for cell in study.cells:
        for run in cell.runs.values() if cell.kind != "teacher" else ():
            answers = run.predictions
            said = None if answers is None else answers.networks.get(CHOSEN)
            if answers is None or said is None or len(said) < 2:
                continue
            if answers.labels is None:
                words = "" if said[..., :2].any() else "marks nothing"
            else:
                top = np.unique(said.argmax(axis=1))
                varies = len(top) > 1 or len(np.unique(answers.labels)) < 2
                words = "" if varies else f"answers {run.classes[top[0]]!r}"
            if words:
                found.setdefault(words, []).append(cell.title)
    for words, titles in found.items():
        yield (
            f"The chosen student of {_named(list(dict.fromkeys(titles)))} {words} in every test image of a seed: its "
            "score tells how common that is, and nothing that it learned."
        )


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
