"""Losses of the user's own that are not there, do not load, or do not give a loss."""

from .make import Table, recipe, train

TABLE = Table()
case = TABLE.case

LOSS = '''
from preceptor.catalogue import Setting
from preceptor.knowledge.base import Loss
{top}

class Foo(Loss):
    """A loss for tests.

    Source: none.
    """

    key = "foo"
    settings = {{"classification": Setting(weight=1.0, student_tap="logits")}}

    def __init__(self) -> None:
        super().__init__()

    def forward(self, student, teacher, targets):
        {body}
'''


def with_loss(folder, name="own.py:Foo"):
    return train(folder, recipe(technique={"name": "kd_offline", "losses": [{"loss": str(folder / name)}]}))


def own(folder, body, top=""):
    (folder / "own.py").write_text(LOSS.format(body=body, top=top))
    return with_loss(folder)


@case(2, r"no\.py")
def loss_file_missing(folder):
    return with_loss(folder, "no.py:Foo")


@case(2, r"own\.py")
def loss_file_syntax(folder):
    (folder / "own.py").write_text("def f(:\n")
    return with_loss(folder)


@case(2, "Foo")
def loss_class_missing(folder):
    (folder / "own.py").write_text("x = 1\n")
    return with_loss(folder)


@case(2, r"own\.py(.|\n)*boom", slow=True)
def own_loss_raises(folder):
    return own(folder, "raise ZeroDivisionError('boom')")


@case(2, "foo", slow=True)
def own_loss_nan(folder):
    return own(folder, "return student.mean() * float('nan')")


@case(2, "foo|Foo", slow=True)
def own_loss_vector(folder):
    return own(folder, "return student.mean(dim=1)")


@case(2, "foo|Foo", slow=True)
def own_loss_none(folder):
    return own(folder, "return None")


@case(2, "foo|Foo", slow=True)
def own_loss_float(folder):
    return own(folder, "return 1.0")


@case(2, "nonexistent_module")
def own_loss_import_error(folder):
    return own(folder, "return student.mean()", "import nonexistent_module_xyz")


@case(0, r"own\.py(.|\n)*CODE RAN", slow=True)
def own_loss_ok_announced(folder):
    return own(folder, "return student.mean() * 0", "print('CODE RAN')")
