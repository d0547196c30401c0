"""The catalogue is what the classes are, and says in the user's words what is wrong."""

import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest
import torch

from preceptor.errors import UserError
from preceptor.knowledge import catalogue
from preceptor.knowledge.base import Loss, Probe

OWN_LOSS_PAGE = Path(__file__).parents[2] / "docs" / "own-loss.md"
every_entry = pytest.mark.parametrize("entry", catalogue.losses().values(), ids=list(catalogue.losses()))


@every_entry
def test_an_entry_is_what_its_class_is(entry: catalogue.Entry) -> None:
    loss = catalogue.load(entry)
    hints = typing.get_type_hints(loss.__init__)
    arguments = list(inspect.signature(loss.__init__).parameters.values())[1:]
    assert issubclass(loss, Loss)
    assert loss.key == entry.key
    assert loss.settings == entry.settings
    assert loss.keeps_batch == entry.keeps_batch
    assert [option.name for option in entry.options] == [argument.name for argument in arguments]
    for option, argument in zip(entry.options, arguments, strict=True):
        assert option.type == hints[argument.name]
        assert not option.is_required
        assert (option.default, type(option.default)) == (argument.default, type(argument.default))


@every_entry
def test_an_entry_has_a_summary_and_a_source(entry: catalogue.Entry) -> None:
    assert entry.summary.endswith(".")
    assert entry.source
    assert entry.settings


def test_every_loss_class_is_in_the_catalogue() -> None:
    for entry in catalogue.losses().values():
        catalogue.load(entry)
    listed = {entry.class_name for entry in catalogue.losses().values()}
    inside = {loss for loss in Loss.__subclasses__() if loss.__module__.startswith("preceptor.")}
    assert {loss.__name__ for loss in inside} == listed


def test_rows_show_published_settings_and_defaults() -> None:
    rows = {row["loss"]: row for row in catalogue.loss_rows()}
    assert rows["kd"]["tasks"].startswith("classification (weight 0.9 at logits, task 0.1)")
    assert rows["kd"]["options"] == "temperature = 4.0, direction = forward (or reverse)"
    assert rows["mgd"]["options"] == "mask = auto (or channel, pixel), ratio"
    assert rows["dkd"]["tasks"] == "classification (weight 1 at logits, warm-up 20)"


def test_reading_the_catalogue_needs_no_torch() -> None:
    script = "import sys; from preceptor.knowledge import catalogue as c; c.loss_rows()\n"
    script += "c.check_options(c.entry_for('kd'), {'temperature': 2}); print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_options_get_the_types_of_the_signature() -> None:
    checked = catalogue.check_options(catalogue.entry_for("kd"), {"temperature": 2})
    assert checked == {"temperature": 2.0}
    assert isinstance(checked["temperature"], float)


@pytest.mark.parametrize(
    ("key", "options", "message"),
    [
        ("kd", {"temprature": 2.0}, r"loss kd: no option 'temprature'; did you mean 'temperature'\?"),
        ("kd", {"temperature": "hot"}, r"loss kd: option temperature wants float, got 'hot'"),
        ("kd", {"direction": "up"}, r"loss kd: option direction wants Literal\['forward', 'reverse'\], got 'up'"),
        ("sp", {"margin": 1}, r"loss sp: no option 'margin'; it has none"),
    ],
)
def test_wrong_options_are_refused(key: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        catalogue.check_options(catalogue.entry_for(key), options)


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no knowledge loss 'semkd'; did you mean 'semckd'\?"):
        catalogue.entry_for("semkd")


OWN = """
from preceptor.catalogue import Setting
from preceptor.knowledge.base import Loss

class Own(Loss):
    key = "own"
    settings = {"classification": Setting(weight=1.0, student_tap="logits")}

    def __init__(self, strength: float = 1.0) -> None:
        super().__init__()
"""


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (None, "own.py:Own", r"no file '.*own.py'"),
        (OWN, "own.py:Onw", r"own.py has no class 'Onw'; did you mean 'Own'\?"),
        (OWN.replace('key = "own"', ""), "own.py:Own", r"a class attribute like key = \"own\""),
        (OWN.replace("weight=1.0", "weight=heavy"), "own.py:Own", r"own.py:Own: a loss has .* plain values"),
        (OWN.replace("settings", "setings"), "own.py:Own", r"own.py:Own: a loss has a class attribute"),
        (OWN.replace(": float = 1.0", "=1.0"), "own.py:Own", r"own.py:Own: option 'strength' has no type"),
        (OWN.replace("float", "Tensor"), "own.py:Own", r"option 'strength' has the type Tensor; a recipe can hold"),
        (OWN.replace("= 1.0", "= one()"), "own.py:Own", r"option 'strength' has the default one\(\)"),
        (OWN.replace("strength: float = 1.0", "**more: float"), "own.py:Own", r"name every option"),
        (OWN.replace("class Own", "clas Own"), "own.py:Own", r"is not valid Python \(line 5\)"),
    ],
)
def test_a_file_that_describes_no_loss_is_refused(tmp_path: Path, text: str | None, name: str, message: str) -> None:
    if text is not None:
        (tmp_path / "own.py").write_text(text)
    with pytest.raises(UserError, match=message):
        catalogue.entry_for(name, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nowhere\n" + OWN, r"running its file fails: own.py, line 1, in <module>: ModuleNotFoundError"),
        (OWN.replace("(Loss)", "").replace("super().__init__()", "pass"), r"no subclass of preceptor.knowledge.base"),
    ],
)
def test_a_file_that_fails_is_refused_when_it_is_loaded(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "own.py").write_text(text)
    entry = catalogue.entry_for("own.py:Own", tmp_path)
    with pytest.raises(UserError, match=message):
        catalogue.load(entry)


def test_reading_a_file_does_not_run_it(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("raise SystemExit\n" + OWN)
    entry = catalogue.entry_for("own.py:Own", tmp_path)
    assert entry.settings["classification"].weight == 1.0
    assert catalogue.check_options(entry, {"strength": 3}) == {"strength": 3.0}


def test_the_example_of_the_documentation_runs(tmp_path: Path) -> None:
    """The first code block of docs/own-loss.md, saved and used as the page says."""
    block = re.search(r"```python\n(.*?)```", OWN_LOSS_PAGE.read_text(), flags=re.DOTALL)
    assert block is not None
    (tmp_path / "ranking.py").write_text(block[1])
    entry = catalogue.entry_for("ranking.py:RankingLoss", tmp_path)
    options = catalogue.check_options(entry, {"margin": 0.2, "scale": "standard"})
    loss = catalogue.load(entry)(**options)
    teacher = torch.tensor([[2.0, 1.0, 0.0]])

    def probe(classes: int) -> Probe:
        student = torch.zeros(2, classes)
        return Probe(
            edge="T->S1",
            task="classification",
            classes=3,
            batch_size=8,
            student=student,
            teacher=torch.zeros(2, 3),
        )

    loss.build(probe(3))
    targets = torch.zeros(1, dtype=torch.int64)
    assert loss(teacher, teacher, targets).item() == 0.0
    assert loss(-teacher, teacher, targets).item() > 0.2
    with pytest.raises(UserError, match="ranking on T->S1: the student scores 4 classes, the teacher 3"):
        loss.build(probe(4))
    with pytest.raises(UserError, match="did you mean 'margin'"):
        catalogue.check_options(entry, {"margn": 1.0})
