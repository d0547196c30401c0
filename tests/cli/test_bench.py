import io

import pytest
from rich.console import Console

from preceptor.bench.advice import Change, Pace, Tried
from preceptor.bench.machine import Best
from preceptor.bench.report import BenchReport, StageReport
from preceptor.bench.steps import Timed
from preceptor.cli.bench import print_report

from ..command import preceptor

COMPUTED = Timed(0.5, {"waiting for data": 0.01, "T forward, frozen": 0.5, "backward": 0.2, "losses": 0.1}, 10**10)
READ = Timed(0.25, {"waiting for data": 0.02, "T forward, frozen": 0.01, "backward": 0.4, "losses": 0.2}, 5 * 10**9)


def shown(pace):
    stage = StageReport(name="main", batch_size=8, pace=pace, seconds=120.0)
    report = BenchReport(
        device="cpu",
        threads=2,
        precision="32-true",
        best=Best(product=8e10, convolution=4e10),
        stages=[stage],
        slowest="main",
        tried=[Tried(Change((("training.threads", 2),), "rounding", "why"), 1.25)],
        advice="one sentence",
    )
    text = io.StringIO()
    print_report(Console(file=text, width=200), report)
    return text.getvalue()


def row(text, name):
    return next(line for line in text.splitlines() if line.strip().startswith(name)).split(name)[1].split("  ")


def test_shares_and_rates_of_both_kinds_of_step():
    text = shown(Pace(computed=COMPUTED, read=READ, steps=10, epochs=20, views=8))
    numbers = {
        "images per second": ["16.0", "32.0"],
        "a step": ["500.0 ms", "250.0 ms"],
        "T forward, frozen": ["50.0 %", "1.0 %"],
        "everything else": ["19.0 %", "37.0 %"],
        "multiply-adds": ["20.0 G/s", "20.0 G/s"],
        "of the best": ["25.0 %", "25.0 %"],
    }
    for name, values in numbers.items():
        assert [cell.strip() for cell in row(text, name) if cell.strip()] == values
    assert text.index("losses") < text.index("backward")
    assert text.count("20 epochs of 10 steps in 2.0 min") == 1
    assert "at best 80.0 G/s (matrix product 80.0 G/s, 3x3 convolution 40.0 G/s)" in text
    assert "tried on stage main: training.threads=2: 1.25 times" in text
    assert text.strip().endswith("first thing to change: one sentence")


def test_without_a_frozen_network_there_is_one_column():
    text = shown(Pace(computed=COMPUTED, read=None, steps=10, epochs=20, views=20))
    assert "teacher" not in text
    assert [cell.strip() for cell in row(text, "images per second") if cell.strip()] == ["16.0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["no.yaml"], "no recipe 'no.yaml'"), (["recipes/phantom.yaml", "--set", "training.epoch=1"], "'epochs'")],
)
def test_mistakes_are_the_users(arguments, message):
    answer = preceptor("bench", *arguments)
    assert answer.code == 2
    assert message in answer.error
