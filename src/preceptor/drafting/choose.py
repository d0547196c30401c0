"""What a recipe says of a folder, each value with the reasons for it."""

import math
import re
from collections.abc import Sequence

from preceptor.drafting.choice import DraftedValue
from preceptor.drafting.folder import DraftedFolder
from preceptor.drafting.networks import Machine, choose_networks
from preceptor.groupings import units_of
from preceptor.measures.table import rare_class_measure

_SIDES = (32, 48, 64, 96, 128, 160, 192, 224, 256)  # of images, when a network sees them
_LARGEST = {False: 160, True: 224}  # side of a classified image without and with a GPU
_TILE = 256
_TILED_ABOVE = 384  # shorter side of images of a segmentation set that are cut into tiles
_UNLIKE = 1.25  # longer to shorter side from which squashing to a square distorts too much
_UNEVEN = 3.0  # largest to smallest class from which classes are weighted
_STEPS = {True: 1500, False: 3000}  # of the student, with and without weights to start from
_MOST_EPOCHS, _FEWEST_EPOCHS = 100, 5


def choose(folder: DraftedFolder, name: str, machine: Machine) -> list[DraftedValue]:
    """Every choice for ``folder``, in the order in which a recipe is read."""
    task = folder.table.task
    networks, is_pretrained = choose_networks(task, machine)
    return [
        DraftedValue("name", name),
        DraftedValue("task", task, (_task_reason(folder),)),
        *_data(folder, machine),
        *_split(folder),
        *_augment(folder),
        *networks,
        *_technique(folder),
        *_task_loss(folder),
        *_training(folder, is_pretrained),
        DraftedValue("seed", 0, ("Another seed is another run; several tell how far chance goes.",)),
    ]


def _task_reason(folder: DraftedFolder) -> str:
    table, count = folder.table, f"{len(folder.table):,} images"
    if folder.has_no_labels:
        return f"{count}, without labels: a teacher's features are learned, and nothing of classes is."
    if table.task == "segmentation":
        return f"{count} with masks: {', '.join(table.classes)}."
    counts = ", ".join(f"{name} {count:,}" for name, count in list(folder.per_class.items())[:12])
    return f"{count} of {len(table.classes)} classes: {counts}{', …' if len(table.classes) > 12 else ''}."


def _data(folder: DraftedFolder, machine: Machine) -> list[DraftedValue]:
    choices = [
        DraftedValue(
            "data.source", folder.source, (f"{_sentence('; '.join(folder.reasons))}",) if folder.reasons else ()
        ),
        DraftedValue("data.path", folder.path, ("As it was given: relative to where preceptor is called.",)),
    ]
    if folder.options:
        choices.append(DraftedValue("data.options", dict(folder.options), tuple(map(_sentence, folder.stored))))
    if folder.table.channels != 3:
        choices.append(DraftedValue("data.channels", folder.table.channels, ("As it was asked for.",)))
    return [*choices, *_size(folder, machine)]


def _size(folder: DraftedFolder, machine: Machine) -> list[DraftedValue]:
    height, width = folder.size
    shorter, longer = min(height, width), max(height, width)
    seen = f"Images are {height} x {width} pixels (height x width, median of {len(folder.sizes)} that were looked at)"
    if folder.table.task == "segmentation" and shorter > _TILED_ABOVE:
        return [
            DraftedValue(
                "data.tile",
                {"size": _TILE, "overlap": 0},
                (f"{seen}: they are cut into tiles, so that a pixel of the mask stays one.",),
            )
        ]
    most = _LARGEST[machine.has_gpu] if folder.table.task == "classification" else _TILE
    side = min((side for side in _SIDES if side <= most), key=lambda one: abs(one - shorter))
    if folder.table.task == "segmentation":
        side = max(32, round(side / 32) * 32)  # what a U-Net can halve five times
    why = f"{seen}; a network sees {side} x {side}."
    slower = f" More than {most} costs more than it brings at first." if shorter > most else ""
    choices = [DraftedValue("data.image_size", side, (why + slower,))]
    if longer > _UNLIKE * shorter:
        choices.append(
            DraftedValue("data.resize", "pad", ("Images are not square: padded, since squashing distorts.",))
        )
    else:
        choices.append(DraftedValue("data.resize", "squash", ("Images are nearly square: nothing to pad or crop.",)))
    return choices


def _split(folder: DraftedFolder) -> list[DraftedValue]:
    counts = ", ".join(f"{count:,} {part}" for part, count in folder.images.items())
    what = folder.table.grouping or "group"
    why: tuple[str, ...]
    if folder.not_by_group:
        why = (
            f"By image, since by {what} it cannot be done: {folder.not_by_group}",
            f"Images of one {what} may be on both sides, so scores are optimistic.",
        )
    elif folder.split.by == "group":
        count = folder.table.frame["group"].nunique()
        why = (f"By {what}: images of one {what} stay on one side ({count:,} {units_of(what)}).",)
    elif folder.split.by == "official":
        why = ("The folder has parts of its own.",)
    else:
        why = ("By image, as nothing tells which images belong to one patient. If several do, scores are optimistic.",)
    if folder.not_official:
        why = (
            f"The folder has parts of its own, which cannot be used: {folder.not_official.split(': use ')[0]}.",
            *why,
        )
    notes = folder.table.notes if folder.split.by == "image" and not folder.not_by_group else ()
    return [
        DraftedValue("split.by", folder.split.by, (*why, *notes, f"About {counts}.")),
        DraftedValue(
            "split.fractions", [0.75, 0.10, 0.15], ("Training, validation (chooses weights), test (opened once).",)
        ),
    ]


def _augment(folder: DraftedFolder) -> list[DraftedValue]:
    if folder.is_grey or folder.source in ("lgg", "covid19_radiography", "busi"):
        return [
            DraftedValue(
                "augment.flip_horizontal", True, ("Grey images, as of scans: left and right may be exchanged,",)
            ),
            DraftedValue(
                "augment.flip_vertical", False, ("up and down may not. Where sides matter, switch both off.",)
            ),
            DraftedValue("augment.rotate", 10, ("A little, in degrees.",)),
        ]
    height, width = folder.size
    square = DraftedValue("augment.transpose", True) if max(height, width) <= _UNLIKE * min(height, width) else None
    colour = DraftedValue("augment.colour", 0.1, ("Brightness, contrast and saturation; `stain` is for H&E.",))
    return [
        DraftedValue("augment.flip_horizontal", True, ("Colour images, as of tissue or skin: no side is up.",)),
        DraftedValue("augment.flip_vertical", True, ("Set false where one is.",)),
        *([square] if square else []),
        *([colour] if folder.table.channels == 3 else []),
    ]


def _technique(folder: DraftedFolder) -> list[DraftedValue]:
    if folder.has_no_labels:
        why = "What the teacher sees of every image is copied, without a label; a foundation model teaches most."
        return [
            DraftedValue("technique.name", "distil_features", (why,)),
            DraftedValue("technique.losses", [{"loss": "cosine"}]),
        ]
    return [
        DraftedValue(
            "technique.name",
            "kd_offline",
            (
                "The teacher is trained first, then its predictions teach the student: the plainest distillation.",
                "Others: `preceptor methods`. The student without a teacher: technique.name=baseline.",
            ),
        ),
        DraftedValue("technique.strategy", "predictions"),
    ]


def _task_loss(folder: DraftedFolder) -> list[DraftedValue]:
    counts = [count for count in folder.per_class.values() if count]
    if not counts or max(counts) <= _UNEVEN * min(counts):
        return []
    uneven = f"The largest class has {max(counts) / min(counts):.1f} times the images of the smallest."
    return [DraftedValue("task_loss.class_weights", "balanced", (f"{uneven} Rare classes weigh more.",))]


def _training(folder: DraftedFolder, is_pretrained: bool) -> list[DraftedValue]:
    count = folder.images["train"]
    if folder.table.task == "segmentation":
        count, batch = _pieces(folder), 8
    else:
        batch = next((size for size, fewest in ((32, 500), (16, 120)) if count >= fewest), 8)
    steps = max(1, math.ceil(count / batch))
    wanted = _STEPS[is_pretrained]
    epochs = max(_FEWEST_EPOCHS, min(_MOST_EPOCHS, math.ceil(wanted / steps)))
    start = "from ImageNet's weights" if is_pretrained else "from random numbers"
    choices = [
        DraftedValue(
            "training.epochs",
            epochs,
            (
                f"{count:,} training images in batches of {batch} are {steps:,} steps an epoch, {epochs * steps:,} in "
                f"all; {start} about {wanted:,} are a good start.",
                "`preceptor bench` with this file says how long a step takes here.",
            ),
        ),
        DraftedValue("training.batch_size", batch),
        DraftedValue("training.lr", 1e-3 if is_pretrained else 2e-3),
        DraftedValue("training.schedule", "cosine"),
    ]
    counts = [count for count in folder.per_class.values() if count]
    if counts and max(counts) > _UNEVEN * min(counts):
        choices.append(
            DraftedValue(
                "training.monitor", rare_class_measure().name, ("The mean over classes: accuracy hides rare ones.",)
            )
        )
    return choices


def _pieces(folder: DraftedFolder) -> int:
    """Training images, or tiles of them."""
    height, width = folder.size
    tiles = 1
    if min(height, width) > _TILED_ABOVE:
        tiles = math.ceil(height / _TILE) * math.ceil(width / _TILE)
    return folder.images["train"] * tiles


def _sentence(text: str) -> str:
    return re.sub(r"^[a-z]", lambda first: first[0].upper(), text).rstrip(".") + "." if text else text


def first_why(choices: Sequence[DraftedValue], key: str) -> str:
    """The first reason of a choice, for a line on the terminal."""
    return next((choice.why[0] for choice in choices if choice.key == key and choice.why), "")
