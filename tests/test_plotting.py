"""How figures look: texts stay texts, names are no formulas, marks are round numbers, keys have room."""

import re

import pytest

from preceptor.plotting import as_svg, draw_key, panel, round_numbers, styled


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


@styled()
def drawn(name="one", *, label="", low=0.0, high=10.0, log=False, whole=False, keys=()):
    axes = panel(260, 180)
    (line,) = axes.plot([low, high], [0, 1], marker="o")
    axes.set_xlabel(label)
    axes.set_yticks([])
    axes.set_xscale("log" if log else "linear")
    axes.set_xlim(low, high)
    round_numbers(axes.xaxis, whole=whole)
    draw_key(axes, dict.fromkeys(keys, line))
    return as_svg(axes, name)


@pytest.mark.parametrize(
    ("options", "marked"),
    [
        ({}, ["0", "2", "4", "6", "8", "10"]),
        ({"high": 4000.0}, ["0", "1,000", "2,000", "3,000", "4,000"]),
        ({"low": 0.9, "high": 3.1, "whole": True}, ["1", "2", "3"]),
        ({"low": 0.4, "high": 30.0, "log": True}, ["0.5", "1", "2", "5", "10", "20"]),
    ],
)
def test_round_numbers_are_marked(options, marked):
    assert texts(drawn(**options)) == marked


def test_a_name_is_neither_formula_nor_markup():
    assert "a &lt; b &amp; $c$" in texts(drawn(label="a < b & $c$"))


def test_a_key_makes_the_figure_higher_instead_of_its_panel_smaller():
    def height(svg):
        return float(re.search(r'viewBox="0 0 260 ([\d.]+)"', svg)[1])

    assert height(drawn()) == 180
    assert height(drawn(keys=("a", "b"))) < height(drawn(keys=[f"a rather long name {n}" for n in range(5)]))


def test_figures_of_one_page_share_no_part():
    first, second = (set(re.findall(r"url\(#(\w+)\)", drawn(name))) for name in ("one", "two"))
    assert first
    assert not first & second
