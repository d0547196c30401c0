"""Operating points and the student in its teacher's place, as a report tells them."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest

from preceptor.measures.points import threshold_interval
from preceptor.report import write_report
from preceptor.report.operating import good_enough, operated, rates
from preceptor.report.reading.find import find_studies

from .folders import make_run, technique


@pytest.fixture
def run(tmp_path):
    """300 test samples of 100 patients, and the same 300 as validation."""
    folder = make_run(tmp_path / "run", technique("kd_offline"), samples=300, per_group=3)
    shutil.copy(folder / "predictions" / "test.csv", folder / "predictions" / "validation.csv")
    return folder


def test_rates_are_those_of_the_predictions(run):
    (study,) = find_studies([run], lambda line: None)
    (cell,) = study.cells
    found = operated(cell, study.network)
    grid = rates(study)
    assert len(grid.rows) == found.chances.shape[1]
    table = pd.read_csv(run / "predictions" / "test.csv")
    own = table[table["network"] == ("ensemble" if study.network == "chosen" else study.network)]
    called = found.chances[:, 0] >= found.thresholds[0]
    positive = own["label"].to_numpy() == 0
    sensitivity = grid.rows[0][3]
    assert sensitivity.value == pytest.approx((called & positive).sum() / positive.sum())
    assert sensitivity.beside[0] == f"{(called & positive).sum()} of {positive.sum()}"
    assert (
        np.argmax(found.chances, axis=1).tolist()
        == own[["p_0", "p_1", "p_2"][: found.chances.shape[1]]].to_numpy().argmax(axis=1).tolist()
    )


def test_the_page_has_the_curves_and_says_whether_the_student_is_good_enough(run, tmp_path):
    (study,) = find_studies([run], lambda line: None)
    (row,) = good_enough(study).rows
    assert "its teacher" in row[2].text
    assert "over 100 patients" in row[2].text
    page = write_report([run], tmp_path / "out").read_text()
    for words in ("ROC", "Calibration at the temperature of validation", "Operating points", "its teacher"):
        assert words in page


def test_thresholds_have_intervals_over_patients_of_validation(run):
    """The bootstrap draws whole patients of the validation part."""
    (study,) = find_studies([run], lambda line: None)
    found = operated(study.cells[0], study.network)
    labels, chances = found.validation.labels, found.validation.chances
    threshold = rates(study).rows[1][2]
    by_patient = threshold_interval(chances[:, 1], labels == 1, [f"patient-{n // 3}" for n in range(300)])
    assert by_patient.units == 100
    assert threshold.value == by_patient.value
    assert threshold.beside == (f"{by_patient.low:.3f}–{by_patient.high:.3f}",)
    assert by_patient.low < by_patient.high
    assert threshold_interval(chances[:, 1], labels == 1).low != by_patient.low


def test_few_validation_images_have_no_points_which_is_said(tmp_path):
    """Tiles of one image are one image."""
    folder = make_run(tmp_path / "run", technique("kd_offline"), samples=300)
    table = (folder / "predictions" / "test.csv").read_text()
    tiles = re.sub(r"image-(\d+)(\d)", r'"image-\g<1>@0,\2"', table)
    (folder / "predictions" / "validation.csv").write_text(tiles)
    (study,) = find_studies([folder], lambda line: None)
    assert operated(study.cells[0], study.network) is None
    (row,) = rates(study).rows
    assert row[1].text == "none: validation has 30 images, none are fitted on fewer than 200"
    assert "none: validation has 30 images" in write_report([folder], tmp_path / "out").read_text()
