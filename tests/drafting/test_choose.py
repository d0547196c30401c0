"""What is chosen for a folder, by what it is like."""

from dataclasses import replace

import numpy as np
import pytest

from preceptor.data.samples import SampleTable, sample_frame
from preceptor.data.splits import split
from preceptor.drafting import DraftedFolder, Machine, as_mapping, choose
from preceptor.drafting.networks import _CLASSIFIERS, _ENCODERS
from preceptor.recipe import parse_recipe

BARE = Machine(has_gpu=False, cached=frozenset(), has_hub=False)


def folder(count=100, task="classification", shares=(0.5, 0.5), size=(96, 96), groups=None, **more):
    labels = np.repeat(range(len(shares)), [round(count * share) for share in shares])
    names = [f"{n:04d}" for n in range(count)]
    masks = names if task == "segmentation" else None
    table = SampleTable(
        source="folder",
        task=task,
        classes=("a", "b") if task == "classification" else ("background", "cell"),
        frame=sample_frame(
            names, names, masks=masks, groups=groups, labels=labels if task == "classification" else None
        ),
        read=lambda row: (np.zeros((*size, 3), np.uint8), None),
        grouping="patient" if groups else None,
    )
    usual = {"reasons": ("saw folders",), "is_grey": False, "unread": (), "stored": (), "options": {}}
    divided = split(table.frame, classes=table.classes, grouping=table.grouping)
    return DraftedFolder(table, "x", "folder", sizes=(size,), split=divided, **usual | more)


def chosen(found, machine=BARE):
    made = {choice.key: choice.value for choice in choose(found, "x", machine)}
    parse_recipe(as_mapping(choose(found, "x", machine)))
    return made


def why(found, key, machine=BARE):
    return " ".join(next(choice.why for choice in choose(found, "x", machine) if choice.key == key))


@pytest.mark.parametrize(
    ("found", "key", "value"),
    [
        (folder(size=(96, 96)), "data.image_size", 96),
        (folder(size=(1000, 1200)), "data.image_size", 160),
        (folder(size=(30, 30)), "data.image_size", 32),
        (folder(size=(100, 100)), "data.resize", "squash"),
        (folder(size=(100, 200)), "data.resize", "pad"),
        (folder(task="segmentation", size=(130, 160)), "data.image_size", 128),
        (folder(task="segmentation", size=(50, 50)), "data.image_size", 64),
        (folder(task="segmentation", size=(1000, 1000)), "data.tile", {"size": 256, "overlap": 0}),
        (folder(), "split.by", "image"),
        (folder(groups=[f"p{n // 4}" for n in range(100)]), "split.by", "group"),
        (folder(), "augment.flip_vertical", True),
        (folder(is_grey=True), "augment.flip_vertical", False),
        (folder(shares=(0.8, 0.2)), "task_loss.class_weights", "balanced"),
        (folder(shares=(0.8, 0.2)), "training.monitor", "f1"),
        (folder(count=100), "training.batch_size", 8),
        (folder(count=1000), "training.batch_size", 32),
        (folder(count=100_000), "training.epochs", 5),
        (folder(count=100), "training.epochs", 100),
    ],
)
def test_values(found, key, value):
    assert chosen(found)[key] == value


def test_other_channels_than_three_are_taken_over():
    found = folder()
    found = replace(found, table=replace(found.table, channels=4))
    made = chosen(found)
    assert (made["data.channels"], "augment.colour" in made) == (4, False)
    assert "data.channels" not in chosen(folder())


def test_epochs_make_the_steps_that_the_comment_says():
    """1,000 images: 750 in training, 24 steps of 32 an epoch; 3,000 steps are 125 epochs, 1,500 are 63."""
    ready = Machine(has_gpu=False, cached=frozenset(), has_hub=True)
    assert chosen(folder(count=1000))["training.epochs"] == 100
    assert chosen(folder(count=1000), ready)["training.epochs"] == 63
    assert "24 steps an epoch, 1,512 in all" in why(folder(count=1000), "training.epochs", ready)


def test_even_classes_are_not_weighted():
    assert not {"task_loss.class_weights", "training.monitor"} & set(chosen(folder(shares=(0.7, 0.3))))


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_weights_are_taken_where_they_can_be_had_and_else_it_is_said(task):
    found = folder(task=task)
    lying = frozenset(
        repository for repository, _ in (_CLASSIFIERS if task == "classification" else _ENCODERS).values()
    )
    for machine, weights, said in (
        (BARE, "none", "cannot be had here"),
        (Machine(has_gpu=False, cached=frozenset(), has_hub=True), "imagenet", "the Hugging Face hub answers"),
        (Machine(has_gpu=False, cached=lying, has_hub=False), "imagenet", "they lie in this machine's cache"),
        (Machine(has_gpu=False, cached=frozenset(list(lying)[:1]), has_hub=False), "none", "cannot be had here"),
    ):
        made = chosen(found, machine)
        assert {made["networks.teacher"]["weights"], made["networks.student"]["weights"]} == {weights}
        assert said in why(found, "networks.teacher", machine)


def test_images_without_labels_copy_a_teachers_features():
    table = replace(folder().table, source="images", classes=())
    found = replace(folder(), table=table, source="images")
    made = chosen(found)
    assert made["technique.name"] == "distil_features"
    assert made["technique.losses"] == [{"loss": "cosine"}]
    assert "task_loss.class_weights" not in made
    assert "100 images, without labels" in why(found, "task")


def test_without_the_hub_files_in_the_folder_of_weights_are_taken():
    files = frozenset({"tf_efficientnet_lite0", "tf_efficientnet_lite2"})
    machine = Machine(has_gpu=False, cached=frozenset(), has_hub=False, files=files)
    made = chosen(folder(), machine)
    assert made["networks.student"] == {
        "architecture": "tf_efficientnet_lite0",
        "weights": "imagenet",
    }
    assert "files of them lie in ${PRECEPTOR_WEIGHTS}" in why(folder(), "networks.teacher", machine)
    masks = chosen(folder(task="segmentation"), machine)["networks.student"]
    assert (masks["encoder"], masks["weights"]) == ("tf_efficientnet_lite0", "imagenet")


def test_a_gpu_gets_larger_networks_and_images():
    gpu = Machine(has_gpu=True, cached=frozenset(), has_hub=False)
    assert chosen(folder(size=(500, 500)), gpu)["data.image_size"] == 224
    assert chosen(folder(), gpu)["networks.teacher"]["architecture"] == "resnet50"
    assert "no GPU was found" in why(folder(), "networks.teacher")


def test_groups_that_cannot_be_divided_are_named():
    found = folder(not_by_group="only 2 patients")
    assert "only 2 patients" in why(found, "split.by")
    assert "optimistic" in why(found, "split.by")


def test_parts_that_share_patients_are_not_used():
    found = folder(not_official="leak: 6 patients are in more than one part: use by: group, which keeps them together")
    assert "6 patients are in more than one part." in why(found, "split.by")
    assert "by: group" not in why(found, "split.by")


def test_repositories_are_those_that_the_libraries_ask():
    import segmentation_models_pytorch as smp
    import timm

    for name, (repository, _) in _CLASSIFIERS.items():
        assert timm.models.resolve_pretrained_cfg(name, pretrained_cfg=None).hf_hub_id == repository
    for name, (repository, revision) in _ENCODERS.items():
        if name in smp.encoders.encoders:
            known = smp.encoders.encoders[name]["pretrained_settings"]["imagenet"]
            assert (known["repo_id"], known["revision"]) == (repository, revision)
        else:
            assert timm.models.resolve_pretrained_cfg(name, pretrained_cfg=None).hf_hub_id == repository
