"""A report's tables computed anew: all of an honest one agree, and every change is found."""

import csv
import json

import numpy as np
import pandas as pd
import pytest

from preceptor.measures import MEASURES, ClassAnswers, classification_scores
from preceptor.measures.measure import fidelity_of
from preceptor.verify.check import verified

from ..command import preceptor
from ..report.folders import ALONE, TEACHER, make_run, technique

SAMPLES = 210


def make_honest(folder, chosen, **options):
    """A run whose ``result.json`` says what its predictions give, on validation too."""
    make_run(folder, chosen, samples=SAMPLES, per_group=7, **options)
    table = pd.read_csv(folder / "predictions" / "test.csv")
    networks = {name: rows.filter(like="p_").to_numpy() for name, rows in table.groupby("network", sort=False)}
    labels = table["label"].to_numpy()[:SAMPLES]
    result = json.loads((folder / "result.json").read_text())
    result["test"] = {name: classification_scores(p, labels) for name, p in networks.items()}
    result["validation"] = result["test"]
    result["fidelity"] = {
        name: fidelity_of(MEASURES["classification"], ClassAnswers(p, labels, networks["T"]))
        for name, p in networks.items()
        if name != "T" and "T" in networks
    }
    if "T" in networks:
        constant = {"class": "benign", "score": 1 / 3, "beaten": True}
        result["teacher_audit"] = {"metric": "accuracy", "teacher": 1.0, "constant_answer": constant, "verdict": ""}
    result["chosen"] = "T" if set(networks) == {"T"} else "S1"
    (folder / "result.json").write_text(json.dumps(result))
    table.to_csv(folder / "predictions" / "validation.csv", index=False, float_format="%.7g")


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A reported folder of runs of which every number is true."""
    folder = tmp_path_factory.mktemp("honest")
    for seed in range(2):
        for name, chosen, skill in (
            ("alone", ALONE, 0.6),
            ("kd", technique("kd_offline"), 0.9),
            ("dml", technique("dml"), 0.7),
            ("teacher", TEACHER, 0.8),
        ):
            make_honest(folder / f"{name}-{seed}", chosen, skill=skill + 0.01 * seed, seed=seed)
    assert preceptor("report", folder).code == 0
    return folder


def test_every_table_of_an_honest_report_agrees(honest):
    found = verified([honest], honest)
    assert {one.name for one in found if one.count("agrees")} == {
        "differences",
        "good-enough",
        "operating",
        "results",
        "runs",
        "scores",
        "teachers",
    }
    cells = [cell for one in found for cell in one.cells]
    assert [cell for cell in cells if cell.verdict == "differs"] == []
    assert {cell.why for cell in cells if cell.verdict == "unknown"} == {
        "counted on the network itself, not on what it says",
        "timed while the run was trained",
    }


def change(path, column, text):
    """Write another ``text`` into the first cell of a column that has any."""
    rows = list(csv.reader(path.read_text().splitlines()))
    place = rows[0].index(column)
    row = next(row for row in rows[1:] if row[place])
    assert row[place] != text
    row[place] = text
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


CHANGES = [
    ("results", "T · accuracy low", "12.5"),
    ("scores", "accuracy", "71.4"),
    ("scores", "F1 ±", "0.1234"),
    ("scores", "AUROC high", "99.9"),
    ("scores", "KL to T", "0.01"),
    ("differences", "p, patients", "0.512"),
    ("differences", "p, corrected", "0.777"),
    ("differences", "p, both", "0.931"),
    ("differences", "difference, points low", "-1.5"),
    ("differences", "difference, points high", "1.5"),
    ("differences", "verdict", "equal"),
    ("runs", "its test accuracy", "12.34"),
    ("teachers", "teacher ECE", "12.34"),
    ("teachers", "constant answer accuracy", "40"),
    ("teachers", "audit", "NOT better in 1 of 2 seeds"),
    ("good-enough", "gap", "+1.23 (-0.50 to +2.00)"),
    ("operating", "sensitivity", "50.0 (35 of 70, 40.0–60.0)"),
    ("operating", "threshold", "0.123 (0.100–0.900)"),
]


def test_every_changed_cell_is_found(honest):
    """All at once; of a gap or a rate each of its numbers is one."""
    tables = {path: path.read_text() for path in (honest / "tables").glob("made-*.csv")}
    try:
        for table, column, text in CHANGES:
            change(honest / "tables" / f"made-{table}.csv", column, text)
        found = {(cell.table, cell.written) for one in verified([honest], honest) for cell in one.differing}
    finally:
        for path, text in tables.items():
            path.write_text(text)
    numbers = {(table, text) for table, _, text in CHANGES if table not in ("good-enough", "operating")}
    numbers |= {("good-enough", one) for one in ("+1.23", "-0.50", "+2.00")}
    numbers |= {("operating", one) for one in ("50.0", "35", "40.0", "60.0", "0.123", "0.100", "0.900")}
    assert found == numbers


def test_changed_predictions_are_found(honest):
    path = honest / "kd-0" / "predictions" / "test.csv"
    before = path.read_text()
    table = pd.read_csv(path)
    right = np.flatnonzero((table["network"] == "S1") & (table["label"] == 0) & (table["p_0"] > 0.5))[:1]
    table.loc[right, ["p_0", "p_1"]] = table.loc[right, ["p_1", "p_0"]].to_numpy()
    table.to_csv(path, index=False, float_format="%.7g")
    try:
        answer = preceptor("report", honest, "--verify")
    finally:
        path.write_text(before)
    assert answer.code == 1
    assert "differs: kd_offline · predictions, S1; accuracy: written" in answer.out
    differing = {line.split(":")[0] for line in answer.out.splitlines() if ":" in line and " 0 differ" not in line}
    assert {"made-results", "made-scores", "made-differences"} <= differing


def test_the_command_says_what_agrees_and_what_cannot_be_known(honest):
    answer = preceptor("report", honest, "--verify")
    assert answer.code == 0, answer.out
    assert "made-scores: " in answer.out
    assert "not: timed while the run was trained" in answer.out
    assert answer.out.splitlines()[-1].startswith("verified: ")
    assert " 0 differ" in answer.out.splitlines()[-1]


def test_without_tables_it_says_what_to_do(tmp_path):
    make_run(tmp_path / "one", ALONE)
    answer = preceptor("report", tmp_path, "--verify")
    assert answer.code == 2
    assert "write them first: preceptor report" in answer.error


def test_numbers_that_no_prediction_gives_are_found(tmp_path):
    """The made-up F1 and AUROC of a made-up run; its fidelity to a teacher on masks cannot be known."""
    make_run(tmp_path / "one", ALONE)
    preceptor("report", tmp_path / "one")
    differing = {cell.column for one in verified([tmp_path / "one"], tmp_path / "one") for cell in one.differing}
    assert differing == {"F1", "AUROC", "ECE"}


def with_outlines(folder):
    """What the run would say of the outlines of its masks; of some images nothing."""
    table = pd.read_csv(folder / "predictions" / "test.csv")
    generator = np.random.default_rng(0)
    table["hd95"] = np.where(generator.random(len(table)) < 0.2, np.nan, generator.uniform(0, 9, len(table)))
    table["surface_dice"] = 1 - table["hd95"] / 10
    (folder / "predictions" / "surfaces").mkdir()
    columns = ["id", "network", "class", "hd95", "surface_dice"]
    table[columns].assign(unit="px", tolerance=2).to_csv(folder / "predictions/surfaces/test.csv", index=False)
    result = json.loads((folder / "result.json").read_text())
    for name, scores in result["test"].items():
        scores |= table[table["network"] == name][["hd95", "surface_dice"]].mean().to_dict()
    (folder / "result.json").write_text(json.dumps(result))


def test_masks(tmp_path):
    for seed in range(2):
        make_run(tmp_path / f"a{seed}", ALONE, task="segmentation", seed=seed, per_group=4)
        make_run(tmp_path / f"b{seed}", technique("kd_offline"), task="segmentation", seed=seed, per_group=4, skill=0.8)
    for run in tmp_path.iterdir():
        with_outlines(run)
    preceptor("report", tmp_path)
    found = verified([tmp_path], tmp_path)
    cells = [cell for one in found for cell in one.cells]
    outlines = {cell.column for cell in cells if "HD95" in cell.column or "surface" in cell.column}
    assert outlines >= {"HD95", "HD95 low", "HD95 high", "surface Dice", "surface Dice low", "surface Dice ±"}
    assert "in percent but for" in (tmp_path / "report.html").read_text()
    assert "HD95 (px)" in (tmp_path / "report.html").read_text()
    assert [cell for cell in cells if cell.verdict == "differs"] == []
    agreeing = {cell.table for cell in cells if cell.verdict == "agrees"}
    assert agreeing == {"differences", "good-enough", "results", "runs", "scores"}
    assert any("keeps no pixels against the teacher" in cell.why for cell in cells)


def test_folds_stand_together(tmp_path):
    for fold in range(2):
        make_honest(tmp_path / f"f{fold}", technique("dml"), recipe={"split": {"folds": 2, "fold": fold}}, skill=0.7)
        for name in ("split.csv", "predictions/test.csv"):
            path = tmp_path / f"f{fold}" / name
            path.write_text(path.read_text().replace("image-", f"image-{fold}-"))
    preceptor("report", tmp_path)
    cells = [cell for one in verified([tmp_path], tmp_path) for cell in one.cells]
    assert [cell for cell in cells if cell.verdict == "differs"] == []
    assert sum(cell.verdict == "agrees" for cell in cells) > 20
