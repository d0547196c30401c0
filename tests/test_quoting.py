"""Nothing that a terminal acts on gets into a message."""

from preceptor.quoting import quoted, shown


def test_plain_names_stay():
    assert shown("Übung 3/ä_é.png") == "Übung 3/ä_é.png"
    assert quoted("a") == "'a'"


def test_what_a_terminal_acts_on_is_escaped():
    assert shown("\x1b[2J\x9b\n\r\x07") == r"\x1b[2J\x9b\n\r\x07"
    assert shown("\u202egnp.exe") == r"\u202egnp.exe"  # would be shown from right to left


def test_bytes_that_are_not_utf_8_are_readable():
    assert shown(b"h\xe4matom".decode("utf-8", "surrogateescape")) == r"h\xe4matom"


def test_long_names_are_cut():
    text = shown("x" * 5000, most=20)
    assert len(text) < 30
    assert "…" in text
