import pytest

from preceptor.errors import UserError
from preceptor.study.space import Over, parse_over


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("training.lr=0.1,0.2", Over("training.lr", choices=("0.1", "0.2"))),
        ("technique.strategy=features,diverse", Over("technique.strategy", choices=("features", "diverse"))),
        ("technique.alpha=[0.1, 0.2],0.4", Over("technique.alpha", choices=("[0.1, 0.2]", "0.4"))),
        ("training.ema=null,0.9", Over("training.ema", choices=("null", "0.9"))),
        ("training.lr=1e-4..1e-2:log", Over("training.lr", low=1e-4, high=1e-2, log=True)),
        ("training.epochs=1..9", Over("training.epochs", low=1, high=9, whole=True)),
        ("technique.beta=0.0..1", Over("technique.beta", low=0, high=1)),
    ],
)
def test_lists_and_ranges(text, expected):
    assert parse_over(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training.lr", "write it as key=a,b,c or key=low..high"),
        ("training.lr=", "write it as"),
        ("training.lr=a..b", "no range of numbers"),
        ("training.lr=2..1", "wants low below high"),
        ("training.lr=0..1:log", "low above 0 for log"),
        ("training.lr=1..2:lin", "'lin' is no scale"),
        ("training.lr=1,1", "names a value twice"),
        ("training.lr=[1,2", "no list of YAML values"),
        ("training.lr=1]: [2", "no list of YAML values"),
        ("training.lr={a: 1, a: 2}", "the key 'a' stands twice"),
        ("training.lr=0.1..inf", "no finite number"),
        ("training.lr=nan..1", "no finite number"),
    ],
)
def test_mistakes_are_named(text, message):
    with pytest.raises(UserError, match=message):
        parse_over(text)
