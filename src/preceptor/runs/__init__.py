"""Run folders on disk: the only place that knows which files are in them, and where what is read back is verified."""

from typing import TYPE_CHECKING

from preceptor.lazy_names import lazy_names

if TYPE_CHECKING:
    from preceptor.runs.analysis import Analysis, read_analysis
    from preceptor.runs.files import RunFiles, runs_below
    from preceptor.runs.finished import FinishedRun, read_finished
    from preceptor.runs.folder import RunFolder
    from preceptor.runs.metrics import MetricsLog
    from preceptor.runs.predictions import Predictions, read_predictions
    from preceptor.runs.result import RunResult, TeacherAudit
    from preceptor.runs.tables import read_metrics

__all__ = [
    "Analysis",
    "FinishedRun",
    "MetricsLog",
    "Predictions",
    "RunFiles",
    "RunFolder",
    "RunResult",
    "TeacherAudit",
    "read_analysis",
    "read_finished",
    "read_metrics",
    "read_predictions",
    "runs_below",
]

__getattr__ = lazy_names(
    __name__,
    {
        "analysis": ["Analysis", "read_analysis"],
        "files": ["RunFiles", "runs_below"],
        "finished": ["FinishedRun", "read_finished"],
        "folder": ["RunFolder"],
        "metrics": ["MetricsLog"],
        "predictions": ["Predictions", "read_predictions"],
        "result": ["RunResult", "TeacherAudit"],
        "tables": ["read_metrics"],
    },
)
