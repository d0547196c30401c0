"""Intervals and comparisons, against the measures called by hand on the files."""

import json

import numpy as np
import pandas as pd
import pytest

from preceptor.measures import (
    auroc,
    bootstrap,
    bootstrap_sums,
    classification_scores,
    delong,
    fidelity_scores,
    mcnemar,
    paired_permutation,
    segmentation_scores,
)
from preceptor.measures.claims import corrected, shares_of_level
from preceptor.report.comparison import difference_of_cells
from preceptor.report.reading.find import find_studies
from preceptor.report.reading.runs import read_run
from preceptor.report.statistics import Statistics

from .folders import ALONE, RECIPE, TEACHER, make_run, make_study, technique


def statistics_of(folder):
    (study,) = find_studies([folder])
    return Statistics(study)


def cell(statistics, title):
    return next(one for one in statistics.study.cells if one.title == title)


def right(folder, network="S1"):
    """(N,) whether the network was right, read anew."""
    table = pd.read_csv(folder / "predictions" / "test.csv")
    table = table[table["network"] == network]
    return (table.filter(regex="^p_").to_numpy().argmax(axis=1) == table["label"]).to_numpy()


def counts(folder, network="S1"):
    table = pd.read_csv(folder / "predictions" / "test.csv")
    return table[table["network"] == network][["tp", "fp", "fn", "tn"]].to_numpy()


def share(sums):
    return sums[:, 0] / sums[:, 1]


def found_for(statistics, first, network="S1", metric="accuracy"):
    return next(d for d in statistics.differences if (d.first.title, d.network, d.metric) == (first, network, metric))


def test_the_interval_is_over_groups_of_the_mean_over_seeds(tmp_path):
    runs = [make_run(tmp_path / f"a{seed}", ALONE, seed=seed, per_group=5) for seed in range(3)]
    statistics = statistics_of(tmp_path)
    mean = np.mean([right(run) for run in runs], axis=0)
    groups = [f"patient-{number // 5}" for number in range(60)]
    expected = bootstrap_sums(np.stack([mean, np.ones(60)], axis=1), share, groups=groups)
    found = statistics.interval(cell(statistics, "student alone"), "S1", "accuracy")
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert found.units == 12
    scores = [right(run).mean() for run in runs]
    spread = statistics.spread(cell(statistics, "student alone"), "S1", "accuracy")
    assert (spread.mean, spread.deviation) == pytest.approx((np.mean(scores), np.std(scores, ddof=1)))


SCORES = {
    "classification": ["accuracy", "precision", "recall", "f1", "auroc", "ece"],
    "segmentation": ["iou", "f1", "iou_per_image", "f1_per_image"],
}


def with_true_scores(folder, task):
    """A run whose ``result.json`` says what its predictions give."""
    run = make_run(folder, technique("kd_offline"), task=task, per_group=2, samples=120)
    result = json.loads((run / "result.json").read_text())
    found = read_run(run, "run").predictions
    for name in result["test"]:
        values = found.networks[name]
        result["test"][name] = (
            segmentation_scores(values) if task == "segmentation" else classification_scores(values, found.labels)
        )
        if task == "classification" and name != "T":
            result["fidelity"][name] = fidelity_scores(values, found.networks["T"])
    (run / "result.json").write_text(json.dumps(result))
    return run


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_intervals_of_every_score_are_around_it(tmp_path, task):
    run = read_run(with_true_scores(tmp_path / "a", task), "a")
    statistics = statistics_of(tmp_path)
    for network in ("T", "S1", "ensemble"):
        for metric in SCORES[task]:
            found = statistics.interval(statistics.study.cells[0], network, metric)
            assert found.value == pytest.approx(run.score(network, metric)), metric
            assert found.low < found.high, metric
            assert found.units == 60
            assert metric == "ece" or found.low <= found.value <= found.high
    if task == "classification":
        for metric in ("fidelity.agreement", "fidelity.kl"):
            found = statistics.interval(statistics.study.cells[0], "S1", metric)
            assert found.value == pytest.approx(run.score("S1", metric))
            assert found.low < found.value < found.high


def overlapping(folder, classes, seed):
    """Samples whose probabilities are no separate clouds; a patient's are alike."""
    run = make_run(folder, ALONE, classes=classes, samples=240, per_group=3, seed=seed)
    path = run / "predictions" / "test.csv"
    table = pd.read_csv(path)
    generator = np.random.default_rng(seed)
    chances = [column for column in table if column.startswith("p_")]
    patient = np.repeat(generator.normal(size=(len(table) // 3, len(chances))), 3, axis=0)
    logits = patient + generator.normal(size=(len(table), len(chances)))
    logits[np.arange(len(table)), table["label"]] += 1.0
    table[chances] = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table.to_csv(path, index=False)
    return run


@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c", "d")])
def test_the_interval_of_auroc_is_that_of_the_slow_bootstrap(tmp_path, classes):
    overlapping(tmp_path / "a", classes, 0)
    statistics = statistics_of(tmp_path)
    found = statistics.interval(statistics.study.cells[0], "S1", "auroc")
    answers = statistics.study.finished[0].predictions
    chances, labels = answers.networks["S1"], answers.labels
    groups = [number // 3 for number in range(240)]
    slow = bootstrap(lambda rows: auroc(chances[rows], labels[rows]), 240, groups=groups, resamples=1500)
    width = slow.high - slow.low
    assert found.value == pytest.approx(slow.value)
    assert (found.low, found.high) == pytest.approx((slow.low, slow.high), abs=0.08 * width)


def test_no_interval_where_a_score_is_not_known(tmp_path):
    """AUROC of labels that are all equal is left out of the result."""
    run = make_run(tmp_path / "a", ALONE)
    result = json.loads((run / "result.json").read_text())
    del result["test"]["S1"]["auroc"]
    (run / "result.json").write_text(json.dumps(result))
    statistics = statistics_of(tmp_path)
    assert statistics.interval(statistics.study.cells[0], "S1", "auroc") is None
    assert statistics.interval(statistics.study.cells[0], "S2", "auroc")


def test_scores_that_are_not_compared_give_no_verdict(tmp_path):
    layout = {"rows": [], "columns": [], "networks": ["S1"], "metrics": ["ece"]}
    study = make_study(tmp_path, [("baseline", {}, 0, "done", None, {"chosen": ALONE})], layout=layout)
    statistics = statistics_of(study)
    assert "ece" not in {difference.metric for difference in statistics.differences}
    assert statistics.study.metric == "accuracy", "verdicts are about a score that can be compared"


def test_one_seed_of_single_samples_is_mcnemars(tmp_path):
    alone = make_run(tmp_path / "a", ALONE, grouped=False)
    other = make_run(tmp_path / "b", technique("ml"), grouped=False, skill=0.8)
    found = found_for(statistics_of(tmp_path), "ml · predictions")
    assert found.comparison == mcnemar(right(other), right(alone))
    assert found.groups is None


def test_seeds_are_averaged_sample_by_sample_and_groups_exchanged(tmp_path):
    alone = [make_run(tmp_path / f"a{seed}", ALONE, seed=seed, per_group=6) for seed in range(3)]
    other = [make_run(tmp_path / f"b{seed}", technique("ml"), seed=seed, per_group=6, skill=0.8) for seed in range(3)]
    found = found_for(statistics_of(tmp_path), "ml · predictions")
    means = [np.mean([right(run) for run in runs], axis=0) for runs in (other, alone)]
    groups = [number // 6 for number in range(60)]
    assert found.comparison == paired_permutation(*means, groups=groups)
    differences = [right(b).mean() - right(a).mean() for a, b in zip(alone, other, strict=True)]
    assert found.seed_differences == pytest.approx(differences)
    assert (found.samples, found.groups) == (60, 10)


def test_only_common_seeds_are_compared(tmp_path):
    for seed in (0, 1):
        make_run(tmp_path / f"a{seed}", ALONE, seed=seed)
    for seed in (1, 2):
        make_run(tmp_path / f"b{seed}", technique("ml"), seed=seed)
    make_run(tmp_path / "c", technique("kd_ml"), seed=7)
    statistics = statistics_of(tmp_path)
    assert len(found_for(statistics, "ml · predictions").seed_differences) == 1
    assert "kd_ml · predictions" not in {difference.first.title for difference in statistics.differences}


def ious(run):
    """(20,) IoU per image of each of 20 patients with 3 images, and the pooled one."""
    table = counts(run)
    each = table[:, 0] / table[:, :3].sum(axis=1)
    totals = table.sum(axis=0)
    return each, totals[0] / totals[:3].sum()


def test_masks_are_compared_in_the_score_that_is_shown(tmp_path):
    """Pooled IoU by what each patient adds to it, IoU per image by the images: each row is of one score."""
    alone = make_run(tmp_path / "a", ALONE, task="segmentation", per_group=3, skill=0.6)
    other = make_run(tmp_path / "b", technique("ml"), task="segmentation", per_group=3, skill=0.8)
    groups = [number // 3 for number in range(60)]
    layout_free = statistics_of(tmp_path)
    found = found_for(layout_free, "ml · predictions", metric="iou")
    assert found.tested == "IoU"
    assert found.seed_differences == pytest.approx([ious(other)[1] - ious(alone)[1]])
    left_out = []
    for run in (other, alone):
        table = counts(run).reshape(20, 3, 4).sum(axis=1)
        rest = table.sum(axis=0) - table
        left_out.append(20 * ious(run)[1] - 19 * rest[:, 0] / rest[:, :3].sum(axis=1))
    assert found.comparison.p_value == paired_permutation(*left_out).p_value
    assert found.comparison.variance == pytest.approx(np.var(left_out[0] - left_out[1], ddof=1) / 20)
    assert found.comparison.p_value < 0.001
    assert found.word == "not distinguishable", "one seed shows nothing"

    measure = layout_free.study.measures["iou_per_image"]
    each = difference_of_cells(found.first, found.second, "S1", measure, 10_000)
    assert each.comparison == paired_permutation(ious(other)[0], ious(alone)[0], groups=groups)
    assert each.tested == "IoU per image"


def test_auroc_is_compared_by_delong(tmp_path):
    two = ("healthy", "ill")
    runs = [
        make_run(tmp_path / "a", ALONE, classes=two, per_group=4),
        make_run(tmp_path / "b", technique("ml"), classes=two, per_group=4, skill=0.85),
    ]
    found = found_for(statistics_of(tmp_path), "ml · predictions", metric="auroc")
    tables = [pd.read_csv(run / "predictions" / "test.csv").query("network == 'S1'") for run in runs]
    labels, scores = tables[0]["label"].to_numpy() == 1, [table["p_1"].to_numpy() for table in tables]
    assert found.comparison == delong(labels, scores[1], scores[0], groups=[n // 4 for n in range(60)])


def test_p_values_of_one_score_are_corrected_together(tmp_path):
    for seed in range(2):
        make_run(tmp_path / f"a{seed}", ALONE, seed=seed)
        for number, name in enumerate(("ml", "kd_ml", "kd_online")):
            make_run(tmp_path / f"{name}{seed}", technique(name), skill=0.72 + 0.05 * number, seed=seed)
    family = [d for d in statistics_of(tmp_path).differences if d.metric == "accuracy"]
    # per network S1, S2, ensemble: three against the baseline, the best against the two others; six pairs there are
    assert len(family) == 3 * (3 + 2)
    shares = shares_of_level(np.array([d.against_alone for d in family]), 3 * 6)
    assert set(shares) == {0.5 / 9}
    largest = [max(d.comparison.p_value, d.seed_p, d.both_p) for d in family]
    assert [d.corrected for d in family] == pytest.approx(corrected(largest, shares))


def test_seeds_that_disagree_are_no_difference(tmp_path):
    """A large mean difference with one seed the other way round."""
    for seed, skill in enumerate((0.95, 0.95, 0.3)):
        make_run(tmp_path / f"a{seed}", ALONE, seed=seed, skill=0.5, samples=300)
        make_run(tmp_path / f"b{seed}", technique("ml"), seed=seed, skill=skill, samples=300)
    found = found_for(statistics_of(tmp_path), "ml · predictions")
    assert found.comparison.p_value < 0.001, "other samples would say the same of these networks"
    assert found.seed_p > 0.2, "but other seeds would not"
    assert found.word == "not distinguishable"


def test_the_best_is_best_only_if_better_than_every_other(tmp_path):
    for seed in range(3):
        make_run(tmp_path / f"a{seed}", ALONE, seed=seed, skill=0.5, samples=1500)
        make_run(tmp_path / f"b{seed}", technique("ml"), seed=seed, skill=0.8, samples=1500)
        make_run(tmp_path / f"c{seed}", technique("ml", "diverse"), seed=seed, skill=0.8, samples=1500)
    statistics = statistics_of(tmp_path)
    best = statistics.best("S1", "accuracy")
    assert best.kind == "run"
    assert statistics.against_baseline(best, "S1", "accuracy").word == "better"
    assert not statistics.is_best(best, "S1", "accuracy")
    for seed in range(3):
        make_run(tmp_path / f"d{seed}", technique("kd_ml"), seed=seed, skill=0.95, samples=1500)
    statistics = statistics_of(tmp_path)
    assert statistics.is_best(cell(statistics, "kd_ml · predictions"), "S1", "accuracy")


def test_a_baseline_that_is_best_is_best_in_either_order(tmp_path):
    for seed in range(3):
        make_run(tmp_path / f"a{seed}", ALONE, seed=seed, skill=0.9, samples=1500)
        make_run(tmp_path / f"b{seed}", technique("ml"), seed=seed, skill=0.5, samples=1500)
    statistics = statistics_of(tmp_path)
    assert statistics.is_best(cell(statistics, "student alone"), "S1", "accuracy")
    assert len([d for d in statistics.differences if d.network == "S1" and d.metric == "accuracy"]) == 1


def test_each_cell_meets_the_baseline_of_its_own_axes(tmp_path):
    jobs = [
        (kind, {"fraction": fraction, **more}, 0, "done", None, {"chosen": chosen, "skill": skill})
        for fraction, skill in (("0.1", 0.5), ("1.0", 0.8))
        for kind, more, chosen in (("baseline", {}, ALONE), ("run", {"technique": "ml"}, technique("ml")))
    ]
    layout = {"rows": ["technique"], "columns": ["fraction"], "networks": ["S1"], "metrics": ["accuracy"]}
    statistics = statistics_of(make_study(tmp_path, jobs, layout=layout))
    pairs = {
        (d.first.labels["fraction"], d.second.labels["fraction"])
        for d in statistics.differences
        if d.second.kind == "baseline" and d.first.kind == "run"
    }
    assert ("0.1", "0.1") in pairs
    assert statistics.baseline_of(statistics.study.cells[-1]).labels == {"fraction": "1.0"}


@pytest.mark.parametrize(("teachers", "count"), [(("/t", "/t"), 1), (("/t0", "/t1"), 2), ((None, None), 2)])
def test_one_frozen_teacher_has_no_spread(tmp_path, teachers, count):
    for seed, teacher in enumerate(teachers):
        make_run(tmp_path / f"b{seed}", technique("kd_offline", teacher=teacher), seed=seed)
    statistics = statistics_of(tmp_path)
    assert statistics.spread(cell(statistics, "kd_offline · predictions"), "T", "accuracy").count == count


def test_few_groups_bound_the_p_value(tmp_path):
    make_run(tmp_path / "a", ALONE, per_group=15)
    make_run(tmp_path / "b", technique("ml"), per_group=15, skill=0.99)
    found = found_for(statistics_of(tmp_path), "ml · predictions")
    assert found.comparison.units == 4
    assert found.least_p == pytest.approx(0.125)
    assert found.comparison.p_value >= found.least_p
    assert found.word == "no verdict possible"
    assert "no verdict is possible with 4 patients" in found.words


def test_splits_that_follow_the_seed_are_put_together(tmp_path):
    """Each seed tests other samples: every seed keeps its own mean, and the units are all samples."""
    for seed in range(2):
        run = make_run(tmp_path / f"a{seed}", ALONE, seed=seed)
        for name in ("split.csv", "predictions/test.csv"):
            path = run / name
            path.write_text(path.read_text().replace("image-", f"image{seed}-").replace("patient-", f"patient{seed}-"))
    statistics = statistics_of(tmp_path)
    found = statistics.interval(cell(statistics, "student alone"), "S1", "accuracy")
    assert found.value == pytest.approx(np.mean([right(tmp_path / f"a{seed}").mean() for seed in range(2)]))
    assert found.units == 120


def test_teachers_are_never_compared(tmp_path):
    make_run(tmp_path / "t", TEACHER, skill=0.99)
    make_run(tmp_path / "a", ALONE)
    make_run(tmp_path / "b", technique("kd_offline"))
    statistics = statistics_of(tmp_path)
    assert {d.network for d in statistics.differences} == {"S1", "S2", "ensemble"}
    assert all("teacher" not in (d.first.kind, d.second.kind) for d in statistics.differences)


def test_students_of_several_budgets_in_one_place_are_kept_apart(tmp_path):
    """One student alone and two students alone, where no axis tells them apart; each method meets its own."""
    one = {"networks": {**RECIPE["networks"], "count": 1}}
    jobs = []
    for seed in range(2):
        jobs += [
            ("baseline", {}, seed, "done", None, {"chosen": ALONE, "recipe": one, "networks": ["S1"], "skill": 0.6}),
            ("baseline", {}, seed, "done", None, {"chosen": ALONE, "skill": 0.7}),
            ("run", {"technique": "ml"}, seed, "done", None, {"chosen": technique("ml")}),
        ]
    statistics = statistics_of(make_study(tmp_path, jobs))
    alone = [cell for cell in statistics.study.cells if cell.kind == "baseline"]
    assert [sorted(cell.runs) for cell in alone] == [[0, 1], [0, 1]]
    assert alone[0].title == "student alone · networks.count 1"
    assert statistics.baseline_of(cell(statistics, "ml")) is alone[1]


def test_a_student_with_another_budget_is_no_baseline(tmp_path):
    make_run(tmp_path / "a", ALONE, recipe={"training": {"epochs": 300}})
    make_run(tmp_path / "b", technique("ml"))
    statistics = statistics_of(tmp_path)
    assert statistics.baseline_of(cell(statistics, "ml · predictions")) is None
