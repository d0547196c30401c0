"""Reports of runs that read few labels or none, computed anew."""

import base64
import json
import re

import pandas as pd
import pytest

from preceptor.verify.check import verified

from ..command import preceptor
from ..report.folders import ALONE, make_run, technique
from .test_check import make_honest


def without_labels(folder, loss, **options):
    """As a run leaves it that read no label: scores of features, and nobody's answers."""
    chosen = {"name": "distil_features", "losses": [{"loss": loss}]}
    make_run(folder, chosen, networks=["S1"], recipe={"split": {"labels": {"fraction": 0.0}}}, **options)
    for path in (folder / "predictions").iterdir():
        path.unlink()
    result = json.loads((folder / "result.json").read_text())
    scores = {"knowledge_loss": 2.5 + 0.1 * result["seed"], "teacher_cosine": 0.75}
    result |= {"test": {"S1": scores}, "validation": {"S1": scores}, "labels": dict.fromkeys(("train", "test"), 0)}
    (folder / "result.json").write_text(json.dumps(result))
    split = pd.read_csv(folder / "split.csv").assign(label=-1)
    split.to_csv(folder / "split.csv", index=False)
    metrics = pd.read_csv(folder / "metrics.csv")
    metrics["metric"] = metrics["metric"].replace({"accuracy": "knowledge_loss"})
    metrics.to_csv(folder / "metrics.csv", index=False)


@pytest.fixture
def free(tmp_path):
    for seed in range(2):
        for loss in ("cosine", "rkd"):
            without_labels(tmp_path / f"{loss}-{seed}", loss, seed=seed)
    assert preceptor("report", tmp_path).code == 0
    return tmp_path


def test_without_labels_nothing_can_be_computed_again_and_it_says_why(free):
    answer = preceptor("report", free, "--verify")
    assert answer.code == 0
    assert "not: measured on the networks: no label was read, and predictions/ keeps no features" in answer.out
    assert answer.out.splitlines()[-1] == "verified: nothing, for no number of these tables comes from predictions"


def test_a_score_that_is_no_share_is_not_written_in_percent(free):
    page = (free / "report.html").read_text(encoding="utf-8")
    assert "distil_features · cosine 2.550 ± 0.071;" in page
    assert "measured by its own loss and its own teachers" in page
    assert "Lowest test" not in page
    assert "255.0" not in page
    assert "Test split; mean ±" in page
    assert "bar: 95 % interval" not in page, "there are no intervals"
    drawn = [base64.b64decode(one).decode() for one in re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", page)]
    assert sum("loss of knowledge" in one for one in drawn) >= 3
    assert not any("%" in re.sub(r"<style.*?</style>", "", one, flags=re.DOTALL) for one in drawn)


def test_with_some_labels_hidden_every_number_agrees(tmp_path):
    """Rows without a label are of the training part, and of patients of their own where none is known."""
    for seed in range(2):
        for name, chosen in (("alone", ALONE), ("ml", technique("ml"))):
            folder = tmp_path / f"{name}-{seed}"
            make_honest(folder, chosen, seed=seed, recipe={"split": {"labels": {"per_class": 2}}})
            split = pd.read_csv(folder / "split.csv", dtype=str)
            more = pd.DataFrame({"id": ["more-1"], "group": ["more-1"], "label": ["-1"], "split": ["train"]})
            split.loc[split["split"] == "train", "label"] = "-1"
            pd.concat([split, more]).to_csv(folder / "split.csv", index=False)
    assert preceptor("report", tmp_path).code == 0
    cells = [cell for one in verified([tmp_path], tmp_path) for cell in one.cells]
    assert [cell for cell in cells if cell.verdict == "differs"] == []
    assert {"differences", "results", "scores", "operating"} <= {
        cell.table for cell in cells if cell.verdict == "agrees"
    }


def test_labelled_and_unlabelled_runs_in_one_report(free, tmp_path):
    make_honest(tmp_path / "more" / "ml-0", technique("ml"))
    out = tmp_path / "both"
    assert preceptor("report", free, tmp_path / "more", "--out", out).code == 0
    answer = preceptor("report", free, tmp_path / "more", "--out", out, "--verify")
    assert answer.code == 0
    assert re.search(r"verified: \d+ numbers agree, 0 differ", answer.out)
