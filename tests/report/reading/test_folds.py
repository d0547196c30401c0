"""Folds of a seed are reported as one run."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from preceptor.report.reading.find import find_studies
from preceptor.report.results import results
from preceptor.report.statistics import Statistics

from ..folders import ALONE, RECIPE, make_run, make_study, technique

FOLDS = 3
KD = technique("kd_offline")


def statistics_of(folder):
    (study,) = find_studies([folder])
    return Statistics(study)


def whole(out, task):
    """Two seeds of a method and of the students alone, grouped by threes."""
    classes = ("background", "nucleus") if task == "segmentation" else ("benign", "malignant", "other")
    jobs = [
        (kind, cell, seed, "done", None, {"chosen": chosen, "skill": skill, "per_group": 3, "classes": classes})
        for seed in (0, 1)
        for kind, cell, chosen, skill in (
            ("baseline", {}, ALONE, 0.6),
            ("run", {"technique": "kd_offline"}, KD, 0.85),
        )
    ]
    metric = "iou" if task == "segmentation" else "accuracy"
    layout = {"rows": ["technique"], "columns": [], "networks": ["S1", "ensemble"], "metrics": [metric]}
    return make_study(out, jobs, layout=layout, task=task), metric


def cut(study, out):
    """The same study in folds: each tests the groups of its number, the others it trains on."""
    index = json.loads((study / "index.json").read_text())
    jobs = []
    for job in index["jobs"]:
        for fold in range(FOLDS):
            name = f"{job['id']}-fold{fold}"
            folder = out / "runs" / name
            shutil.copytree(study / job["folder"], folder)
            recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
            recipe["split"] |= {"folds": FOLDS, "fold": fold}
            (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
            split = pd.read_csv(folder / "split.csv")
            number = split["group"].where(split["split"] == "test", "x-0").str.partition("-")[2].astype(int)
            is_mine = (split["split"] == "test") & (number % FOLDS == fold)
            split[(split["split"] != "test") | is_mine].to_csv(folder / "split.csv", index=False)  # a train_fraction
            said = pd.read_csv(folder / "predictions" / "test.csv")
            said[said["id"].isin(split.loc[is_mine, "id"])].to_csv(folder / "predictions" / "test.csv", index=False)
            result = json.loads((folder / "result.json").read_text())
            (folder / "result.json").write_text(json.dumps(result | {"test": {n: {} for n in result["test"]}}))
            jobs.append(job | {"id": name, "folder": f"runs/{name}", "fold": fold})
    (out / "index.json").write_text(json.dumps(index | {"jobs": jobs}))
    (out / "study.yaml").write_text("name: made-study\n")
    return out


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_folds_of_a_seed_are_what_one_run_that_tests_all_of_it_would_be(tmp_path, task):
    one, metric = whole(tmp_path / "whole", task)
    wanted, found = statistics_of(one), statistics_of(cut(one, tmp_path / "folds"))
    assert [c.title for c in found.study.cells] == [c.title for c in wanted.study.cells]
    for cell, other in zip(found.study.cells, wanted.study.cells, strict=True):
        assert list(cell.runs) == [0, 1]
        assert len(cell.jobs) == 2 * FOLDS
        for network in ("S1", "ensemble"):
            spread, wished = found.spread(cell, network, metric), wanted.spread(other, network, metric)
            assert (spread.mean, spread.deviation) == pytest.approx((wished.mean, wished.deviation))
            interval, wished = found.interval(cell, network, metric), wanted.interval(other, network, metric)
            assert interval.units == wished.units == 20
            assert (interval.low, interval.high) == pytest.approx((wished.low, wished.high), abs=0.03)
    for difference, other in zip(found.differences, wanted.differences, strict=True):
        if difference.metric == metric:
            exchanged_at_random = pytest.approx(other.comparison.p_value, abs=0.01)
            assert difference.comparison.p_value == exchanged_at_random
            assert (difference.groups, difference.samples) == (other.groups, other.samples)
            assert len(difference.seed_differences) == 2


def test_a_seed_counts_when_all_its_folds_are_finished(tmp_path):
    folder = cut(whole(tmp_path / "whole", "classification")[0], tmp_path / "folds")
    next((folder / "runs").glob("run-kd_offline-1-*-fold2")).joinpath("result.json").unlink()
    index = json.loads((folder / "index.json").read_text())
    for job in index["jobs"]:
        if job["id"].startswith("run-kd_offline-1") and job["fold"] == 2:
            job["status"] = "running"
    (folder / "index.json").write_text(json.dumps(index))
    statistics = statistics_of(folder)
    cell = statistics.study.cells[-1]
    assert list(cell.runs) == [0]
    text = json.dumps([[datum.beside for datum in row] for row in results(statistics.study, statistics).rows])
    assert "5 of 6 folds, 1 running" in text


def test_loose_runs_on_folds_are_one_method(tmp_path):
    for fold in range(2):
        split = RECIPE["split"] | {"folds": 2, "fold": fold}
        make_run(tmp_path / f"fold{fold}", KD, recipe={"split": split}, samples=30)
    (cell,) = statistics_of(tmp_path).study.cells
    assert "fold" not in " ".join(cell.labels)
    assert len(cell.runs[0].predictions.ids) == 60


def test_fidelity_is_weighed_by_the_samples_of_each_fold(tmp_path):
    agreements = (0.5, 0.8)
    for fold, (samples, agreement) in enumerate(zip((20, 40), agreements, strict=True)):
        split = RECIPE["split"] | {"folds": 2, "fold": fold}
        folder = make_run(tmp_path / f"fold{fold}", KD, recipe={"split": split}, samples=samples)
        result = json.loads((folder / "result.json").read_text())
        result["fidelity"]["S1"]["agreement"] = agreement
        (folder / "result.json").write_text(json.dumps(result))
    (cell,) = statistics_of(tmp_path).study.cells
    assert cell.runs[0].score("S1", "fidelity.agreement") == pytest.approx(np.average(agreements, weights=(1, 2)))
