"""The page in a real browser: it opens offline without errors, its tables sort, its images load.

Needs a chromium or Chrome on the machine; nothing is downloaded.
"""

import json
import os
import re
import shutil
import subprocess

import pytest
from PIL import Image

from preceptor.report import write_report

from .folders import ALONE, TEACHER, make_run, technique

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

PROBE = """
<script>
"use strict";
const errors = [];
addEventListener("error", (event) => errors.push(String(event.message || event.target.outerHTML)), true);
addEventListener("load", () => {
  const table = [...document.querySelectorAll("#made-scores table")][0];
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const place = heads.findIndex((head) => head.textContent.trim().startsWith("accuracy"));
  const column = () => [...table.tBodies[0].rows].map((row) => row.cells[place].dataset.value ?? "");
  const before = column();
  heads[place].querySelector("button").click();
  const rising = column();
  heads[place].querySelector("button").click();
  const falling = column();
  const words = [...table.tBodies[0].rows].map((row) => row.cells[0].textContent.trim());
  heads[0].querySelector("button").click();
  const names = [...table.tBodies[0].rows].map((row) => row.cells[0].textContent.trim());
  const images = [...document.images].map((image) => image.complete && image.naturalWidth > 0);
  const figure = document.querySelector(".figures figure:not(.wide)");
  const small = figure.getBoundingClientRect().width;
  figure.querySelector("img").click();
  const large = figure.getBoundingClientRect().width;
  figure.querySelector("img").click();
  const picture = document.querySelector("figure.wide img");
  picture.closest("details").open = true;
  const gallery = picture.getBoundingClientRect().width;
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const cut = [...document.querySelectorAll(".scroll")].filter((one) => one.scrollWidth > one.clientWidth);
  const sizes = { wide, small, large, gallery, cut: cut.map((one) => one.ariaLabel) };
  const answer = { errors, before, rising, falling, words, names, images, ...sizes, sorted: heads[0].ariaSort };
  const told = document.createElement("pre");
  told.id = "probe";
  told.textContent = JSON.stringify(answer);
  document.body.append(told);
  if (parent !== window) parent.postMessage(told.textContent, "*");
});
</script>
"""


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser here: one of {', '.join(BROWSERS)} is wanted, such as Debian's chromium")
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    make_run(folder / "runs" / "teacher", TEACHER, skill=0.9)
    for seed in range(2):
        make_run(folder / "runs" / f"alone-{seed}", ALONE, seed=seed)
        make_run(folder / "runs" / f"offline-{seed}", technique("kd_offline"), seed=seed, skill=0.8)
    analysis = folder / "runs" / "alone-0" / "analysis"
    analysis.mkdir()
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
    (analysis / "map.svg").write_text(drawing)
    Image.new("RGB", (1600, 400), "grey").save(analysis / "gallery.png")
    listed = [{"title": file, "file": file, "caption": "Its words."} for file in ("map.svg", "gallery.png")]
    (analysis / "index.json").write_text(json.dumps(listed))
    written = write_report([folder / "runs"], folder)
    probed = written.with_name("probed.html")
    head = '<meta charset="utf-8">'
    probed.write_text(written.read_text(encoding="utf-8").replace(head, head + PROBE), encoding="utf-8")
    return probed


def dumped(browser, page, width, tmp_path):
    """The answer of the probe in ``page``, and what went to the console, in a browser cut off from every network."""
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--proxy-server=127.0.0.1:1",
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--window-size={width},900",
        "--virtual-time-budget=10000",
        "--dump-dom",
        page.as_uri(),
    ]
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=environment)
    found = re.search(r'<pre id="probe">(.+?)</pre>', done.stdout, flags=re.DOTALL)
    assert found, done.stdout[-1000:] + done.stderr
    return json.loads(found[1]), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.timeout(180)
def test_the_page_opens_offline_sorts_and_shows_its_images(browser, page, tmp_path):
    found, console = dumped(browser, page, 1280, tmp_path)
    assert console == []
    assert found["errors"] == []
    assert found["wide"] == 0
    assert found["cut"] == [], "every table is seen whole on a laptop"
    assert len(found["images"]) > 8
    assert all(found["images"])
    filled = sorted(float(value) for value in found["before"] if value)
    assert [float(value) for value in found["rising"] if value] == filled
    assert [float(value) for value in found["falling"] if value] == filled[::-1]
    assert found["before"] != found["rising"]
    assert found["names"] == sorted(found["words"])
    assert found["sorted"] == "ascending"
    assert found["large"] > 2 * found["small"] > 0, "a click gives a figure the whole line"
    assert found["gallery"] > 900


@pytest.mark.timeout(180)
def test_nothing_is_wider_than_a_phone(browser, page, tmp_path):
    """In a frame: a browser without a screen has no window narrower than 500 points."""
    frame = page.with_name("frame.html")
    frame.write_text(
        f"""<!DOCTYPE html><html><head><meta charset="utf-8"></head><body>
        <iframe src="{page.name}" style="border: 0; width: 390px; height: 900px"></iframe><pre id="probe"></pre>
        <script>addEventListener("message", (m) => document.getElementById("probe").textContent = m.data)</script>
        </body></html>"""
    )
    assert dumped(browser, frame, 1280, tmp_path)[0]["wide"] == 0
