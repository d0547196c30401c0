"""Many runs: a study is a grid of recipes and seeds, run to the end and laid out as a table."""

from typing import TYPE_CHECKING

from preceptor.lazy_names import lazy_names

if TYPE_CHECKING:
    from preceptor.study.plan import Job, StudyPlan, plan_study
    from preceptor.study.run import run_jobs
    from preceptor.study.search import run_search
    from preceptor.study.spec import Study, load_study, parse_study

__all__ = [
    "Job",
    "Study",
    "StudyPlan",
    "load_study",
    "parse_study",
    "plan_study",
    "run_jobs",
    "run_search",
]

__getattr__ = lazy_names(
    __name__,
    {
        "plan": ["Job", "StudyPlan", "plan_study"],
        "run": ["run_jobs"],
        "search": ["run_search"],
        "spec": ["Study", "load_study", "parse_study"],
    },
)
