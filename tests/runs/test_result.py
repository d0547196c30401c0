"""What ``result.json`` says, typed, as this version and older ones wrote it."""

import json
from pathlib import Path

import pytest

from preceptor.errors import DamagedFileError
from preceptor.runs.finished import read_finished, write_result
from preceptor.runs.result import FORMAT, ConstantAnswer, TeacherAudit, result_from
from preceptor.sealed import write_sealed

from .results import COMPLETE, SEALED_TEST, result

AUDIT = {
    "metric": "accuracy",
    "teacher": 0.75,
    "student_alone": None,
    "verdict": "not audited",
}


def read(**changes):
    return result_from({**COMPLETE, **changes}, Path("run/result.json"), "Delete it.")


def test_every_value_is_an_attribute():
    found = read(teacher_audit={**AUDIT, "constant_answer": {"class": "benign", "score": 0.5, "beaten": True}})
    assert {key: getattr(found, key) for key in COMPLETE if key not in ("notes", "teacher_audit")} == {
        key: value for key, value in COMPLETE.items() if key not in ("notes", "teacher_audit")
    }
    assert found.notes == ("a word",)
    constant = ConstantAnswer(answer="benign", score=0.5, beaten=True)
    assert found.teacher_audit == TeacherAudit(
        metric="accuracy", teacher=0.75, constant_answer=constant, verdict="not audited"
    )
    assert found.is_complete
    assert not read(**SEALED_TEST).is_complete


def test_what_is_written_bears_its_format_and_comes_back(tmp_path):
    constant = ConstantAnswer(answer="benign", score=0.5, beaten=False)
    audit = TeacherAudit(metric="accuracy", teacher=0.75, constant_answer=constant, run="../alone", verdict="w")
    made = result().model_copy(update={"teacher_audit": audit})
    write_result(tmp_path, made)
    raw = json.loads((tmp_path / "result.json").read_text())
    assert raw["format"] == FORMAT
    assert raw["teacher_audit"]["constant_answer"]["class"] == "benign"
    assert read_finished(tmp_path).result == made


def test_older_versions_are_read(tmp_path):
    """One sealed and without a format, one unsealed whose audit knew no constant answer."""
    write_sealed(tmp_path / "result.json", {**COMPLETE, "files": {}}, but=("seconds", "images_per_second"))
    found = read_finished(tmp_path)
    assert (found.is_sealed, found.result) == (True, result())
    older = {**COMPLETE, "teacher_audit": AUDIT, "strategy": None}
    (tmp_path / "result.json").write_text(json.dumps(older))
    found = read_finished(tmp_path)
    assert not found.is_sealed
    assert found.result.teacher_audit.constant_answer is None
    assert found.result.strategy is None


def test_an_undefined_score_is_not_there():
    assert read(test={"S1": {"accuracy": 0.5, "auroc": None}}).test == {"S1": {"accuracy": 0.5}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": None}, "'task' is missing or of another kind"),
        ({"status": "over"}, "'status' is missing or of another kind"),
        ({"chosen": 3}, "'chosen' is missing or of another kind"),
        ({"seed": True}, "'seed' is missing or of another kind"),
        ({"test": [1]}, "'test' is missing or of another kind"),
        ({"test": {}}, "'test' holds no scores"),
        ({"validation": {}}, "'validation' holds no scores"),
        ({"validation": {"S1": 3}}, r"'validation\.S1' is missing or of another kind"),
        ({"fidelity": {"S1": {"agreement": "high"}}}, r"'fidelity\.S1\.agreement' is missing or of another kind"),
        ({"parameters": {"S1": "big"}}, r"'parameters\.S1' is missing or of another kind"),
        ({"notes": [1]}, r"'notes\.0' is missing or of another kind"),
        ({"teacher_audit": {"metric": "accuracy"}}, r"'teacher_audit\.teacher' is missing or of another kind"),
    ],
)
def test_what_is_no_result_is_named(changes, message):
    with pytest.raises(DamagedFileError, match=rf"run/result\.json: is no result of a run: {message}(.|\n)*Delete it"):
        read(**changes)


def test_a_newer_format_wants_a_newer_version():
    with pytest.raises(DamagedFileError, match=r"has the format 2, and this version of preceptor reads format 1"):
        read(format=2)
