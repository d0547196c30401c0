"""What parts of a recipe must agree on: how many channels, and whether there are labels."""

from collections.abc import Mapping, Sequence
from typing import Any

from preceptor.specs import AugmentSpec, DataSpec, NetworksSpec, SplitSpec, Task, TrainingSpec


def reads_no_label(data: DataSpec, split: SplitSpec) -> bool:
    """Whether no label is read at all, of any part: nothing of classes is learned or known."""
    return data.source == "images" or (split.labels is not None and split.labels.are_none)


def reads_no_label_in(recipe: Mapping[str, Any]) -> bool:
    """As :func:`reads_no_label`, of a recipe as it stands in a file."""
    labels = (recipe.get("split") or {}).get("labels")
    is_none = labels == "none" or (isinstance(labels, Mapping) and labels.get("fraction") == 0)
    return is_none or (recipe.get("data") or {}).get("source") == "images"


def refuse_what_needs_labels(
    data: DataSpec, split: SplitSpec, training: TrainingSpec, task: Task, measures: Sequence[str]
) -> None:
    """Refuse what has no meaning where labels are not read, or only some of a task that has none for whole images.

    Raises:
        ValueError: which, and what there is instead.
    """
    _refuse_of_the_other_task(split, task)
    if not reads_no_label(data, split):
        return
    asked = {
        "split.shots": split.shots is not None,
        "split.train_fraction": split.train_fraction < 1,
        "data.subset.balanced": data.subset is not None and data.subset.balanced,
        "data.unlabelled": data.unlabelled is not None,
        "training.balance": training.balance is not None,
        "training.monitor": training.monitor is not None,
        "measures": bool(measures),
    }
    if name := next((name for name, is_asked in asked.items() if is_asked), None):
        raise ValueError(f"{name}: no label is read, so it has no meaning; leave it out")


def _refuse_of_the_other_task(split: SplitSpec, task: Task) -> None:
    """ValueError where ``split.labels`` says what the task has no meaning for."""
    if split.labels is None:
        return
    if split.labels.are_none and task == "segmentation":
        raise ValueError(
            "split.labels=none: without any mask there is nothing to segment; an encoder learns from images alone with "
            "task=classification, and some masks are hidden by split.labels={fraction: 0.1}"
        )
    if split.labels.per_class is not None and task == "segmentation":
        raise ValueError(
            "split.labels.per_class: masks have no class per image; say how many masks are known, in all: "
            f"split.labels={{count: {split.labels.per_class}}}"
        )
    if split.labels.count is not None and task == "classification":
        raise ValueError("split.labels.count is of masks; of classes, say how many of each: split.labels.per_class")


def refuse_other_channels(data: DataSpec, augment: AugmentSpec, networks: NetworksSpec) -> None:
    """Refuse what is computed from red, green and blue, or from 8 bits, of other images, and other normalisations.

    Raises:
        ValueError: which.
    """
    channels = data.channels
    for name in ("stain", "colour"):
        if getattr(augment, name) and channels != 3:
            raise ValueError(f"augment.{name}: changes red, green and blue; data.channels is {channels}; leave it out")
    if augment.stain and data.depth != 8:
        raise ValueError(f"augment.stain: changes pixels of 8 bits; data.depth is {data.depth}; leave it out")
    for spec in [*networks.peers.values(), *networks.teachers, *filter(None, [networks.teacher])]:
        for name, values in (("mean", spec.mean), ("std", spec.std)):
            if values is not None and len(values) != channels:
                raise ValueError(
                    f"networks: {name} of {spec.architecture} has {len(values)} numbers: data.channels={channels} "
                    "wants one each"
                )
