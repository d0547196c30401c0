"""A wrong call is answered in words, with the names that are near."""

import inspect
from contextlib import contextmanager

import pytest

from preceptor.calls import as_folder, plainly
from preceptor.errors import UserError


@plainly
def teach(source, target, *, weight: float = 1.0, tap=None, teacher_tap=None):
    """Teach."""
    if weight is None:
        raise TypeError("of its own")
    return source, target, weight


class Net:
    @plainly
    def __init__(self, width: int) -> None:
        self.width = width

    @plainly
    def build(self, *, student):
        return student

    @classmethod
    @plainly
    def load(cls, path):
        return path


WRONG = [
    (lambda: teach("T", "A", taps="x"), "teach: no argument 'taps'; did you mean tap or teacher_tap? it is teach("),
    (lambda: teach("T", "A", wieght=2), "no argument 'wieght'; did you mean weight? it is"),
    (lambda: teach("T", "A", foo=2), "no argument 'foo'; it is teach(source, target, *, weight=1.0, tap=None, teach"),
    (lambda: teach("T"), "teach: missing a required argument: 'target'; it is"),
    (lambda: teach("T", "A", 3), "teach: too many positional arguments; it is"),
    (lambda: teach("T", "A", source="B"), "multiple values for argument 'source'"),
    (lambda: Net(3).build(students=(1,)), "Net.build: no argument 'students'; did you mean student? it is Net.build("),
    (lambda: Net(widht=3), "Net: no argument 'widht'; did you mean width? it is Net(width)"),
    (lambda: Net.load(paht="x"), "Net.load: no argument 'paht'; did you mean path? it is Net.load(path)"),
    (lambda: as_folder("train", 3), "train: the path of a folder was wanted, got int"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), WRONG)
def test_a_wrong_call_names_what_is_near(call, words):
    with pytest.raises(UserError) as wrong:
        call()
    assert words in str(wrong.value)


def test_a_right_call_is_as_without_it():
    assert teach("T", target="A") == ("T", "A", 1.0)
    assert (teach.__doc__, next(iter(inspect.signature(teach).parameters))) == ("Teach.", "source")
    with pytest.raises(TypeError, match="of its own"):
        teach("T", "A", weight=None)
    with plainly(contextmanager(lambda names: iter([names])))(["a"]) as found:
        assert found == ["a"]
