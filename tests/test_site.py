"""The site is built without warnings and asks no other machine for anything."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from preceptor.reference.rooms import rooms_svg

ROOT = Path(__file__).parents[1]


def test_the_picture_of_the_rooms_is_up_to_date() -> None:
    assert (ROOT / "docs" / "rooms.svg").read_text(encoding="utf-8") == rooms_svg(), "run `make docs`"


def test_every_room_is_in_the_picture() -> None:
    rooms = {path.parent.name for path in (ROOT / "src" / "preceptor").glob("*/__init__.py")}
    assert rooms == set(re.findall(r'font-weight="bold"[^>]*>([a-z_]+)<', rooms_svg()))


@pytest.mark.slow
def test_it_is_built_strictly_and_stands_alone(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "http_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"']?(https?:)?//", page.read_text())
        assert not loaded, f"{page}: loads from another machine"
