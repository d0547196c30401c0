"""What may be shown of texts that others wrote."""

import pytest

from preceptor.places import place_free, without_places
from preceptor.quoting import one_line, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("éclair ± 3 → x", "éclair ± 3 → x"),
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("a\rb", r"a\rb"),
        ("gnp.exe\u202egpj", r"gnp.exe\u202egpj"),
        ("h\udce4matom", r"h\xe4matom"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_nothing_in_a_name_moves_the_cursor(text, shown):
    assert plain(text) == shown
    shown.encode()


def test_a_cell_is_one_line():
    assert one_line("a\r\nb\tc\x1b") == r"a b c\x1b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at /home/me/runs/a, then", "at …/a, then"),
        ("'/a/b' and (/tmp/x.py:Foo)", "'…/b' and (…/x.py:Foo)"),
        ("~/nets/w.pt", "…/w.pt"),
        ("path: /data", "path: …/data"),
        ("local-dir:/nets/big", "local-dir:…/big"),
        ("runs/a/b, 3 img/s, and/or, https://doi.org/10.1/x, a / b, </b>", None),
    ],
)
def test_paths_keep_their_last_part(text, shown):
    assert without_places(text) == (shown or text)


def test_a_recipe_keeps_what_is_no_absolute_path():
    raw = {"data": {"path": "/my data/a b", "n": 3}, "losses": [{"loss": "/o/l.py:Foo"}], "teacher": "runs/a/b"}
    assert place_free(raw) == {
        "data": {"path": "…/a b", "n": 3},
        "losses": [{"loss": "…/l.py:Foo"}],
        "teacher": "runs/a/b",
    }
