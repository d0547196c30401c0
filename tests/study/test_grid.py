import pytest

from preceptor.errors import UserError
from preceptor.study.grid import cells

from .studies import study


def labels(found):
    return [tuple(cell.labels.values()) for cell in found]


def test_every_combination_in_the_order_of_the_axes():
    found = cells(study())
    assert labels(found) == [
        ("ml", "predictions"),
        ("ml", "features"),
        ("kd_offline", "predictions"),
        ("kd_offline", "features"),
    ]
    assert found[1].changes == (("technique.name", "ml"), ("technique.strategy", "features"))


def test_cells_are_left_out_by_some_of_their_options_and_added_by_all():
    include = [{"cell": {"technique": "long", "strategy": "features"}, "set": ["training.epochs=9"]}]
    found = cells(study(exclude=[{"technique": "ml"}], include=include))
    assert labels(found) == [("kd_offline", "predictions"), ("kd_offline", "features"), ("long", "features")]
    assert found[-1].changes == (("technique.strategy", "features"), ("training.epochs", 9))


def test_a_cell_twice_and_no_cell_at_all_are_refused():
    with pytest.raises(UserError, match="technique ml, strategy features is there already"):
        cells(study(include=[{"cell": {"technique": "ml", "strategy": "features"}}]))
    with pytest.raises(UserError, match="every cell is excluded"):
        cells(study(exclude=[{}]))


def test_without_axes_there_is_one_cell():
    assert labels(cells(study(axes={}))) == [()]
