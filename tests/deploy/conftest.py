"""Two runs that are trained once for all tests here: a classifier on odd images, a segmenter on tiles."""

from io import StringIO

import pytest
from rich.console import Console

from preceptor.recipe import parse_recipe
from preceptor.training.run import train_recipe

from .pictures import class_folders, image_and_mask_folders

RESNET = {"architecture": "test_resnet", "weights": "none"}
UNET = {
    "architecture": "unet",
    "encoder": "tu-test_resnet",
    "weights": "none",
    "options": {"decoder_channels": [16, 8, 8, 4, 4]},
}


def trained(out, images, network, *, task="classification", data=None, **more):
    """A finished run of one student on folders of images."""
    raw = {
        "name": "deployed",
        "task": task,
        "data": {"source": "folder", "path": str(images), "image_size": 24, **(data or {})},
        "split": {"by": "image", "fractions": [0.4, 0.2, 0.4]},
        "networks": {"student": network, "count": 1},
        "technique": {"name": "baseline"},
        "augment": {},
        "training": {"epochs": 1, "batch_size": 8, "lr": 0.01, "threads": 1},
        **more,
    }
    train_recipe(parse_recipe(raw), out, device="cpu", console=Console(file=StringIO(), width=500))
    return out


@pytest.fixture(scope="session")
def class_data(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("classes"))


@pytest.fixture(scope="session")
def class_run(tmp_path_factory, class_data):
    return trained(tmp_path_factory.mktemp("class-run") / "run", class_data, RESNET, data={"resize": "pad"})


@pytest.fixture(scope="session")
def mask_data(tmp_path_factory):
    return image_and_mask_folders(tmp_path_factory.mktemp("masks"), [(71, 95), (96, 64), (41, 53), (64, 64)])


@pytest.fixture(scope="session")
def mask_run(tmp_path_factory, mask_data):
    folder = tmp_path_factory.mktemp("mask-run") / "run"
    return trained(folder, mask_data, UNET, task="segmentation", data={"tile": {"size": 64, "overlap": 16}})
