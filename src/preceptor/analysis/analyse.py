"""From a finished run to figures in ``RUN/analysis``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric

from preceptor.analysis import alignment, disagreements, gradients, masks, robustness
from preceptor.analysis.page import Page
from preceptor.data.batches import Batches
from preceptor.data.prepare import Prepared
from preceptor.data.repair import on_sound_pixels
from preceptor.data.rows import DamagedRowError
from preceptor.data.tiles import stitch
from preceptor.errors import UserError
from preceptor.inside import inside
from preceptor.machine.fabric import make_fabric
from preceptor.machine.latency import latencies
from preceptor.measures.arrays import Float64
from preceptor.networks.network import Network
from preceptor.opened_run import OpenedRun, open_run
from preceptor.own_files import own_files, require_trust
from preceptor.places import without_places
from preceptor.runs.analysis import Gradients, write_alignment, write_gradients, write_latency, write_robustness
from preceptor.training.evaluate import whole_images, whole_part

_CKA_BATCH = {"classification": 128, "segmentation": 16}


def analyse(
    run: Path,
    *,
    part: str = "test",
    pairs: Sequence[tuple[str, str]] = (),
    most: int = 6,
    device: str = "auto",
    trust: bool = False,
    note: Callable[[str], object] = lambda note: None,
) -> list[dict[str, str]]:
    """Write figures about a finished run's networks, and ``index.json`` with their titles and captions.

    Args:
        part: ``test`` or ``validation``.
        pairs: networks to compare; by default the teacher with each student, and the students with each other.
        most: images in a gallery.
        trust: run Python files that the run's recipe names: its gradients are those of its losses.
        note: called with what the user should know of the networks, one sentence each.

    Raises:
        UserError: the run is not finished, a network is not there, the part is too small, or the recipe names a
            Python file and there is no ``trust``.
    """
    opened = open_run(run, with_test=part == "test", instead="; look at part validation", trust=trust)
    opened.require_classes("there are no answers to look at")
    if part not in ("test", "validation"):
        raise UserError(f"part {part!r}: there are test and validation")
    if not trust:
        require_trust(own_files(opened.recipe), opened.files.recipe)
    inside(run, opened.files.analysis.name, said_by=run)
    return on_sound_pixels(lambda: _analyse(opened, part, pairs, most, device, note))


def _analyse(
    opened: OpenedRun,
    part: str,
    pairs: Sequence[tuple[str, str]],
    most: int,
    device: str,
    note: Callable[[str], object],
) -> list[dict[str, str]]:
    recipe, prepared, fabric = opened.recipe, opened.data(), make_fabric(device)
    networks = {name: network.to(fabric.device) for name, network in opened.networks(note).items()}
    chosen = list(pairs) or _pairs(networks)
    for name in (name for pair in chosen for name in pair if name not in networks):
        raise UserError(f"no network {name!r} in {opened.files.folder}; it has {', '.join(networks)}")
    page = Page(opened.files.folder)
    torch.manual_seed(0)
    write_latency(page.folder, latencies(networks))
    _alignment(page, networks, chosen, fabric, prepared, part)
    _gradients(page, opened, prepared, fabric, list(networks))
    if robustness.can_be_shifted(prepared):
        _robustness(page, networks, fabric, prepared, part)
    if recipe.task == "classification":
        _disagreements(page, networks, chosen, whole_part(fabric, prepared, part, 64), prepared, part, most)
    else:
        _hardest(page, networks, whole_part(fabric, prepared, part, recipe.training.batch_size), prepared, part, most)
    page.finish()
    return page.entries


def _pairs(networks: Mapping[str, Network]) -> list[tuple[str, str]]:
    return list(combinations(sorted(networks, key=lambda name: (name != "T", name)), 2))


def _alignment(
    page: Page,
    networks: Mapping[str, Network],
    pairs: Sequence[tuple[str, str]],
    fabric: Fabric,
    prepared: Prepared,
    part: str,
) -> None:
    size = min(_CKA_BATCH[prepared.packed.task], len(prepared.rows[part]))
    if size < alignment.SMALLEST:
        raise UserError(f"CKA wants {alignment.SMALLEST} images or more; the {part} part has {size}")
    batches = whole_part(fabric, prepared, part, size)
    used = max(1, len(prepared.rows[part]) // size) * size
    numbers = {}
    for first, second in pairs:
        cka = alignment.cka_between(networks[first], networks[second], batches)
        rows, columns = cka.taps
        numbers[f"{first}:{second}"] = {"rows": rows, "columns": columns, "cka": cka.matrix().tolist()}
        page.figure(
            f"cka-{first}-{second}",
            alignment.heat_map(cka, first, second),
            title=f"CKA of {first} and {second}",
            caption=f"How alike the taps of {first} and {second} arrange {used} images of the {part} part: linear CKA, "
            f"unbiased HSIC averaged over batches of {size}, maps flattened.",
        )
    write_alignment(page.folder, numbers)


def _robustness(page: Page, networks: Mapping[str, Network], fabric: Fabric, prepared: Prepared, part: str) -> None:
    found = robustness.shifts_of(networks, prepared, part, fabric)
    numbers = {name: [asdict(shift) for shift in shifts] for name, shifts in found.items()}
    write_robustness(page.folder, numbers)
    kinds = "; ".join(f"{kind}: random changes of {what}" for kind, what in robustness.KINDS.items())
    page.figure(
        "robustness",
        robustness.curves(found),
        title="Another stain, another scanner",
        caption=f"The same images of the {part} part ({robustness.MOST_IMAGES} at most), coloured otherwise; {kinds}, "
        "up to the strength, as augment.stain and augment.colour have it. At strength "
        f"{max(robustness.STRENGTHS):g}: {robustness.in_words(found)}.",
    )


def _gradients(page: Page, opened: OpenedRun, prepared: Prepared, fabric: Fabric, networks: Sequence[str]) -> None:
    """How much of each network's gradient comes from which loss term, and why of some this is not said."""
    try:
        stage, cohort, batches = opened.last_stage(prepared, fabric)
    except DamagedRowError:
        raise
    except UserError as error:
        write_gradients(page.folder, Gradients(left_out=dict.fromkeys(networks, without_places(str(error)))))
        return
    found = gradients.pulls(cohort, batches, stage, opened.recipe.seed)
    shown, left_out = gradients.divided(found, cohort, networks)
    write_gradients(page.folder, Gradients(stage.name, shown, left_out))
    if shown:
        rest = "".join(f" {name}: {why}." for name, why in left_out.items())
        page.figure(
            "gradients",
            gradients.bars(shown),
            title="Where the gradient comes from",
            caption="Norm of each loss term's gradient at the network's own parameters, over the sum of the norms of "
            "all its terms; weighted as in training, before clipping, mean over "
            f"{gradients.BATCHES} training batches with the last weights of stage {stage.name}.{rest}",
        )


def _disagreements(
    page: Page,
    networks: Mapping[str, Network],
    pairs: Sequence[tuple[str, str]],
    batches: Batches,
    prepared: Prepared,
    part: str,
    most: int,
) -> None:
    rows = prepared.rows[part]
    labels = prepared.packed.frame["label"].to_numpy(dtype=np.int64)[rows]
    answers = {name: disagreements.probabilities_of(network, batches) for name, network in networks.items()}
    ids = prepared.packed.frame["id"].to_numpy(dtype=object)
    for first, second in pairs:
        found = disagreements.find_disagreements(answers[first], answers[second], labels, most)
        if not found.count:
            continue
        chosen = found.positions
        pixels, _ = prepared.packed.read(rows[chosen])
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255).to(batches.device)
        page.figure(
            f"disagreements-{first}-{second}",
            disagreements.disagreement_gallery(
                images,
                labels[chosen].tolist(),
                {name: networks[name] for name in (first, second)},
                prepared.packed.classes,
                [str(ids[row]) for row in rows[chosen]],
            ),
            title=f"Where {first} and {second} disagree",
            caption=f"They choose different classes for {found.count} of {found.of} images of the {part} part; "
            f"{first} is right in {found.first_right} of these, {second} in {found.second_right}. Shown are those on "
            "which both are surest, with Grad-CAM at the deepest stage that still shows places (none where the logits "
            "do not come from a map).",
        )


def _hardest(
    page: Page, networks: Mapping[str, Network], batches: Batches, prepared: Prepared, part: str, most: int
) -> None:
    with torch.no_grad():
        hard = masks.hardest(whole_images(batches, networks, prepared), most)
    page.figure(
        "hardest",
        masks.mask_gallery(hard, {one.name: _picture(prepared, one.name) for one in hard}, prepared.packed.classes),
        title="The hardest images",
        caption=f"The {len(hard)} images of the {part} part with the lowest mean IoU over {', '.join(networks)}: "
        "outline of the truth, then each network's mask and "
        + ("its classes." if len(prepared.packed.classes) > 2 else "its probability of foreground."),
    )


def _picture(prepared: Prepared, name: str) -> Float64:
    """(H, W, 3) in [0, 1] of a whole image, put together where it was cut into tiles."""
    frame = prepared.packed.frame
    tiled = "parent" in frame
    rows = np.flatnonzero((frame["parent" if tiled else "id"] == name).to_numpy())
    pixels, _ = prepared.packed.read(rows)
    planes = (pixels.transpose(0, 3, 1, 2) / np.iinfo(pixels.dtype).max).astype(np.float32)
    whole = stitch(planes, frame.iloc[rows])[name] if tiled else planes[0]
    picture: Float64 = whole.transpose(1, 2, 0).astype(np.float64)
    return masks.in_colour(picture)
