"""Results of runs, written by hand."""

from typing import Any

from preceptor.runs.result import RunResult

COMPLETE: dict[str, Any] = {
    "status": "complete",
    "name": "made",
    "task": "classification",
    "technique": "ml",
    "strategy": "predictions",
    "seed": 3,
    "chosen": "S1",
    "test": {"S1": {"accuracy": 0.5}},
    "validation": {"S1": {"accuracy": 0.75}},
    "fidelity": {},
    "teacher_audit": None,
    "parameters": {"S1": 3},
    "multiply_adds": {"S1": 5},
    "model_bytes": {"S1": 12},
    "grouped_by": None,
    "notes": ["a word"],
    "seconds": 1.5,
    "images_per_second": 20.0,
}
"""As a version without formats wrote it."""

SEALED_TEST: dict[str, Any] = {**COMPLETE, "status": "validated", "test": {}}


def result(**changes: Any) -> RunResult:
    """A result of a small run."""
    return RunResult.model_validate({**COMPLETE, **changes})
