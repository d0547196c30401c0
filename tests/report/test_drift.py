"""The data card says which hospitals look unlike the others."""

import json

import numpy as np
import pandas as pd

from preceptor.report.data_card import data_card
from preceptor.report.reading.find import find_studies

from ..command import preceptor
from .folders import ALONE, make_run


def with_looks(folder, odd=None, *, groups=6, images=20, seed=1):
    """A run whose images are of several hospitals, one of which may be stained otherwise."""
    make_run(folder, ALONE)
    generator = np.random.default_rng(seed)
    rows = [
        (f"{hospital}-{n}", f"hospital-{hospital}", hospital % 3, part)
        for hospital in range(groups)
        for n, part in enumerate(np.resize(["train", "train", "validation", "test"], images))
    ]
    pd.DataFrame(rows, columns=["id", "group", "label", "split"]).to_csv(folder / "split.csv", index=False)
    looks = {
        name: [generator.normal((3.0 if group == odd and name == "eosin" else 0.0), 0.3) for _, group, *_ in rows]
        for name in ("brightness", "saturation", "haematoxylin", "eosin")
    }
    pd.DataFrame({"id": [row[0] for row in rows], **looks}).to_csv(folder / "looks.csv", index=False)
    return folder


def named(folder):
    (study,) = find_studies([folder])
    grid = data_card(study).drift
    return {
        row[0].text: {head for head, datum in zip(grid.heads[0], row, strict=True) if datum.is_best}
        for row in grid.rows
    }


def test_a_hospital_of_another_stain_is_named(tmp_path):
    found = named(with_looks(tmp_path / "run", odd="hospital-4"))
    assert found["hospital-4 – all others"] == {"eosin"}
    assert len(found) == 3, "validation, test and the one hospital"


def test_hospitals_of_one_kind_are_not(tmp_path):
    found = named(with_looks(tmp_path / "run"))
    assert found == {"validation – training": set(), "test – training": set()}


def test_sites_are_called_as_the_data_call_them(tmp_path):
    folder = with_looks(tmp_path / "run")
    looks = pd.read_csv(folder / "looks.csv")
    looks.insert(1, "site", [("01", "NA", "")[int(name.partition("-")[0]) % 3] for name in looks["id"]])
    looks.to_csv(folder / "looks.csv", index=False)
    assert {name for name in named(folder) if "sites" in name} == {"01 – all other sites", "NA – all other sites"}
    (study,) = find_studies([folder])
    assert "2 sites, each against all others" in data_card(study).drift.caption


def test_few_groups_are_said_to_be_few(tmp_path):
    (study,) = find_studies([with_looks(tmp_path / "run", odd="hospital-1", groups=3)])
    grid = data_card(study).drift
    assert len(grid.rows) == 2
    assert "No group is named: 3 are too few" in grid.caption


def test_it_stands_on_the_page(tmp_path):
    folder = with_looks(tmp_path / "run", odd="hospital-4")
    assert preceptor("report", folder).code == 0
    page = (folder / "report.html").read_text()
    assert "Do parts look alike?" in page
    assert "hospital-4" in page
    assert json.loads((folder / "tables" / "made-sources.json").read_text())["task"] == "classification"


def test_older_runs_have_no_such_table(tmp_path):
    make_run(tmp_path / "run", ALONE)
    (study,) = find_studies([tmp_path / "run"])
    assert data_card(study).drift is None
