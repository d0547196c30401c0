"""``metrics.csv`` goes on from a checkpoint or not at all."""

import hashlib

import pytest

from preceptor.errors import DamagedFileError
from preceptor.runs.metrics import HEADER, MetricsLog

ROWS = [("main", 1, "S1", "train", "loss", 0.5), ("main", 1, "S1", "validation", "accuracy", 1 / 3)]
LINES = "main,1,S1,train,loss,0.5\nmain,1,S1,validation,accuracy,0.333333333\n"


@pytest.fixture
def log(tmp_path):
    found = MetricsLog(tmp_path / "metrics.csv")
    found.append(ROWS)
    return found


def test_what_is_appended_is_what_is_vouched_for(log):
    assert log.path.read_text() == HEADER + LINES
    log.append(ROWS)
    assert log.path.read_text() == HEADER + 2 * LINES
    assert (log.size, log.digest) == (len(log.path.read_bytes()), hashlib.sha256(log.path.read_bytes()).hexdigest())


def test_what_came_after_a_checkpoint_is_cut_off(log):
    size, digest = log.size, log.digest
    log.append(ROWS)
    again = MetricsLog(log.path)
    again.goes_on_from(size, digest)
    again.cut()
    again.append(ROWS)
    assert log.path.read_text() == HEADER + 2 * LINES
    assert again.digest == log.digest


def test_a_start_without_checkpoint_begins_anew(log):
    again = MetricsLog(log.path)
    again.cut()
    again.append(ROWS)
    assert log.path.read_text() == HEADER + LINES


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "was cut short"),
        (lambda path: path.write_text(path.read_text().replace("0.5", "0.6")), "was changed or damaged"),
    ],
)
def test_a_damaged_table_is_refused(log, damage, words):
    damage(log.path)
    with pytest.raises(DamagedFileError, match=rf"metrics\.csv: {words}(.|\n)*Bring the file back, or delete"):
        MetricsLog(log.path).goes_on_from(log.size, log.digest)


def test_an_older_checkpoint_knows_the_length_alone(log):
    MetricsLog(log.path).goes_on_from(log.size, "")
    with pytest.raises(DamagedFileError, match="cut short"):
        MetricsLog(log.path).goes_on_from(log.size + 1, "")
