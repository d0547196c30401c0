"""The hardest images of a segmentation run: every network's mask beside the truth."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from preceptor.plotting import styled

Floats = NDArray[np.float64]
Mask = NDArray[np.int64]

FOUND, MISSED, FALSE = (0.0, 0.62, 0.45), (0.90, 0.62, 0.0), (0.80, 0.47, 0.65)
"""Colours that colour-blind readers tell apart (Okabe & Ito 2008)."""


@dataclass(frozen=True, slots=True)
class Hard:
    """An image with what the networks say of it.

    Args:
        iou: mean over the networks, of the foreground; an empty mask rightly left empty counts 1.
        foreground: (H, W) probability of any foreground class, by network.
        masks: (H, W) classes, by network.
        truth: (H, W) classes.
    """

    name: str
    iou: float
    foreground: Mapping[str, Floats]
    masks: Mapping[str, Mask]
    truth: Mask


def hardest(images: Iterable[tuple[str, Mapping[str, Floats], Mask]], most: int) -> list[Hard]:
    """The ``most`` images of the lowest IoU, worst first; only so many are held at a time.

    Shapes:
        images: (name, {network: class probabilities (1, C, H, W)}, truth (1, H, W)) of each
    """
    kept: list[Hard] = []
    for name, probabilities, truth in images:
        masks = {network: p[0].argmax(axis=0).astype(np.int64) for network, p in probabilities.items()}
        scores = [_foreground_iou(mask, truth[0]) for mask in masks.values()]
        foreground = {network: 1.0 - p[0, 0] for network, p in probabilities.items()}
        kept.append(Hard(name, float(np.mean(scores)), foreground, masks, truth[0]))
        kept = sorted(kept, key=lambda hard: hard.iou)[:most]
    return kept


def _foreground_iou(mask: Mask, truth: Mask) -> float:
    either = ((mask > 0) | (truth > 0)).sum()
    return float((((mask == truth) & (truth > 0)).sum()) / either) if either else 1.0


@styled()
def gallery(hard: list[Hard], pictures: Mapping[str, Floats]) -> Figure:
    """A row per image: the image with the true outline, and for each network its mask and its heat map.

    Shapes:
        pictures: name -> (H, W, 3) in [0, 1]
    """
    networks = list(hard[0].masks)
    figure = Figure(figsize=(2.4 * (1 + 2 * len(networks)), 2.6 * len(hard)), layout="constrained")
    axes = figure.subplots(len(hard), 1 + 2 * len(networks), squeeze=False)
    for row, one in enumerate(hard):
        picture = pictures[one.name]
        axes[row][0].imshow(picture)
        axes[row][0].contour(one.truth > 0, levels=[0.5], colors="white", linewidths=0.8)
        axes[row][0].set_title(f"{one.name}\nmean IoU {one.iou:.2f}", fontsize=10)
        for place, network in enumerate(networks):
            panel, heat = axes[row][1 + 2 * place], axes[row][2 + 2 * place]
            panel.imshow(_marked(picture, one.masks[network], one.truth))
            panel.set_title(f"{network}: IoU {_foreground_iou(one.masks[network], one.truth):.2f}", fontsize=10)
            heat.imshow(one.foreground[network], vmin=0, vmax=1, cmap="inferno")
            heat.set_title(f"{network}: P(foreground)", fontsize=10)
    for panel in axes.flat:
        panel.set_axis_off()
    names = ((FOUND, "found"), (MISSED, "missed"), (FALSE, "false, or another class"))
    handles = [Line2D([], [], marker="s", linestyle="", color=colour, label=label) for colour, label in names]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=12)
    return figure


def in_colour(picture: Floats) -> Floats:
    """(H, W, C) as (H, W, 3) to look at: of several channels the first three; a missing third is black."""
    if picture.shape[2] == 1:
        return picture.repeat(3, axis=2)
    shown = np.zeros((*picture.shape[:2], 3))
    shown[..., : picture.shape[2]] = picture[..., :3]
    return shown


def _marked(picture: Floats, mask: Mask, truth: Mask) -> Floats:
    marked: Floats = picture.mean(axis=2, keepdims=True).repeat(3, axis=2)
    regions = (
        (FOUND, (mask == truth) & (truth > 0)),
        (MISSED, (mask == 0) & (truth > 0)),
        (FALSE, (mask > 0) & (mask != truth)),
    )
    for colour, where in regions:
        marked[where] = 0.45 * marked[where] + 0.55 * np.array(colour)
    return marked
