"""The shipped result pages: their tables parse, agree with themselves and claim no more than today's rule would."""

import csv
import re
from collections.abc import Mapping, Sequence

import pytest

from .pages import ROOT
from .result_tables import Measured, PageTable, claimable, measured, p_values, tables_of, welch

RESULTS = sorted((ROOT / "docs" / "results").glob("*.md"))
Networks = Mapping[str, Mapping[str, Measured]]


def table(page: str, under: str, place: int = 0) -> PageTable:
    return [one for one in tables_of(ROOT / "docs" / page) if one.under.startswith(under)][place]


def by_column(found: PageTable, columns: Sequence[str]) -> Networks:
    """Methods down, networks across."""
    return {
        head: {row[0]: cell for row in found.rows if (cell := measured(row[found.column(head)]))} for head in columns
    }


def by_row(found: PageTable, row: int) -> Networks:
    """Methods across, one row."""
    cells = zip(found.heads[1:], found.rows[row][1:], strict=True)
    return {"S1": {head: cell for head, text in cells if (cell := measured(text))}}


def losses(under: str) -> Networks:
    """The comparison of losses: first students, and no teachers."""
    found = by_column(table("results/comparison.md", under), ["student"])["student"]
    return {"S1": {name: cell for name, cell in found.items() if "S2" not in name and "teacher" not in name}}


def cells(found: PageTable, metric: str) -> Networks:
    """Methods and networks down, strategies across; the students alone are the same under each."""
    networks: dict[str, dict[str, Measured]] = {}
    for row in (row for row in found.rows if row[0] != "teacher alone" and row[1] != "T"):
        for head, text in zip(found.heads[2:], row[2:], strict=True):
            strategy, _, score = head.partition(" · ")
            if score == metric and (cell := measured(text)):
                name = row[0] if row[0] == "student alone" else f"{row[0]} · {strategy}"
                networks.setdefault(row[1], {})[name] = cell
    return networks


def styles(page: str) -> PageTable:
    return table(page, "Learning styles")


FUSED = ["S1", "S2", "F", "ensemble_mean"]
STUDENTS = ["S1", "S2", "ensemble", "ensemble_mean"]
T03, T04 = "results/study-t03-small.md", "results/study-t04-small.md"
LOOKED_AT = {
    "baseline.md",
    "comparison.md",
    "few-labels.md",
    "first-results.md",
    "normalisation.md",
    "study-t03-small.md",
    "study-t04-small.md",
    "systems.md",
}
FAMILIES = (
    {
        "losses, CRCHistoPhenotypes": (losses("CRC"), "student alone", 3),
        "losses, MoNuSeg": (losses("MoNuSeg"), "student alone", 3),
        "every technique": (by_column(table("results/first-results.md", "CRC"), STUDENTS), "baseline", 2),
        "Multi-Part KD": (by_column(table("results/systems.md", "Multi-Part"), ["S1"]), "student alone", 3),
        "KTHF², CRCHistoPhenotypes": (by_column(table("results/systems.md", "KTHF"), FUSED), "independent", 3),
        "KTHF², HAM10000": (by_column(table("results/systems.md", "KTHF", 1), FUSED), "independent", 3),
        "Table 3": (cells(table(T03, "Learning styles"), "accuracy"), "student alone", 3),
        "Table 4, IoU": (cells(table(T04, "Learning styles"), "IoU"), "student alone", 3),
        "Table 4, F1": (cells(table(T04, "Learning styles"), "F1"), "student alone", 3),
        "which": (by_column(table("tutorials/which.md", "Ask"), ["chosen student, accuracy"]), "student alone", 3),
    }
    | {
        f"grafting, {shots}": (by_column(table("results/systems.md", "Few-shot"), [shots]), "fine-tuning", 3)
        for shots in ("K = 5", "K = 10", "K = 20")
    }
    | {
        f"few labels, {data}, {share}": (by_row(table("results/few-labels.md", data), row), "", 5)
        for data in ("CRCHistoPhenotypes", "HAM10000")
        for row, share in enumerate(("1 %", "10 %", "100 %"))
    }
    | {
        f"few labels, a ViT, {share}": (by_row(table("results/few-labels.md", "A small ViT"), row), "", 5)
        for row, share in enumerate(("1 %", "10 %"))
    }
    | {
        f"loops, {under}, {head}": (by_column(table("results/baseline.md", under), [head]), "", 6)
        for under, heads in (
            ("One thing", ("accuracy", "AUROC")),
            ("The two", ("HAM10000, accuracy", "Data Science Bowl 2018, IoU")),
        )
        for head in heads
    }
    | {
        f"normalisation, {head}": (by_column(table("results/normalisation.md", "By which"), [head]), "", 6)
        for head in table("results/normalisation.md", "By which").heads[1:]
    }
)
"""Tables with deviations over seeds: the scores, the students alone if they are one of the methods, how many seeds."""

_LOWER = ("random", "random, as long", "features, ImageNet's teacher")
OPEN = {
    "few labels, CRCHistoPhenotypes, 1 %": {("S1", "features, taught teacher", other) for other in _LOWER},
    "few labels, CRCHistoPhenotypes, 10 %": {("S1", "features, taught teacher", other) for other in _LOWER},
    "few labels, CRCHistoPhenotypes, 100 %": {("S1", "ImageNet", other) for other in _LOWER},
    "few labels, HAM10000, 1 %": {("S1", "ImageNet", other) for other in _LOWER[1:]},
    "few labels, HAM10000, 10 %": {("S1", "ImageNet", other) for other in _LOWER[:2]},
    "few labels, HAM10000, 100 %": {("S1", "ImageNet", other) for other in (*_LOWER, "features, taught teacher")},
    "grafting, K = 10": {
        ("K = 10", "grafting, one teacher", "fine-tuning"),
        ("K = 10", "KD, no labels", "fine-tuning"),
    },
    "grafting, K = 20": {("K = 20", "KD, no labels", "grafting, three teachers")},
}
"""What the seeds alone do not forbid, as the page says; of all other tables it says that no difference holds."""


@pytest.mark.parametrize("page", RESULTS, ids=lambda page: page.stem)
def test_every_table_has_whole_rows(page):
    for found in tables_of(page):
        assert {len(row) for row in found.rows} == {len(found.heads)}, f"{page}: line {found.line}"


def test_every_table_with_deviations_over_seeds_is_looked_at():
    pages = [
        page for page in RESULTS if any("±" in cell for one in tables_of(page) for row in one.rows for cell in row)
    ]
    assert {page.name for page in pages} == LOOKED_AT


@pytest.mark.parametrize("name", FAMILIES)
def test_a_page_claims_what_todays_rule_may_claim(name):
    networks, alone, seeds = FAMILIES[name]
    assert not alone or any(alone in methods for methods in networks.values())
    assert set(claimable(networks, alone, seeds)) == OPEN.get(name, set())


@pytest.mark.parametrize(
    ("name", "smallest", "said"),
    [
        ("Multi-Part KD", [(0.044, 0.27)], "over seeds 0.044, corrected 0.27"),
        ("grafting, K = 10", [(0.004, 0.031), (0.007, 0.05)], "over seeds 0.004 and 0.007, corrected 0.031 and 0.050"),
        ("grafting, K = 20", [(0.005, 0.06)], "over seeds 0.005, corrected 0.060"),
    ],
)
def test_p_values_of_a_page_follow_from_its_figures(name, smallest, said):
    assert said in " ".join((ROOT / "docs/results/systems.md").read_text(encoding="utf-8").split())
    found = sorted(p_values(*FAMILIES[name]).values())[: len(smallest)]
    assert [
        (round(raw, 3), round(right, len(f"{expected}") - 2))
        for (raw, right), (_, expected) in zip(found, smallest, strict=True)
    ] == smallest


@pytest.mark.parametrize("under", ["CRC", "MoNuSeg"])
def test_differences_and_p_values_of_the_losses_follow_from_their_scores(under):
    found, scores = table("results/comparison.md", under), losses(under)["S1"]
    for row in found.rows:
        gap, p_value = row[found.column("against the student alone")], row[found.column("p, seeds")]
        if gap:
            mine, alone = scores[row[0]], scores["student alone"]
            assert float(gap.split()[0]) == pytest.approx(mine.mean - alone.mean, abs=0.11)
            assert float(p_value) == pytest.approx(welch(mine, alone, 3, slack=0.0), abs=6e-4)


def test_the_p_values_of_normalisation_follow_from_its_scores():
    """Each set's best against the others, over seeds, of the rounded means and deviations."""
    found, compared = (table("results/normalisation.md", "By which", place) for place in (0, 1))
    for row in compared.rows:
        head = next(head for head in found.heads if head.startswith(row[0]))
        scores = by_column(found, [head])[head]
        first, second = scores[row[1]], scores[row[2]]
        assert first.mean == max(cell.mean for cell in scores.values())
        assert float(row[3].split()[0]) == pytest.approx(first.mean - second.mean, abs=0.011)
        assert float(row[compared.column("p, seeds")]) == pytest.approx(welch(first, second, 6, slack=0.0), abs=0.01)


def test_as_many_losses_are_above_the_student_alone_as_the_page_says():
    scores = losses("CRC")["S1"]
    ours = [cell.mean for name, cell in scores.items() if name.startswith("`")]
    above = sum(mean > scores["student alone"].mean for mean in ours)
    assert f"On CRC {above} of {len(ours)} losses have a higher mean" in (
        ROOT / "docs/results/comparison.md"
    ).read_text(encoding="utf-8")


@pytest.mark.parametrize(("page", "number"), [(T03, "3"), (T04, "4")])
def test_published_figures_are_those_of_the_file(page, number):
    with (ROOT / "studies" / "published" / "learning_styles.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["table"] == number]
    printed = {
        (
            row["technique"],
            row["network"],
            row["strategy"],
            row["metric"],
        ): f"{float(row['mean']):g} ± {float(row['std']):g}"
        for row in rows
    }
    shown, found = {}, table(page, "Learning styles")
    for row in found.rows:
        for head, cell in zip(found.heads[2:], row[2:], strict=True):
            if "published" in cell:
                strategy, _, score = head.partition(" · ")
                shown[row[0], row[1], strategy, score.lower()] = re.search(r"published (.*)\)", cell)[1]
    assert len(shown) > 30
    assert shown == {key: printed.get(key) for key in shown}


def test_f1_follows_from_iou():
    """Pooled F1 is 2 IoU / (1 + IoU) of every seed, and of their mean but for its curvature."""
    networks, others = (cells(table(T04, "Learning styles"), score) for score in ("IoU", "F1"))
    for network, methods in networks.items():
        for name, iou in methods.items():
            share = iou.mean / 100
            expected = 100 * (2 * share / (1 + share) - 4 / (1 + share) ** 3 * (iou.deviation / 100) ** 2 / 2 * 2 / 3)
            assert others[network][name].mean == pytest.approx(expected, abs=0.05), (network, name)


@pytest.mark.parametrize(("page", "score"), [(T03, "accuracy"), (T04, "IoU"), (T04, "F1")])
def test_the_same_network_has_the_same_scores(page, score):
    """By the equations, the first student of kd_online learns the same from its teacher under both strategies."""
    first = cells(table(page, "Learning styles"), score)["S1"]
    assert first["kd_online · features"] == first["kd_online · diverse"]
