"""Grids made small, and what comes back."""

import pytest
import torch

from preceptor.errors import UserError
from preceptor.teacher_cache.compress import Axes, Compression

GRIDS = torch.randn(6, 5, 4, 4, generator=torch.Generator().manual_seed(0))


def tokens_of(grids):
    return grids.flatten(2).mT.flatten(0, 1)


def test_axes_are_those_of_all_tokens_together_and_never_turned_round(tmp_path):
    axes = Axes.fitted([GRIDS[:4], GRIDS[4:]], 2)
    tokens = tokens_of(GRIDS).double()
    torch.testing.assert_close(axes.mean, tokens.mean(dim=0).float())
    values, vectors = torch.linalg.eigh((tokens - tokens.mean(dim=0)).mT @ (tokens - tokens.mean(dim=0)) / len(tokens))
    torch.testing.assert_close((axes.components @ vectors.float()[:, [-1, -2]]).abs(), torch.eye(2), atol=1e-5, rtol=0)
    assert axes.explained == pytest.approx(float(values[-2:].sum() / values.sum()))
    assert bool((axes.components.gather(1, axes.components.abs().argmax(dim=1, keepdim=True)) > 0).all())
    axes.save(tmp_path)
    again = Axes.load(tmp_path)
    assert torch.equal(again.components, axes.components)
    assert torch.equal(again.mean, axes.mean)


def test_every_axis_gives_the_whole_grid_back_and_fewer_the_nearest_there_is():
    whole = Compression((4, 4), axes=Axes.fitted([GRIDS], 5))
    torch.testing.assert_close(whole.restored(whole.pressed(GRIDS)), GRIDS, atol=1e-5, rtol=1e-5)
    axes = Axes.fitted([GRIDS], 3)
    few = Compression((4, 4), axes=axes)
    lost = (few.restored(few.pressed(GRIDS)) - GRIDS).square().mean() / tokens_of(GRIDS).var(dim=0, correction=0).mean()
    assert float(lost) == pytest.approx(1 - axes.explained, rel=1e-4)


def test_a_pooled_grid_comes_back_as_means_of_its_cells():
    pooled = Compression((4, 4), side=2)
    back = pooled.restored(pooled.pressed(GRIDS))
    torch.testing.assert_close(back[:, :, :2, 2:], GRIDS[:, :, :2, 2:].mean((2, 3), keepdim=True).expand(-1, -1, 2, 2))
    assert Compression((2, 3), side=4).places == (2, 3), "never enlarged"


def test_more_dimensions_than_there_are_tokens_are_refused():
    with pytest.raises(UserError, match="--dims 6: of 96 tokens of 5 dimensions at most 5"):
        Axes.fitted([GRIDS], 6)
