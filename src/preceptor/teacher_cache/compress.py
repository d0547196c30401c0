"""Token grids made small: averaged to fewer places, and told in fewer dimensions; and what is left of the whole."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from preceptor.embeddings.store import AXES, Embeddings
from preceptor.errors import UserError
from preceptor.files import write_with


@dataclass(frozen=True, slots=True)
class Axes:
    """Principal axes of tokens.

    Args:
        mean: (C,) of the tokens.
        components: (d, C), of length 1, by falling variance.
        explained: share of the variance that they tell.
    """

    mean: Tensor
    components: Tensor
    explained: float

    @classmethod
    def fitted(cls, grids: Iterable[Tensor], dims: int) -> Self:
        """The first ``dims`` axes of all tokens of (N, C, H, W) grids.

        Raises:
            UserError: there are not so many.
        """
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for grid in grids:
            tokens = grid.detach().double().cpu().flatten(2).mT.flatten(0, 1)
            count, total, squares = count + len(tokens), total + tokens.sum(dim=0), squares + tokens.mT @ tokens
        most = min(len(total), count - 1)
        if not 1 <= dims <= most:
            raise UserError(f"--dims {dims}: of {count} tokens of {len(total)} dimensions at most {most} can be told")
        mean = total / count
        variances, axes = torch.linalg.eigh(squares / count - torch.outer(mean, mean))
        variances, axes = variances.flip(0).clamp_min(0), axes.mT.flip(0)
        signs = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True)).sign()  # else either way round
        explained = float(variances[:dims].sum() / variances.sum().clamp_min(1e-30))
        return cls(mean.float(), (axes * signs)[:dims].float().contiguous(), explained)

    def save(self, folder: Path) -> None:
        """Leave them beside the shards."""
        arrays: dict[str, Any] = {"mean": self.mean.numpy(), "components": self.components.numpy()}
        arrays["explained"] = np.array(self.explained)

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:  # numpy would add an ending to a name
                np.savez(file, **arrays)

        write_with(folder / AXES, write)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The reverse of :meth:`save`."""
        with np.load(folder / AXES) as stored:
            mean, components = (torch.from_numpy(stored[name]) for name in ("mean", "components"))
            return cls(mean, components, float(stored["explained"]))


@dataclass(frozen=True, slots=True)
class Compression:
    """What is stored of a grid.

    Args:
        grid: (height, width) of the whole one.
        side: it is averaged to so many places in each direction, where it has more.
        axes: along which its tokens are told.
    """

    grid: tuple[int, int]
    side: int | None = None
    axes: Axes | None = None

    @classmethod
    def of(cls, stored: Embeddings) -> Self | None:
        """By what the grids in a folder were made small; None where they are whole."""
        side, dims = stored.facts.get("side"), stored.facts.get("dims")
        if side is None and dims is None:
            return None
        height, width = stored.about["grid"]
        return cls((height, width), side, None if dims is None else Axes.load(stored.folder))

    def __str__(self) -> str:
        height, width = self.places
        told = [] if self.places == self.grid else [f"means of {height}×{width} cells"]
        axes = self.axes
        told += [] if axes is None else [f"{len(axes.components)} dimensions, {axes.explained:.1%} of the variance"]
        return " in ".join(told) or "the whole grid"

    @property
    def places(self) -> tuple[int, int]:
        """(height, width) of what is stored."""
        height, width = self.grid
        return (height, width) if self.side is None else (min(height, self.side), min(width, self.side))

    def pressed(self, grids: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, d, h, w)."""
        if self.places != self.grid:
            grids = F.adaptive_avg_pool2d(grids, self.places)
        if self.axes is None:
            return grids
        mean, components = self.axes.mean.to(grids), self.axes.components.to(grids)
        return torch.einsum("dc,nchw->ndhw", components, grids - mean.reshape(1, -1, 1, 1))

    def restored(self, stored: Tensor) -> Tensor:
        """(N, d, h, w) -> (N, C, H, W): every place of a cell has its mean, every token lies on the axes."""
        if self.axes is not None:
            mean, components = self.axes.mean.to(stored), self.axes.components.to(stored)
            stored = torch.einsum("dc,ndhw->nchw", components, stored) + mean.reshape(1, -1, 1, 1)
        return stored if self.places == self.grid else F.interpolate(stored, size=self.grid, mode="nearest")
