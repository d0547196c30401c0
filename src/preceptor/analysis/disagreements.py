"""Images on which two classifiers disagree, with what each of them looks at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from preceptor.analysis.cam import cam_tap, grad_cam
from preceptor.data.batches import Batches
from preceptor.measures.arrays import Float64
from preceptor.networks.network import Network


@dataclass(frozen=True, slots=True)
class Disagreements:
    """Samples of which two networks choose different classes.

    Args:
        positions: (K,) in the part, the most confident disagreements first.
        count, of: how many there are in all, of how many samples.
        first_right, second_right: how many of all disagreements each network gets right.
    """

    positions: NDArray[np.int64]
    count: int
    of: int
    first_right: int
    second_right: int


def find_disagreements(first: Float64, second: Float64, labels: NDArray[np.int64], most: int) -> Disagreements:
    """The ``most`` samples on which both are surest of different classes, right ones of either turn about.

    Shapes:
        first, second: (N, C) probabilities; labels: (N,)
    """
    ours, theirs = first.argmax(axis=1), second.argmax(axis=1)
    differ = np.flatnonzero(ours != theirs)
    sure = np.minimum(first.max(axis=1), second.max(axis=1))[differ]
    differ = differ[np.argsort(-sure, kind="stable")]
    kinds = [differ[ours[differ] == labels[differ]], differ[theirs[differ] == labels[differ]]]
    neither = differ[(ours[differ] != labels[differ]) & (theirs[differ] != labels[differ])]
    turns = [kind[place] for place in range(len(differ)) for kind in (*kinds, neither) if place < len(kind)]
    return Disagreements(
        positions=np.array(turns[:most], dtype=np.int64),
        count=len(differ),
        of=len(labels),
        first_right=len(kinds[0]),
        second_right=len(kinds[1]),
    )


def disagreement_gallery(
    images: Tensor, labels: Sequence[int], networks: dict[str, Network], classes: Sequence[str], ids: Sequence[str]
) -> Figure:
    """A row per image: the image, and for each network its class with a class-activation map.

    Shapes:
        images: (K, 3, H, W) in [0, 1]
    """
    figure = Figure(figsize=(2.2 * (1 + len(networks)), 2.5 * len(images)), layout="constrained")
    axes = figure.subplots(len(images), 1 + len(networks), squeeze=False)
    pictures = images.permute(0, 2, 3, 1).cpu().numpy()
    for row, picture in enumerate(pictures):
        axes[row][0].imshow(picture)
        axes[row][0].set_title(f"{ids[row]}\nlabel {classes[labels[row]]}", fontsize=8)
    for column, (name, network) in enumerate(networks.items(), start=1):
        with torch.no_grad():
            probabilities = network(images).logits.softmax(dim=1)
        chosen = probabilities.argmax(dim=1)
        tap = cam_tap(network)
        maps = None if tap is None else grad_cam(network, images, chosen, tap)
        for row, picture in enumerate(pictures):
            panel = axes[row][column]
            panel.imshow(picture)
            if maps is not None:
                panel.imshow(maps[row].cpu().numpy(), cmap="inferno", alpha=0.45, vmin=0, vmax=1)
            one = int(chosen[row])
            verdict = "right" if one == labels[row] else "wrong"
            panel.set_title(f"{name}: {classes[one]} {probabilities[row, one]:.2f}\n{verdict}", fontsize=8)
    for panel in axes.flat:
        panel.set_axis_off()
    return figure


@torch.no_grad()
def probabilities_of(network: Network, batches: Batches) -> Float64:
    """(N, C) in the order of the part."""
    found: Float64 = np.concatenate(
        [network(batch.images).logits.double().softmax(dim=1).cpu().numpy() for batch in batches.epoch(0)]
    )
    return found
