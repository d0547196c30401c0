"""The tables: their layout, the published figures, and what is in bold."""

import csv
import io
import json
from pathlib import Path

import pytest

from preceptor.errors import UserError
from preceptor.measures import main_measure
from preceptor.report import tables
from preceptor.report.drawing.grid import Datum, Grid, as_csv, as_latex, as_markdown
from preceptor.report.reading.find import find_studies
from preceptor.report.reading.published import IMPOSSIBLE, figure_for, mark_of, read_published
from preceptor.report.reading.studies import CellRecord
from preceptor.report.results import results as results_of
from preceptor.report.statistics import Statistics
from preceptor.report.tables import gradients
from preceptor.report.teachers import teachers
from preceptor.report.verdict import study_verdict
from preceptor.runs.analysis import Gradients, Pull, write_gradients, write_index, write_latency

from .folders import ALONE, TEACHER, make_run, make_study, technique

ACCURACY = main_measure("classification")
STUDIES = Path(__file__).parents[2] / "studies"

PUBLISHED = """table,technique,strategy,network,kind,metric,mean,std
3,ml,predictions,S1,score,accuracy,94.25,0.042
3,ml,predictions,S1,fidelity,accuracy,88.5,
3,ml,predictions,S1,score,f1,91.00,0.1
3,ml,diverse,S1,score,accuracy,95.04,0.095
3,baseline,,S1,score,accuracy,90.10,0.2
4,ml,predictions,S1,score,accuracy,11.11,0.1
"""


def study_of(tmp_path, seeds=2, **more):
    def run(name, strategy, seed, skill):
        return (
            "run",
            {"technique": name, "strategy": strategy},
            seed,
            "done",
            None,
            {"chosen": technique(name, strategy), "skill": skill, "samples": 1500},
        )

    jobs = [("teacher", {}, 0, "done", None, {"chosen": TEACHER, "skill": 0.95, "samples": 1500})]
    for seed in range(seeds):
        jobs += [
            ("baseline", {}, seed, "done", None, {"chosen": ALONE, "skill": 0.6, "samples": 1500}),
            run("ml", "predictions", seed, 0.62),
            run("ml", "diverse", seed, 0.9),
            run("kd_ml", "predictions", seed, 0.3),
            ("run", {"technique": "kd_ml", "strategy": "diverse"}, seed, "failed", "out of memory", None),
        ]
    folder = make_study(tmp_path / "study", jobs, published={"file": "published.csv", "table": "3"}, **more)
    (folder / "published.csv").write_text(PUBLISHED)
    (study,) = find_studies([folder])
    return study


def results(study):
    return results_of(study, Statistics(study), read_published(study))


def rows(grid):
    """(labels, the other texts) of every row."""
    return {tuple(d.text for d in row[: grid.labels]): row[grid.labels :] for row in grid.rows}


def test_the_layout_is_the_studys(tmp_path):
    grid = results(study_of(tmp_path))
    assert grid.heads == (
        ("", "", "predictions", "diverse"),
        ("technique", "network", "accuracy", "accuracy"),
    )
    assert list(rows(grid)) == [
        ("teacher alone", "T"),
        ("student alone", "S1"),
        ("student alone", "ensemble"),
        ("ml", "S1"),
        ("ml", "ensemble"),
        ("kd_ml", "S1"),
        ("kd_ml", "ensemble"),
    ]
    alone = rows(grid)[("student alone", "S1")]
    assert alone[0].text == alone[1].text, "students alone stand in every column"


def test_several_metrics_and_no_columns(tmp_path):
    layout = {
        "rows": ["strategy", "technique"],
        "columns": [],
        "networks": ["S1"],
        "metrics": ["accuracy", "fidelity.agreement"],
    }
    grid = results(study_of(tmp_path, layout=layout))
    assert grid.heads == (("strategy", "technique", "network", "accuracy", "agreement with T"),)
    assert rows(grid)[("predictions", "kd_ml", "S1")][1].text == "80.00 ± 0.00"
    assert rows(grid)[("predictions", "ml", "S1")][1].text == "–"
    assert rows(grid)[("predictions", "ml", "S1")][1].beside == ("published 88.5",)


def test_bold_and_marks_stand_only_where_the_difference_holds(tmp_path):
    found = rows(results(study_of(tmp_path, seeds=4)))
    assert [d.is_best for d in found[("ml", "S1")]] == [False, True]
    assert found[("ml", "S1")][0].text[-1].isdigit()
    assert found[("ml", "S1")][1].text.endswith("▲")
    assert found[("kd_ml", "S1")][0].text.endswith("▼")
    assert not found[("teacher alone", "T")][0].is_best


def test_failed_cells_say_so(tmp_path):
    failed = rows(results(study_of(tmp_path)))[("kd_ml", "S1")][1]
    assert (failed.text, failed.is_warning) == ("–", True)
    assert failed.beside == ("0 of 2 seeds, 2 failed",)


def test_published_figures_stand_beside_ours(tmp_path):
    grid = results(study_of(tmp_path))
    found = rows(grid)
    assert found[("ml", "S1")][0].beside[-1] == "published 94.25 ± 0.042"
    assert found[("ml", "S1")][1].beside[-1] == "published 95.04 ± 0.095"
    assert found[("student alone", "S1")][0].beside[-1] == "published 90.1 ± 0.2"
    assert not any("published" in text for text in found[("kd_ml", "S1")][0].beside)
    table = list(csv.DictReader(io.StringIO(as_csv(grid))))
    assert table[3]["predictions · accuracy published"] == "94.25"
    assert table[3]["predictions · accuracy published ±"] == "0.042"


def test_a_figure_that_several_rows_fit_is_not_shown(tmp_path):
    study = study_of(tmp_path)
    cell = CellRecord("run", {"technique": "ml"}, ())
    assert figure_for(read_published(study), cell, "S1", ACCURACY) is None
    exact = CellRecord("run", {"technique": "ml", "strategy": "diverse"}, ())
    assert figure_for(read_published(study), exact, "S1", ACCURACY) == (95.04, 0.095, "")
    assert figure_for(read_published(study), exact, "S2", ACCURACY) is None


def test_missing_published_figures_are_named(tmp_path):
    study = study_of(tmp_path)
    (study.folder / "published.csv").write_text("table,value\n3,1\n")
    with pytest.raises(UserError, match="column 'metric' is missing"):
        read_published(study)
    (study.folder / "published.csv").unlink()
    with pytest.raises(UserError, match="published figures"):
        read_published(study)


def test_teachers_are_audited_seed_by_seed(tmp_path):
    for seed, teacher in enumerate((0.9, 0.7)):
        make_run(
            tmp_path / f"a{seed}",
            ALONE,
            seed=seed,
            validation={"S1": {"accuracy": 0.8, "ece": 0.1}, "S2": {"accuracy": 0.75}, "ensemble": {"accuracy": 0.99}},
        )
        make_run(
            tmp_path / f"b{seed}",
            technique("kd_offline"),
            seed=seed,
            validation={"T": {"accuracy": teacher, "ece": 0.2}, "S1": {"accuracy": 0.8}},
        )
    (study,) = find_studies([tmp_path])
    (row,) = teachers(study, Statistics(study)).rows
    assert [d.text for d in row[:3]] == ["kd_offline · predictions", "80.00 ± 14.14", "20.00 ± 0.00"]
    assert [d.text for d in row[3:]] == ["80.00 ± 0.00", "10.00 ± 0.00", "NOT better in 1 of 2 seeds"]
    assert row[-1].is_warning


def test_a_teacher_that_a_constant_answer_equals_is_marked(tmp_path):
    for seed, beaten in enumerate((True, False)):
        run = make_run(tmp_path / f"b{seed}", technique("kd_offline"), seed=seed)
        result = json.loads((run / "result.json").read_text())
        constant = {"class": "benign", "score": 0.4, "beaten": beaten}
        audit = {"metric": "accuracy", "teacher": 0.5, "constant_answer": constant, "verdict": "not audited"}
        result["teacher_audit"] = audit
        (run / "result.json").write_text(json.dumps(result))
    (study,) = find_studies([tmp_path])
    grid = teachers(study, Statistics(study))
    assert "constant answer accuracy" in grid.heads[-1]
    *_, constant, audit = grid.rows[0]
    assert constant.text == "40.00 ± 0.00"
    assert audit.text.endswith("not clearly better than a constant answer in 1 of 2 seeds")
    assert audit.is_warning
    assert any(
        "Teacher of kd_offline · predictions not clearly better than a constant answer in 1 of 2 seeds" in warning
        for warning in study_verdict(study, Statistics(study)).warnings
    )


def test_a_teacher_without_students_alone_is_not_audited(tmp_path):
    make_run(tmp_path / "b", technique("kd_offline"))
    (study,) = find_studies([tmp_path])
    assert teachers(study, Statistics(study)).rows[0][-1].text == "not audited: no finished student alone"


def test_every_run_is_listed_with_its_error(tmp_path):
    study = study_of(tmp_path)
    found = tables.runs(study).rows
    assert len(found) == len(study.jobs)
    assert [row[-1].beside for row in found if row[2].text == "failed"] == [("out of memory",)] * 2


GRID = Grid(
    "made",
    "50 % & more",
    (("", "a|b", "a|b"), ("what", "x_1", "y")),
    ((Datum("r|1"), Datum("1.0", is_best=True, beside=("2–3",)), Datum("<b>", numbers={"": 1.5, "±": None})),),
    1,
    "±",
)


def test_forms_escape_what_they_must():
    assert as_markdown(GRID) == (
        "**50 % & more**\n\n"
        "| what | a\\|b · x_1 | a\\|b · y |\n| --- | --- | --- |\n| r\\|1 | **1.0** (2–3) | &lt;b&gt; |\n\n±\n"
    )
    assert list(csv.reader(io.StringIO(as_csv(GRID, "a, note")))) == [
        ["what", "a|b · x_1", "a|b · y", "a|b · y ±", "note"],
        ["r|1", "1.0 (2–3)", "1.5", "", "a, note"],
    ]
    text = as_latex(GRID, "a note")
    assert r"\caption{50 \% \& more. a note}" in text
    assert r" & \multicolumn{2}{c}{a$|$b} \\" in text
    assert r"what & x\_1 & y \\" in text
    assert r"r$|$1 & \textbf{1.0} {\footnotesize (2--3)} & $<$b$>$ \\" in text


@pytest.mark.parametrize(
    ("name", "csv_cell", "markdown", "latex"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)", "=HYPERLINK(1)", "=HYPERLINK(1)"),
        ("+1 a", "'+1 a", "+1 a", "+1 a"),
        ("-1.5", "-1.5", "-1.5", "-1.5"),
        ("@SUM(A1)", "'@SUM(A1)", "@SUM(A1)", "@SUM(A1)"),
        ("\t=1", "' =1", " =1", " =1"),
        ("a\nb", "a b", "a b", "a b"),
        ("\x1b[31mred", r"\x1b[31mred", r"\\x1b\[31mred", r"\textbackslash{}x1b{[}31mred"),
        ("<img src=x>", "<img src=x>", "&lt;img src=x&gt;", "$<$img src=x$>$"),
        ("![x](http://h)", "![x](http://h)", r"!\[x\](http://h)", "!{[}x](http://h)"),
        ("[2cm] a", "[2cm] a", r"\[2cm\] a", "{[}2cm] a"),
        ("a\\|b", "a\\|b", r"a\\\|b", r"a\textbackslash{}$|$b"),
        ("/home/me/net", "…/net", "…/net", r"\dots{}/net"),
    ],
)
def test_names_do_nothing_but_stand_there(name, csv_cell, markdown, latex):
    grid = Grid("made", "made", ((name, "b"),), ((Datum(name), Datum("1")),), 1, "")
    assert next(csv.reader(io.StringIO(as_csv(grid))))[0] == csv_cell
    assert list(csv.reader(io.StringIO(as_csv(grid))))[1][0] == csv_cell
    assert f"| {markdown} | 1 |" in as_markdown(grid)
    assert f"| {markdown} | b |" in as_markdown(grid)
    assert as_latex(grid).count(f"{latex} & ") == 2


def test_what_the_networks_cost(tmp_path):
    found = tables.costs(study_of(tmp_path)).rows
    assert [[d.text for d in row] for row in found] == [
        ["teacher", "resnet10t", "5.00", "22.0", "19.1"],
        ["student", "test_resnet", "0.40", "4.0", "1.5"],
    ]


def test_networks_and_metrics_may_lie_anywhere(tmp_path):
    layout = {
        "rows": ["metric", "technique"],
        "columns": ["network", "strategy"],
        "networks": ["S1", "ensemble"],
        "metrics": ["accuracy", "f1"],
    }
    grid = results(study_of(tmp_path, layout=layout))
    assert grid.heads[0] == ("", "", "S1", "S1", "ensemble", "ensemble", "T")
    assert grid.heads[1] == ("metric", "technique", "predictions", "diverse", "predictions", "diverse", "")
    assert list(rows(grid))[-3:] == [("F1", "student alone"), ("F1", "ml"), ("F1", "kd_ml")]


@pytest.mark.parametrize(
    "table", ["t02_classification", "t03", "t04", "t10_classification", "t11", "t12", "t13_segmentation", "t15"]
)
def test_the_published_table_of_a_shipped_study_finds_its_places(tmp_path, table):
    """Every figure of the paper stands somewhere in the study's layout, though nothing has been run."""
    pytest.importorskip("preceptor.study.board")
    from preceptor.study.board import Board
    from preceptor.study.plan import plan_study
    from preceptor.study.spec import load_study

    given = load_study(STUDIES / f"learning_styles_{table}.yaml")
    Board(given, plan_study(given).jobs, tmp_path / "out").begin()
    (study,) = find_studies([tmp_path / "out"])
    grid = results(study)
    shown = sorted(d.numbers["published"] for row in grid.rows for d in row if "published" in d.numbers)
    wanted = sorted(float(row["mean"]) for row in read_published(study))
    missing = [value for value in dict.fromkeys(wanted) if value not in shown]
    assert missing == []
    marked = {text for row in grid.rows for d in row for text in d.beside if text.endswith(("†", "‡"))}
    assert marked >= IMPROBABLE.get(table, set())
    assert (IMPOSSIBLE in grid.caption) == any(text.endswith("‡") for text in marked)


IMPROBABLE = {"t12": {"published 80.57 ± 1.697 ‡"}, "t13_segmentation": {"published 89.88 ± 0.118 †"}}
"""Printed F1 that is no F1 of the printed IoU, or not of pooled counts."""


@pytest.mark.parametrize(
    ("iou", "f1", "mark"),
    [
        (81.97, 80.57, "‡"),
        (85.30, 89.88, "†"),
        (76.86, 86.92, ""),
        (76.25, 87.89, "‡"),
        (50.0, 66.68, ""),
        (80, 80, "†"),
    ],
)
def test_an_f1_lies_between_the_iou_and_what_pooled_counts_make_of_it(iou, f1, mark):
    assert mark_of(iou, f1) == mark


def test_gradient_shares_over_seeds_and_what_is_left_out(tmp_path):
    for seed, share in ((0, 0.2), (1, 0.4)):
        analysis = make_run(tmp_path / f"{seed}", technique("kd_offline"), seed=seed) / "analysis"
        analysis.mkdir()
        terms = {
            "S1/task": {"norm": 2.0, "share": 1 - share, "cosine": 1.0},
            "T->S1/kd": {"norm": 1.0, "share": share, "cosine": -0.5},
        }
        left_out = {"T": "frozen in the last stage, so it gets no gradient"}
        found = {"stage": "main", "networks": {"S1": terms}, "left_out": left_out}
        (analysis / "gradients.json").write_text(json.dumps(found))
    make_run(tmp_path / "alone", ALONE)
    (study,) = find_studies([tmp_path])
    grid = gradients(study)
    assert [row[2].text for row in grid.rows] == ["S1/task", "T→S1/kd"]
    share = grid.rows[1][3]
    assert share.text == "30.0 ± 14.1"
    assert share.numbers["seeds"] == 2
    assert grid.rows[1][5].text == "-0.50 ± 0.00"
    assert "T of kd_offline · predictions: frozen in the last stage" in grid.caption
    assert gradients(find_studies([tmp_path / "alone"])[0]) is None


@pytest.mark.parametrize("name", ["index.json", "latency.json", "gradients.json"])
@pytest.mark.parametrize("text", ['{"stage": ', "[1]", '{"T": 3}', '{"sha256": "0"}'])
def test_damaged_numbers_of_an_analysis_stop_no_report(tmp_path, name, text):
    """The report says which file it goes on without; what lies beside it is shown."""
    run = make_run(tmp_path / "run", technique("kd_offline"))
    pull = {"norm": 1.0, "share": 1.0, "cosine": None}
    write_gradients(run, Gradients("main", {"S1": {"S1/task": Pull(**pull)}}))
    write_latency(run, {"S1": {"median_ms": 2.0}})
    (run / "analysis" / "x.txt").write_text("some words")
    write_index(run, [{"title": "t", "file": "x.txt", "caption": "c"}])
    (run / "analysis" / name).write_text(text)
    told = []
    (study,) = find_studies([run], told.append)
    (damaged,) = [line for line in told if name in line]
    assert "is left out" in damaged
    assert (gradients(study) is None) == (name == "gradients.json")
    found = study.jobs[0].run.analysis
    assert bool(found.latency) == (name != "latency.json")
    assert bool(found.figures) == (name != "index.json")
    warnings = study_verdict(study, Statistics(study)).warnings
    assert any(f"without {name}, which is damaged" in words for words in warnings)
