"""A user's own measures in a report: name, label and score; intervals and tests where they are trusted."""

from collections.abc import Callable
from dataclasses import replace

from preceptor.measures.own import of_a_run
from preceptor.report.reading.runs import RunRecord
from preceptor.report.reading.studies import StudyRecord


def with_own_measures(study: StudyRecord, note: Callable[[str], None], *, trust: bool) -> StudyRecord:
    """The study with the functions of its own measures, where the files that its runs keep may be run.

    Args:
        note: says what is run, or that something is left out.

    Raises:
        UserError: a file was changed, or fails.
    """
    found = [job.run for job in study.jobs if job.run and job.run.own]
    if not found:
        return study
    names = ", ".join(dict.fromkeys(one.key for run in found for one in run.own))
    folders = ", ".join(str(run.files.own) for run in found[:3]) + (" …" if len(found) > 3 else "")
    if not trust:
        note(f"{names} has no intervals and tests: that wants Python files in {folders}; give --trust to run them")
        return study
    note(f"Python code of your own is run: {names} from {folders}")
    return replace(study, jobs=tuple(replace(job, run=job.run and _trusted(job.run)) for job in study.jobs))


def _trusted(run: RunRecord) -> RunRecord:
    if not run.own:
        return run
    if run.finished is None:
        return run
    run.finished.verify(run.files.own)
    return replace(run, own=of_a_run(run.folder, run.finished.result.measures, said_by=run.files.result, trust=True))
