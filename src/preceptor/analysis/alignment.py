"""CKA between all taps of two networks."""

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from preceptor.data.batches import Batches
from preceptor.measures.cka import StreamingCKA
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs, stages_of
from preceptor.plotting import styled

SMALLEST = 4
"""Images in a batch from which the unbiased estimator exists."""


@torch.no_grad()
def cka_between(first: Network, second: Network, batches: Batches) -> StreamingCKA:
    """CKA of every tap of ``first`` with every tap of ``second``; maps are flattened, batches of other sizes left out.

    Args:
        batches: images in order, without augmentation; 64 a batch or more, :data:`SMALLEST` at least.
    """
    cka = StreamingCKA()
    for batch in batches.epoch(0):
        if len(batch.images) == batches.batch_size or not cka.batches:
            said = _taps(first(batch.images))
            cka.update(said, said if second is first else _taps(second(batch.images)))
    return cka


def _taps(outputs: Outputs) -> dict[str, Tensor]:
    maps: Mapping[str, Tensor] = outputs.maps
    stages = {name: maps[name] for name in stages_of(maps)}
    rest = {name: values for name, values in maps.items() if name not in stages and name != "last"}
    embedding = {"embedding": outputs.embedding} if outputs.has_embedding else {}
    return {**stages, **rest, **embedding, "logits": outputs.logits}


@styled()
def heat_map(cka: StreamingCKA, first: str, second: str) -> Figure:
    """Taps of ``first`` down, of ``second`` across."""
    rows, columns = cka.taps
    values = cka.matrix().numpy()
    figure = Figure(figsize=(1.6 + 0.6 * len(columns), 1.2 + 0.5 * len(rows)))
    axes = figure.subplots()
    image = axes.imshow(values, vmin=0, vmax=1, cmap="viridis")
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel(second)
    axes.set_ylabel(first)
    for row in range(len(rows)):
        for column in range(len(columns)):
            value = values[row, column]
            colour = "black" if value > 0.6 else "white"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=7)
    figure.colorbar(image, ax=axes, fraction=0.046)
    return figure
