import pytest
from tests.runs.results import SEALED_TEST

from preceptor.analysis import analyse
from preceptor.cli.evaluate import evaluate_run
from preceptor.errors import UserError
from preceptor.files import write_json


def test_a_sealed_test_part_stays_sealed(tmp_path):
    """What a search leaves was scored on validation alone."""
    write_json(tmp_path / "result.json", SEALED_TEST)
    with pytest.raises(UserError, match="still sealed"):
        evaluate_run(tmp_path, None, "cpu", None)
    with pytest.raises(UserError, match="still sealed"):
        analyse(tmp_path, device="cpu")
