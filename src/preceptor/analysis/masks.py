"""The hardest images of a segmentation run: every network's mask beside the truth."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from preceptor.measures.arrays import Flags, Float64
from preceptor.plotting import styled
from preceptor.specs import IGNORED

Mask = NDArray[np.int64]

FOUND, MISSED, FALSE = (0.0, 0.62, 0.45), (0.90, 0.62, 0.0), (0.80, 0.47, 0.65)
"""Colours that colour-blind readers tell apart (Okabe & Ito 2008)."""
_OF_CLASSES = (
    (0.34, 0.71, 0.91), (0.94, 0.89, 0.26), (0.84, 0.37, 0.0),
    (0.0, 0.45, 0.70), (0.55, 0.34, 0.85), (0.35, 0.35, 0.35),
)  # fmt: skip
"""Of foreground classes, unlike the three above; from the seventh class on they come again."""
_DARK = 0.25
"""How much of an ignored pixel's brightness is left."""


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
    foreground: Mapping[str, Float64]
    masks: Mapping[str, Mask]
    truth: Mask


def hardest(images: Iterable[tuple[str, Mapping[str, Float64], Mask]], most: int) -> list[Hard]:
    """The ``most`` images of the lowest IoU, worst first; only so many are held at a time.

    Shapes:
        images: (name, {network: class probabilities (1, C, H, W)}, truth (1, H, W)) of each
    """
    kept: list[Hard] = []
    for name, probabilities, truth in images:
        masks = {network: p[0].argmax(axis=0).astype(np.int64) for network, p in probabilities.items()}
        scores = [foreground_iou(mask, truth[0]) for mask in masks.values()]
        foreground = {network: 1.0 - p[0, 0] for network, p in probabilities.items()}
        kept.append(Hard(name, float(np.mean(scores)), foreground, masks, truth[0]))
        kept = sorted(kept, key=lambda hard: hard.iou)[:most]
    return kept


def foreground_iou(mask: Mask, truth: Mask) -> float:
    """Share of the pixels that are foreground in either which are of one class in both; ignored ones do not count."""
    either = (((mask > 0) | (truth > 0)) & (truth != IGNORED)).sum()
    return float((((mask == truth) & (truth > 0)).sum()) / either) if either else 1.0


@styled()
def mask_gallery(hard: list[Hard], pictures: Mapping[str, Float64], classes: Sequence[str]) -> Figure:
    """A row per image: the image with the true outline, and for each network its mask and its heat map.

    Of several foreground classes the truth and the masks are in the colours of the classes instead, each mask beside
    what is right and wrong in it.

    Args:
        classes: names, background first.

    Shapes:
        pictures: name -> (H, W, 3) in [0, 1]
    """
    are_several = len(classes) > 2
    networks = list(hard[0].masks)
    figure = Figure(figsize=(2.4 * (1 + 2 * len(networks)), 2.6 * len(hard)), layout="constrained")
    axes = figure.subplots(len(hard), 1 + 2 * len(networks), squeeze=False)
    for row, one in enumerate(hard):
        picture = pictures[one.name]
        axes[row][0].imshow(_coloured(picture, one.truth) if are_several else _darkened(picture, one.truth))
        axes[row][0].contour(_foreground(one.truth), levels=[0.5], colors="white", linewidths=0.8)
        axes[row][0].set_title(f"{one.name}\nmean IoU {one.iou:.2f}", fontsize=10)
        for place, network in enumerate(networks):
            panel, heat = axes[row][1 + 2 * place], axes[row][2 + 2 * place]
            panel.imshow(_marked(picture, one.masks[network], one.truth))
            panel.set_title(f"{network}: IoU {foreground_iou(one.masks[network], one.truth):.2f}", fontsize=10)
            if are_several:
                heat.imshow(_coloured(picture, one.masks[network]))
                heat.set_title(f"{network}: classes", fontsize=10)
            else:
                heat.imshow(one.foreground[network], vmin=0, vmax=1, cmap="inferno")
                heat.set_title(f"{network}: P(foreground)", fontsize=10)
    for panel in axes.flat:
        panel.set_axis_off()
    names = [(FOUND, "found"), (MISSED, "missed"), (FALSE, "false, or another class" if are_several else "false")]
    if are_several:
        names += [(_colour_of(place), name) for place, name in enumerate(classes) if place]
    handles = [Line2D([], [], marker="s", linestyle="", color=colour, label=label) for colour, label in names]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(names), 6), fontsize=12)
    return figure


def in_colour(picture: Float64) -> Float64:
    """(H, W, C) as (H, W, 3) to look at: of several channels the first three; a missing third is black."""
    if picture.shape[2] == 1:
        return picture.repeat(3, axis=2)
    shown = np.zeros((*picture.shape[:2], 3))
    shown[..., : picture.shape[2]] = picture[..., :3]
    return shown


def _marked(picture: Float64, mask: Mask, truth: Mask) -> Float64:
    counts = truth != IGNORED
    regions = (
        (FOUND, (mask == truth) & (truth > 0)),
        (MISSED, (mask == 0) & _foreground(truth)),
        (FALSE, (mask > 0) & (mask != truth) & counts),
    )
    return _darkened(_filled(picture, regions), truth)


def _coloured(picture: Float64, mask: Mask) -> Float64:
    """The picture in grey, each foreground class of ``mask`` in its colour, and ignored pixels dark."""
    present = [int(value) for value in np.unique(mask) if value not in (0, IGNORED)]
    return _darkened(_filled(picture, [(_colour_of(value), mask == value) for value in present]), mask)


def _filled(picture: Float64, regions: Iterable[tuple[tuple[float, float, float], Flags]]) -> Float64:
    filled: Float64 = picture.mean(axis=2, keepdims=True).repeat(3, axis=2)
    for colour, where in regions:
        filled[where] = 0.45 * filled[where] + 0.55 * np.array(colour)
    return filled


def _darkened(picture: Float64, truth: Mask) -> Float64:
    """Ignored pixels dark."""
    dark: Float64 = np.where((truth == IGNORED)[..., None], _DARK * picture, picture)
    return dark


def _foreground(mask: Mask) -> Flags:
    found: Flags = (mask > 0) & (mask != IGNORED)
    return found


def _colour_of(value: int) -> tuple[float, float, float]:
    return _OF_CLASSES[(value - 1) % len(_OF_CLASSES)]
