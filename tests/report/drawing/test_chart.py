"""The small pictures: what is marked on an axis, and where points come to lie."""

import re
import xml.etree.ElementTree as ET

import pytest

from preceptor.report.drawing.chart import Axis, Chart, around, blend

SVG = "{http://www.w3.org/2000/svg}"


def texts(chart):
    return [one.text for one in ET.fromstring(chart.svg()).iter(f"{SVG}text")]


@pytest.mark.parametrize(
    ("axis", "marked"),
    [
        (Axis(0, 10), [0, 2, 4, 6, 8, 10]),
        (Axis(0.97, 1.03), [0.97, 0.98, 0.99, 1.0, 1.01, 1.02, 1.03]),
        (Axis(-0.3, 0.21), [-0.3, -0.2, -0.1, 0, 0.1, 0.2]),
        (Axis(0.9, 3.1, whole=True), [1, 2, 3]),
        (Axis(1000, 25000), [5000, 10000, 15000, 20000, 25000]),
        (Axis(0.4, 30, is_log=True), [0.5, 1, 2, 5, 10, 20]),
        (Axis(0.4, 30000, is_log=True), [1, 10, 100, 1000, 10000]),
        (Axis(1e-9, 1e9, is_log=True), [1e-9, 1e-5, 1e-1, 1e3, 1e7]),
    ],
)
def test_round_numbers_are_marked(axis, marked):
    assert [value for value, _ in axis.ticks()] == pytest.approx(marked)
    assert len(axis.ticks()) <= 7


def test_ticks_are_written_short():
    assert [text for _, text in Axis(0, 0.5).ticks()] == ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]
    assert [text for _, text in Axis(0, 4000).ticks()][-1] == "4,000"


def test_an_axis_leaves_room_even_around_one_value():
    found = around([2.0, 12.0], "length")
    assert (found.low, found.high, found.label) == (1.5, 12.5, "length")
    one = around([3.0])
    assert one.low < 3.0 < one.high
    zero = around([0.0, 0.0])
    assert zero.low < 0.0 < zero.high
    wide = around([1.0, 100.0], is_log=True)
    assert wide.share(10.0) == pytest.approx(0.5)


def test_points_lie_where_the_ticks_are():
    """A point at a tick of both axes has the coordinates of the two grid lines."""
    chart = Chart(Axis(0, 10), Axis(0, 100), grid="xy")
    chart.dot(4, 60, "#123456")
    drawn = ET.fromstring(chart.svg())
    (dot,) = [one for one in drawn.iter(f"{SVG}circle") if one.get("fill") == "#123456"]
    rules = [one for one in drawn.iter(f"{SVG}line") if one.get("stroke") == "#e5e5e5"]
    upright = [float(one.get("x1")) for one in rules if one.get("x1") == one.get("x2")]
    level = [float(one.get("y1")) for one in rules if one.get("y1") == one.get("y2")]
    assert float(dot.get("cx")) == pytest.approx(sorted(upright)[2], abs=0.02)  # 0, 2, 4
    assert float(dot.get("cy")) == pytest.approx(sorted(level)[2], abs=0.02)  # 100, 80, 60 from above


def test_what_is_written_cannot_break_the_picture():
    chart = Chart(Axis(0, 1, "a < b & c"), Axis(0, 1))
    chart.key('<script>"', "#000000")
    assert {"a < b & c", '<script>"'} <= set(texts(chart))


def test_the_legend_names_each_thing_once_and_breaks_its_lines():
    chart = Chart(Axis(0, 1), Axis(0, 1))
    for number in (1, 2, 3, 4, 5, 1):
        chart.key(f"a rather long name {number}", "#000000")
    assert sum(text.startswith("a rather") for text in texts(chart)) == 5
    places = re.findall(r'<g transform="translate\(([\d.]+) ([\d.]+)\)"', chart.svg())
    assert len({y for _, y in places}) == 3, "two names a line"
    height = float(re.search(r'viewBox="0 0 260 ([\d.]+)"', chart.svg())[1])
    assert max(float(y) for _, y in places) < height


def test_names_of_places_never_lie_over_one_another():
    chart = Chart(Axis(0, 100), Axis(0, 1), top=12)
    for place in range(10, 30):
        chart.place(place, f"stage-{place}")
    assert [text for text in texts(chart) if text.startswith("stage")] == ["stage-10", "stage-26"]


def test_one_point_is_a_dot():
    chart = Chart(Axis(0, 1), Axis(0, 1))
    chart.line([0.5], [0.5], "#abcdef")
    assert "<circle cx" in chart.svg()
    assert "polyline" not in chart.svg()


def test_names_that_have_no_room_stand_upright():
    def svg(*names):
        across = tuple((place + 0.5, name) for place, name in enumerate(names))
        return Chart(Axis(0, len(names), names=across), Axis(0, 1)).svg()

    assert "rotate" not in svg("no", "yes")
    assert svg("adenocarcinoma", "inflammatory", "epithelial", "fibroblast", "others").count("rotate") == 5


def test_colours_go_from_white_to_blue():
    assert blend(0.0) == "#ffffff"
    assert blend(1.0) == "#084594"
