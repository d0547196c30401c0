"""What trained networks say of a part of the data, and how well."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.distributed
from lightning_fabric import Fabric
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from preceptor.composed.base import answers
from preceptor.data.batches import Batches
from preceptor.data.loading import Loading
from preceptor.data.order import SampleOrder
from preceptor.data.prepare import Prepared
from preceptor.data.tiles import stitch, stitch_masks
from preceptor.errors import UserError
from preceptor.files import write_with
from preceptor.inside import inside
from preceptor.knowledge.base import class_logits
from preceptor.measures.arrays import Float64
from preceptor.measures.ensemble import maximum, mean, merged_masks, union
from preceptor.measures.measure import ClassAnswers, MaskAnswers, Measures, fidelity_of, scores_of
from preceptor.measures.segmentation import COUNTS, mask_counts
from preceptor.networks.network import Network
from preceptor.specs import IGNORED
from preceptor.training.outlines import Outlines

ENSEMBLES = ("ensemble", "ensemble_mean")
"""Maximum probability (for masks: the union), and mean probability, of the students."""


@dataclass(frozen=True)
class Evaluation:
    """Scores by network and measure, fidelity to the teacher, and the predictions behind them.

    ``table`` has a row per network and sample: id, label, network, p_0 … for classes; id, network,
    class, tp, fp, fn, tn for masks, counted on whole images; ``surfaces`` then one of id, network, class, hd95,
    surface_dice and their unit, where they were asked for.
    """

    scores: dict[str, dict[str, float]]
    fidelity: dict[str, dict[str, float]]
    table: pd.DataFrame
    measures: Measures
    surfaces: pd.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Evaluates networks on the parts of one run's data."""

    fabric: Fabric
    prepared: Prepared
    batch_size: int
    measures: Measures

    def __call__(
        self,
        networks: Mapping[str, Network],
        part: str,
        *,
        teacher: str | None = None,
        students: Sequence[str] = (),
        tolerance: float | None = None,
    ) -> Evaluation:
        """See :func:`evaluate`."""
        return evaluate(
            self.fabric,
            networks,
            self.prepared,
            part,
            measures=self.measures,
            teacher=teacher,
            students=students,
            batch_size=self.batch_size,
            tolerance=tolerance,
        )


@torch.no_grad()
def evaluate(
    fabric: Fabric,
    networks: Mapping[str, Network],
    prepared: Prepared,
    part: str,
    *,
    measures: Measures,
    teacher: str | None = None,
    students: Sequence[str] = (),
    batch_size: int,
    masks: Path | None = None,
    tolerance: float | None = None,
) -> Evaluation:
    """Run ``networks`` over a part, in float32 and without augmentation.

    Args:
        measures: what is scored.
        teacher: whom the fidelity of the others is measured against, if anyone.
        students: networks that also answer as ensembles, if there are two or more.
        tolerance: of the surface Dice; without, nothing is measured of the outlines of masks, which takes its time.
        masks: folder for every network's mask of every image, as PNG; class c of C has grey value 255 c / (C - 1).
    """
    for network in networks.values():
        network.to(fabric.device).eval()
    batches = whole_part(fabric, prepared, part, batch_size)
    peers = students if len(students) > 1 else ()
    if prepared.packed.task == "classification":
        return _classes(batches, networks, prepared, measures, teacher, peers)
    outlines = None if tolerance is None else Outlines.of(prepared, part, tolerance)
    return _masks(batches, networks, prepared, measures, teacher, peers, masks, outlines)


def whole_part(fabric: Fabric, prepared: Prepared, part: str, batch_size: int) -> Batches:
    """This process's share of a part, in order and without augmentation."""
    return whole_rows(fabric, prepared, prepared.rows[part], batch_size)


def whole_rows(
    fabric: Fabric,
    prepared: Prepared,
    rows: NDArray[np.int64],
    batch_size: int,
    order: SampleOrder = SampleOrder(stream="evaluation"),  # noqa: B008  # frozen
) -> Batches:
    """This process's share of some rows, in order and without augmentation."""
    return Batches(
        prepared.packed,
        _share(prepared, rows, fabric),
        batch_size=batch_size,
        order=order,
        loading=Loading(device=fabric.device),
    )


def _classes(
    batches: Batches,
    networks: Mapping[str, Network],
    prepared: Prepared,
    measures: Measures,
    teacher: str | None,
    peers: Sequence[str],
) -> Evaluation:
    rows: list[Tensor] = []
    found: dict[str, list[Tensor]] = {name: [] for name in networks}
    for batch in batches.epoch(0):
        rows.append(batch.rows.cpu())
        for name, outputs in answers(networks, batch.images).items():
            found[name].append(outputs.logits.double().softmax(dim=1).cpu())
    _require_finite({name: [p.numpy() for p in parts] for name, parts in found.items()})
    row, probabilities = _gathered((torch.cat(rows).numpy(), {n: torch.cat(p).numpy() for n, p in found.items()}))
    labels = prepared.packed.frame["label"].to_numpy()[row]
    if peers:
        members = [probabilities[name] for name in peers]
        probabilities |= dict(zip(ENSEMBLES, (maximum(members), mean(members)), strict=True))
    ids = prepared.packed.frame["id"].to_numpy()[row]
    frames = [
        pd.DataFrame({"id": ids, "label": labels, "network": name, **{f"p_{c}": p[:, c] for c in range(p.shape[1])}})
        for name, p in probabilities.items()
    ]
    return Evaluation(
        scores={name: scores_of(measures, ClassAnswers(p, labels)) for name, p in probabilities.items()},
        fidelity={
            name: fidelity_of(measures, ClassAnswers(p, labels, probabilities[teacher]))
            for name, p in probabilities.items()
            if teacher and name != teacher
        },
        table=pd.concat(frames, ignore_index=True),
        measures=measures,
    )


def _masks(
    batches: Batches,
    networks: Mapping[str, Network],
    prepared: Prepared,
    measures: Measures,
    teacher: str | None,
    peers: Sequence[str],
    folder: Path | None,
    outlines: Outlines | None,
) -> Evaluation:
    classes = len(prepared.packed.classes)
    ids: list[str] = []
    counts: dict[str, list[NDArray[np.int64]]] = {}
    against_teacher: dict[str, list[NDArray[np.int64]]] = {}
    surfaces: dict[str, list[Float64]] = {}
    for name, probabilities, target in whole_images(batches, networks, prepared):
        masks = {network: decided_mask(p) for network, p in probabilities.items()}
        if peers:
            members = [probabilities[peer] for peer in peers]
            one = union([masks[peer] for peer in peers]) if classes == 2 else merged_masks(members)
            masks |= dict(zip(ENSEMBLES, (one, decided_mask(mean(members))), strict=True))
        ids.append(name)
        if folder:
            for network, mask in masks.items():
                path = inside(folder / network, f"{name}.png", said_by=Path("the data"))
                _write_mask(path, mask[0] * (255 // (classes - 1)))
        for network, mask in masks.items():
            counts.setdefault(network, []).append(mask_counts(mask, target, classes=classes)[0])
            if outlines:
                surfaces.setdefault(network, []).append(outlines.scores(name, mask[0], target[0]))
            if teacher and network != teacher:
                of_teacher = np.where(target == IGNORED, IGNORED, masks[teacher])
                against = mask_counts(mask, of_teacher, classes=classes)[0]
                against_teacher.setdefault(network, []).append(against)
    ids, counts, against_teacher, surfaces = _gathered((ids, counts, against_teacher, surfaces))
    stacked = {network: np.stack(found) for network, found in counts.items()}
    of_outlines = {network: np.stack(found) for network, found in surfaces.items()}
    frames = [
        pd.DataFrame({"id": ids, "network": network, "class": c, **dict(zip(COUNTS, found[:, c - 1].T, strict=True))})
        for network, found in stacked.items()
        for c in range(1, classes)
    ]
    return Evaluation(
        scores={
            network: scores_of(measures, MaskAnswers(found, surfaces=of_outlines.get(network)))
            for network, found in stacked.items()
        },
        fidelity={
            network: fidelity_of(measures, MaskAnswers(stacked[network], np.stack(found)))
            for network, found in against_teacher.items()
        },
        table=pd.concat(frames, ignore_index=True),
        measures=measures,
        surfaces=outlines.table(ids, of_outlines) if outlines else None,
    )


def whole_images(
    batches: Batches, networks: Mapping[str, Network], prepared: Prepared
) -> Iterator[tuple[str, dict[str, Float64], NDArray[np.int64]]]:
    """(id, class probabilities (1, C, H, W) by network, mask (1, H, W)) of each image; tiles are put together first."""
    table = prepared.packed.frame
    tiled = "parent" in table
    images = table["parent" if tiled else "id"].to_numpy(dtype=object)
    rows: list[int] = []
    logits: dict[str, list[NDArray[np.float32]]] = {name: [] for name in networks}

    def whole() -> tuple[str, dict[str, Float64], NDArray[np.int64]]:
        tiles = table.iloc[rows]
        assert prepared.packed.masks is not None
        masks = prepared.packed.masks.read(np.array(rows))
        name = str(images[rows[0]])
        _require_finite(logits)
        found = {network: np.stack(parts) for network, parts in logits.items()}
        if tiled:
            found = {network: stitch(parts, tiles)[name][None] for network, parts in found.items()}
            masks = stitch_masks(masks, tiles)[name][None]
        return name, {network: _probabilities(parts) for network, parts in found.items()}, masks.astype(np.int64)

    for batch in batches.epoch(0):
        said = {name: outputs.logits.float().cpu().numpy() for name, outputs in answers(networks, batch.images).items()}
        for place, row in enumerate(batch.rows.tolist()):
            if rows and images[row] != images[rows[0]]:
                yield whole()
                rows.clear()
                for parts in logits.values():
                    parts.clear()
            rows.append(row)
            for name, answer in said.items():
                logits[name].append(answer[place])
    if rows:
        yield whole()


def _require_finite(said: Mapping[str, Sequence[NDArray[np.floating[Any]]]]) -> None:
    """UserError where a network answers with NaN or infinity, as weights of absurd size do."""
    for name, parts in said.items():
        if not all(np.isfinite(part).all() for part in parts):
            raise UserError(
                f"{name} answers with numbers that are not finite, so it can neither teach nor be scored: its weights "
                "are too large, or its `std` too small.\nGive other weights, or train it again with a lower lr."
            )


def _probabilities(logits: NDArray[np.float32]) -> Float64:
    """(N, C, H, W) class probabilities, background and foreground for a single channel."""
    tensor = torch.from_numpy(logits).double()
    array: Float64 = class_logits(tensor).softmax(dim=1).numpy()
    return array


def _write_mask(path: Path, grey: NDArray[np.int64]) -> None:
    image = Image.fromarray(grey.astype(np.uint8))
    write_with(path, lambda temporary: image.save(temporary, format="PNG"))


def decided_mask(probabilities: Float64) -> NDArray[np.int64]:
    mask: NDArray[np.int64] = probabilities.argmax(axis=1)
    return mask


def _share(prepared: Prepared, rows: NDArray[np.int64], fabric: Fabric) -> NDArray[np.int64]:
    """This process's part of some rows: a contiguous share that never cuts an image's tiles apart."""
    names = prepared.packed.frame["parent" if "parent" in prepared.packed.frame else "id"].to_numpy()[rows]
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])  # first row of each image
    mine = np.array_split(np.arange(len(starts)), fabric.world_size)[fabric.global_rank]
    ends = np.r_[starts[1:], len(rows)]
    return rows[starts[mine[0]] : ends[mine[-1]]] if len(mine) else rows[:0]


def _gathered(found: Any) -> Any:
    """``found`` of all processes put together: arrays and lists are joined, dicts and tuples entry by entry."""
    if not torch.distributed.is_initialized():
        return found
    every: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(every, found)
    return _joined([one for one in every if one is not None])


def _joined(parts: list[Any]) -> Any:
    first = parts[0]
    if isinstance(first, tuple):
        return tuple(_joined(list(column)) for column in zip(*parts, strict=True))
    if isinstance(first, dict):
        names = dict.fromkeys(name for part in parts for name in part)
        return {name: _joined([part[name] for part in parts if name in part]) for name in names}
    if isinstance(first, list):
        return [entry for part in parts for entry in part]
    return np.concatenate(parts)
