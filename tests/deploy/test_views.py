import numpy as np
import pytest

from preceptor.deploy.contract import Contract
from preceptor.deploy.views import Views, turns


class Silent:
    """An engine that says logits, and how far its first pixel is from black."""

    def __init__(self, logits):
        self.logits = logits

    def with_distance(self, batch):
        return self.logits(batch), batch[:, 0, 0, 0].astype(np.float32)


@pytest.mark.parametrize(("shape", "count"), [((5, 5), 8), ((4, 6), 4)])
def test_views_are_different_and_undone(shape, count):
    image = np.arange(np.prod(shape)).reshape(1, *shape)
    views = turns(square=shape[0] == shape[1])
    seen = {view(image, 1, 2).tobytes() for view, _ in views}
    assert len(seen) == len(views) == count
    for view, undo in views:
        np.testing.assert_array_equal(undo(view(image, 1, 2), 1, 2), image)


def test_a_network_that_follows_the_image_says_the_same_of_all_views():
    """Its logits are the first channel, wherever that lies."""
    contract = Contract(task="segmentation", classes=("a", "b"), image_size=(6, 6))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3), dtype=np.uint8)

    def first_channel(batch):
        return batch[..., 0].astype(np.float32)[:, None]

    np.testing.assert_allclose(Views(Silent(first_channel), contract)(pixels), first_channel(pixels))


def test_probabilities_are_averaged_by_hand():
    """One view says (3/4, 1/4), the seven others (1/2, 1/2): the mean is (17/32, 15/32)."""
    contract = Contract(task="classification", classes=("a", "b"), image_size=(2, 2))
    pixels = np.zeros((1, 2, 2, 3), dtype=np.uint8)
    pixels[0, 0, 0] = 1
    asked = []

    def engine(batch):
        asked.append(batch)
        return np.array([[np.log(3.0), 0.0]] if len(asked) == 1 else [[0.0, 0.0]], dtype=np.float32)

    (logits,) = Views(Silent(engine), contract)(pixels)
    np.testing.assert_allclose(np.exp(logits), [17 / 32, 15 / 32], rtol=1e-6)


def test_the_distance_is_that_of_the_image_itself():
    contract = Contract(task="classification", classes=("a", "b"), image_size=(2, 2))
    pixels = np.array([[[7, 1], [2, 3]]], dtype=np.uint8)[..., None]
    engine = Silent(lambda batch: np.zeros((len(batch), 2), dtype=np.float32))
    assert Views(engine, contract).with_distance(pixels)[1].tolist() == [7]
