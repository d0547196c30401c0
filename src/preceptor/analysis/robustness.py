"""What another stain and another scanner change: embeddings and scores of the same images, coloured otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from matplotlib.figure import Figure
from torch.nn import functional as F

from preceptor.data.batches import Batches
from preceptor.data.loading import Loading
from preceptor.data.order import SampleOrder
from preceptor.data.prepare import Prepared
from preceptor.networks.network import Network
from preceptor.specs import AugmentSpec

STRENGTHS = (0.1, 0.2, 0.4)
MOST_IMAGES = 512
KINDS = {
    "stain": "amounts of haematoxylin, eosin and the rest",
    "scanner": "brightness, contrast and saturation",
}


@dataclass(frozen=True, slots=True)
class Shift:
    """What one change does to one network.

    Args:
        kind: one of :data:`KINDS`.
        strength: the largest change, as ``augment.stain`` and ``augment.colour`` have it.
        cosine: of an image's embedding before and after, mean over images; None without embeddings.
        drop: share of images that were right before, minus that after.
    """

    kind: str
    strength: float
    cosine: float | None
    drop: float


def can_be_shifted(prepared: Prepared) -> bool:
    """Whether there are classes to be got wrong, and red, green and blue of 8 bits to be changed."""
    packed = prepared.packed
    return packed.task == "classification" and packed.channels == 3 and packed.depth == 8


def shifts_of(
    networks: Mapping[str, Network], prepared: Prepared, part: str, fabric: Fabric, *, seed: int = 0
) -> dict[str, list[Shift]]:
    """Every change at every strength, by network; all networks see the same changed images."""
    rows = prepared.rows[part]
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST_IMAGES)).astype(np.int64))]
    labels = torch.from_numpy(prepared.packed.frame["label"].to_numpy(dtype=np.int64)[rows])
    before = _answers(networks, prepared, rows, AugmentSpec(), fabric, seed)
    found: dict[str, list[Shift]] = {name: [] for name in networks}
    for kind in KINDS:
        for strength in STRENGTHS:
            changes = AugmentSpec(stain=strength) if kind == "stain" else AugmentSpec(colour=strength)
            after = _answers(networks, prepared, rows, changes, fabric, seed)
            for name in networks:
                (logits, embedding), (changed, moved) = before[name], after[name]
                drop = _right(logits, labels) - _right(changed, labels)
                cosine = float(F.cosine_similarity(embedding, moved, dim=1).mean()) if embedding.shape[1] else None
                found[name].append(Shift(kind, strength, cosine, drop))
    return found


def curves(shifts: Mapping[str, Sequence[Shift]]) -> Figure:
    """A row for each kind of change: cosine of the embeddings on the left, drop of the accuracy on the right."""
    figure = Figure(figsize=(9, 3 * len(KINDS)), layout="constrained")
    axes = figure.subplots(len(KINDS), 2, squeeze=False)
    for (left, right), kind in zip(axes, KINDS, strict=True):
        for name, every in shifts.items():
            own = [shift for shift in every if shift.kind == kind]
            at = [shift.strength for shift in own]
            if all(shift.cosine is not None for shift in own):
                left.plot(at, [shift.cosine for shift in own], marker="o", label=name)
            right.plot(at, [100 * shift.drop for shift in own], marker="o", label=name)
        left.set(xlabel=f"strength, {kind}", ylabel="cosine of embeddings")
        right.set(xlabel=f"strength, {kind}", ylabel="accuracy lost, points")
        right.legend()
    return figure


def in_words(shifts: Mapping[str, Sequence[Shift]]) -> str:
    """What each network loses at the largest strength."""
    said = []
    for name, every in shifts.items():
        parts = []
        for shift in (one for one in every if one.strength == max(STRENGTHS)):
            cosine = "" if shift.cosine is None else f", cosine {shift.cosine:.3f}"
            parts.append(f"{shift.kind} {100 * shift.drop:+.1f} points lost{cosine}")
        said.append(f"{name}: {'; '.join(parts)}")
    return ". ".join(said)


def _right(logits: torch.Tensor, labels: torch.Tensor) -> float:
    return float((logits.argmax(dim=1) == labels).float().mean())


@torch.no_grad()
def _answers(
    networks: Mapping[str, Network],
    prepared: Prepared,
    rows: np.ndarray,
    changes: AugmentSpec,
    fabric: Fabric,
    seed: int,
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Logits and embeddings of each network of the images at ``rows``, in their order."""
    batches = Batches(
        prepared.packed,
        rows,
        batch_size=64,
        order=SampleOrder(stream="robustness", seed=seed),
        augment=changes,
        loading=Loading(device=fabric.device),
    )
    found: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {name: [] for name in networks}
    for batch in batches.epoch(0):
        for name, network in networks.items():
            outputs = network.eval()(batch.images)
            found[name].append((outputs.logits.float().cpu(), outputs.embedding.float().cpu()))
    return {
        name: (torch.cat([one for one, _ in parts]), torch.cat([one for _, one in parts]))
        for name, parts in found.items()
    }
