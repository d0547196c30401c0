import numpy as np
import pytest

from preceptor.analysis.masks import FALSE, FOUND, MISSED, _marked, hardest, mask_gallery


def image(name, right, truth):
    """Probabilities of foreground that are right in ``right`` of the 4 x 4 pixels, row by row."""
    mask = truth.copy().reshape(-1)
    mask[right:] = 1 - mask[right:]
    foreground = mask.reshape(4, 4) * 0.8 + 0.1
    return name, {"S1": np.stack([1 - foreground, foreground])[None]}, truth[None].astype(np.int64)


def test_the_worst_come_first_and_no_more_are_held():
    truth = np.ones((4, 4), dtype=np.int64)
    found = hardest([image("good", 16, truth), image("bad", 4, truth), image("middling", 8, truth)], most=2)
    assert [(one.name, one.iou) for one in found] == [("bad", 0.25), ("middling", 0.5)]


def test_an_empty_image_rightly_left_empty_is_not_hard():
    (one,) = hardest([image("empty", 16, np.zeros((4, 4), dtype=np.int64))], most=1)
    assert one.iou == 1.0


def test_regions_are_marked():
    truth, mask = np.array([[1, 1], [0, 0]]), np.array([[1, 0], [1, 0]])
    marked = _marked(np.zeros((2, 2, 3)), mask, truth)
    for place, colour in (((0, 0), FOUND), ((0, 1), MISSED), ((1, 0), FALSE)):
        assert marked[place] == pytest.approx(0.55 * np.array(colour))
    assert not marked[1, 1].any()


def test_the_gallery_has_a_panel_for_mask_and_heat_map():
    found = hardest([image("one", 8, np.eye(4, dtype=np.int64))], most=1)
    figure = mask_gallery(found, {"one": np.zeros((4, 4, 3))}, ("background", "foreground"))
    assert len(figure.axes) == 3
