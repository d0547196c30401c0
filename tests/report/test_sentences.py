"""The verdict, the data card and the methods paragraph."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from preceptor.report.data_card import data_card
from preceptor.report.methods_text import methods_paragraph
from preceptor.report.reading.find import find_studies
from preceptor.report.reading.runs import CHOSEN
from preceptor.report.statistics import Statistics
from preceptor.report.verdict import _same_answers, study_verdict
from preceptor.runs.predictions import Predictions

from .folders import ALONE, TEACHER, make_run, technique


def study_in(folder):
    (study,) = find_studies([folder])
    return study


def verdict_of(folder):
    study = study_in(folder)
    return study_verdict(study, Statistics(study))


def make(folder, skills, seeds=2, **more):
    for name, skill in skills.items():
        for seed in range(seeds):
            chosen = {"alone": ALONE, "teacher": TEACHER}.get(name) or technique(name)
            make_run(folder / f"{name}-{seed}", chosen, seed=seed, skill=skill, **more)


def test_nothing_is_called_better_that_is_not(tmp_path):
    make(tmp_path, {"alone": 0.7, "ml": 0.71, "kd_online": 0.72})
    found = verdict_of(tmp_path)
    assert found.headline == "None of 2 methods is distinguishable from the student alone in accuracy of S1."
    assert any("not distinguishable from every other one" in text for text in found.sentences)


def test_what_is_better_and_worse_is_named(tmp_path):
    make(tmp_path, {"alone": 0.6, "ml": 0.9, "kd_online": 0.3, "kd_ml": 0.6}, seeds=3, samples=1500)
    found = verdict_of(tmp_path)
    assert found.headline == (
        "ml · predictions is better than the student alone in accuracy of S1; kd_online · predictions is worse; "
        "1 is not distinguishable from it."
    )
    assert any(
        text.startswith("ml · predictions is better than student alone: accuracy of S1 +") for text in found.sentences
    )


def test_without_a_student_alone_nothing_is_said_about_gains(tmp_path):
    make(tmp_path, {"ml": 0.9})
    assert verdict_of(tmp_path).headline.startswith("Nothing can be said about gains: no student trained alone")


def test_before_anything_is_finished(tmp_path):
    make_run(tmp_path / "a", technique("ml"), done=False)
    found = verdict_of(tmp_path)
    assert found.headline == "No run is finished yet."
    assert "0 of 1 runs are finished (1 unfinished); these are interim figures." in found.sentences


def test_networks_alone_are_only_stated(tmp_path):
    make_run(tmp_path / "a", TEACHER, skill=0.9)
    assert verdict_of(tmp_path).headline.startswith("Test accuracy in percent: teacher alone ")


def test_one_seed_and_few_groups_are_warned_of(tmp_path):
    make_run(tmp_path / "a", ALONE, per_group=15)
    make_run(tmp_path / "b", technique("ml"), per_group=15)
    warnings = " ".join(verdict_of(tmp_path).warnings)
    assert "One seed" in warnings
    assert (
        "4 independent patients the smallest p-value that the paired test can give is 0.12, so no difference"
        in warnings
    )


def test_a_teacher_that_is_not_better_is_warned_of(tmp_path):
    make(tmp_path, {"alone": 0.7, "kd_offline": 0.6})
    (found,) = [text for text in verdict_of(tmp_path).warnings if text.startswith("Teacher")]
    assert found == (
        "Teacher NOT better than the student alone on validation in 2 of 2 seeds of kd_offline · predictions: "
        "a gain there cannot be put down to its knowledge."
    )


def test_a_teacher_that_nobody_compared_is_warned_of(tmp_path):
    make(tmp_path, {"kd_offline": 0.6})
    assert any("not audited" in text for text in verdict_of(tmp_path).warnings)


def test_the_data_card_of_masks_tells_the_share_of_the_foreground(tmp_path):
    run = make_run(tmp_path / "a", ALONE, task="segmentation", samples=2, classes=("background", "gland"))
    lines = ["id,network,class,tp,fp,fn,tn", "image-0000,S1,1,30,5,10,55", "image-0001,S1,1,0,7,0,93"]
    (run / "predictions" / "test.csv").write_text("\n".join(lines) + "\n")
    card = data_card(study_in(tmp_path))
    texts = [[datum.text for datum in row] for row in card.classes.rows]
    assert texts == [["background", "80.0", "2"], ["gland", "20.0", "1"]]
    assert dict(card.facts)["images of equal pixels"].startswith("none found")


def test_the_data_card_counts_parts_groups_and_classes(tmp_path):
    make_run(tmp_path / "a", ALONE, per_group=5, notes=["1 sets of images have equal pixels."])
    card = data_card(study_in(tmp_path))
    assert [[d.text for d in row] for row in card.parts.rows] == [
        ["train", "12", "14.3", "12"],
        ["validation", "12", "14.3", "12"],
        ["test", "60", "71.4", "12"],
        ["all", "84", "100.0", "36"],
    ]
    assert [d.text for d in card.classes.rows[0]] == ["benign", "4", "4", "20"]
    assert card.classes.rows[0][3].beside == ("33.3 %",)
    assert dict(card.facts)["patients on two sides"] == "none"
    assert card.notes == ("1 sets of images have equal pixels.",)


def test_a_leak_is_counted(tmp_path):
    run = make_run(tmp_path / "a", ALONE)
    path = run / "split.csv"
    path.write_text(path.read_text().replace("patient-7,", "train-1000,"))
    assert dict(data_card(study_in(tmp_path)).facts)["patients on two sides"] == "1"


def test_splits_that_differ_are_said_to(tmp_path):
    make_run(tmp_path / "a", ALONE)
    make_run(tmp_path / "b", technique("ml"), samples=50)
    assert any("2 different splits" in note for note in data_card(study_in(tmp_path)).notes)


@pytest.mark.parametrize(
    ("split", "said", "unsaid"),
    [
        ({}, "for testing, stratified by class.", "label"),
        ({"stratify": False}, "for testing. ", "stratified"),
        ({"labels": {"fraction": 0.1}}, "Of the training labels 10 % of each class were known", "No label"),
        ({"labels": {"per_class": 5}}, "Of the training labels 5 of each class were known", "No label"),
        ({"labels": {"fraction": 0.0}}, "No label was read, of no part.", "stratified"),
    ],
)
def test_the_methods_paragraph_says_which_labels_were_read(split, said, unsaid, tmp_path):
    make_run(tmp_path / "a", ALONE, recipe={"split": {"by": "group", **split}}, done=False)
    study = study_in(tmp_path)
    text = " ".join(methods_paragraph(study, Statistics(study)))
    assert said in text
    assert unsaid not in text


@pytest.mark.parametrize("tile", [None, {"size": 8}])
def test_methods_and_card_say_how_many_masks_were_known(tmp_path, tile):
    recipe = {"task": "segmentation", "split": {"by": "group", "labels": {"fraction": 0.25}}, "data": {"tile": tile}}
    run = make_run(tmp_path / "a", ALONE, recipe=recipe, done=False)
    rows = pd.read_csv(run / "split.csv", dtype=str)
    rows = rows.assign(known=[part != "train" or number % 4 == 0 for number, part in enumerate(rows["split"])])
    if tile:
        rows = pd.concat([rows.assign(id=rows["id"] + f"@{y},0") for y in (0, 8)])
    rows.to_csv(run / "split.csv", index=False)
    study = study_in(tmp_path)
    said = "Of the 12 training images 3 had a mask; the others were used without one."
    assert said in " ".join(methods_paragraph(study, Statistics(study)))
    assert dict(data_card(study).facts)["masks known"] == "3 of 12 training images"


def test_where_images_without_a_mask_took_no_part_nothing_is_said_of_them(tmp_path):
    run = make_run(tmp_path / "a", ALONE, recipe={"task": "segmentation"}, done=False)
    pd.read_csv(run / "split.csv", dtype=str).assign(known=True).to_csv(run / "split.csv", index=False)
    study = study_in(tmp_path)
    assert "had a mask" not in " ".join(methods_paragraph(study, Statistics(study)))
    assert "masks known" not in dict(data_card(study).facts)


def test_the_methods_paragraph_says_what_was_done_and_by_whom(tmp_path):
    make(tmp_path, {"alone": 0.6, "ml": 0.7})
    make_run(tmp_path / "c", technique("kd_offline", losses=[{"loss": "at"}]))
    study = study_in(tmp_path)
    text = " ".join(methods_paragraph(study, Statistics(study)))
    for part in (
        "tissue were used at 32 × 32 pixels",
        "split by patient, so that none occurs in two parts",
        "horizontal flips, vertical flips, rotation by up to 15°",
        "The students were test_resnet (trained from scratch).",
        "trained with adam for 3 epochs, batch size 8, learning rate 0.001 with a constant schedule",
        "Minimised was 0.2 · task + 0.8 · kd(S2, temperature 2) (by S1); 0.2 · task + 0.8 · kd(S1, temperature 2) (by",
        "Minimised was task + 1000 · at(T at stages, exponent 2) (by S1 and S2).",
        "Holm's weighted method",
        "Seeds: 0, 1.",
        "arXiv:1706.00384",
        "Zagoruyko",
        "preceptor 0.1.0, Python 3.11.7, torch 2.10.0",
    ):
        assert part in text, part


def test_the_verdict_is_about_the_networks_that_were_chosen(tmp_path):
    """S1 in one run, S2 in the others; ensembles, which older versions let be chosen, are never meant."""
    better = {"S1": {"accuracy": 0.5}, "S2": {"accuracy": 0.6}, "ensemble": {"accuracy": 0.9}}
    for seed in range(2):
        make_run(tmp_path / f"ml-{seed}", technique("ml"), seed=seed, validation=better)
        make_run(tmp_path / f"alone-{seed}", ALONE, seed=seed)
    (study,) = find_studies([tmp_path])
    assert {run.chosen for cell in study.cells if cell.kind == "run" for run in cell.runs.values()} == {"S2"}
    assert {run.chosen for cell in study.cells if cell.kind == "baseline" for run in cell.runs.values()} == {"S1"}
    statistics = Statistics(study, resamples=200)
    assert "accuracy of the chosen student" in study_verdict(study, statistics).headline
    (ml,) = [cell for cell in study.cells if cell.kind == "run"]
    assert statistics.spread(ml, CHOSEN, "accuracy") == statistics.spread(ml, "S2", "accuracy")
    assert statistics.interval(ml, CHOSEN, "accuracy") == statistics.interval(ml, "S2", "accuracy")
    difference = statistics.against_baseline(ml, CHOSEN, "accuracy")
    assert difference is not None
    (alone,) = [cell for cell in study.cells if cell.kind == "baseline"]
    gaps = [ml.runs[s].score("S2", "accuracy") - alone.runs[s].score("S1", "accuracy") for s in range(2)]
    assert list(difference.seed_differences) == pytest.approx(gaps)


def test_where_every_run_chose_the_same_network_it_is_called_by_its_name(tmp_path):
    second = {"S1": {"accuracy": 0.5}, "S2": {"accuracy": 0.6}}
    for name, of in (("ml", technique("ml")), ("alone", ALONE)):
        make_run(tmp_path / name, of, validation=second, networks=["S1", "S2"])
    (study,) = find_studies([tmp_path])
    assert study.network == "S2"
    assert study.networks == ("S1", "S2")


@pytest.mark.parametrize(
    ("labels", "answers", "words"),
    [
        ([0, 1, 0, 1], [[0.2, 0.8], [0.4, 0.6], [0.1, 0.9], [0.3, 0.7]], "answers 'b' in every test image"),
        ([0, 1, 0, 1], [[0.2, 0.8], [0.6, 0.4], [0.1, 0.9], [0.3, 0.7]], ""),
        ([1, 1, 1, 1], [[0.2, 0.8], [0.4, 0.6], [0.1, 0.9], [0.3, 0.7]], ""),
        (None, [[[0, 0, 4, 60]], [[0, 0, 0, 64]]], "marks nothing in every test image"),
        (None, [[[0, 1, 4, 59]], [[0, 0, 0, 64]]], ""),
    ],
)
def test_a_student_that_says_the_same_of_everything_is_named(labels, answers, words):
    said = Predictions(
        np.arange(len(answers)), None if labels is None else np.array(labels), {CHOSEN: np.array(answers)}
    )
    run = SimpleNamespace(predictions=said, classes=("a", "b"))
    cell = SimpleNamespace(kind="run", title="kd_ml", runs={0: run})
    found = list(_same_answers(SimpleNamespace(cells=[cell])))
    assert (words in found[0] and "of kd_ml" in found[0]) if words else not found
