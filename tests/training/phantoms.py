"""Small recipes on phantom tissue, and how to run and interrupt them."""

import os
import shutil
import signal
from io import StringIO

import torch
from rich.console import Console

from preceptor.files import cache_root
from preceptor.machine import placement
from preceptor.recipe import parse_recipe
from preceptor.training import run
from preceptor.training.fit import train_stage

NEW = {"weights": "none"}
UNET = {"architecture": "unet", "options": {"decoder_channels": [16, 8, 8, 8, 8]}, **NEW}
DATA = {
    "classification": {"images": 48, "classes": 3, "patients": 8},
    "segmentation": {"images": 12, "patients": 6},
}
"""Training parts of 36 and 9 images: the last batch is never whole."""

BATCH = {"classification": 8, "segmentation": 4}
TEACHERS = {
    "classification": {"architecture": "resnet10t", **NEW},
    "segmentation": {"encoder": "resnet10t", **UNET},
}
STUDENTS = {
    "classification": {"architecture": "mobilenetv3_small_050", **NEW},
    "segmentation": {"encoder": "mobilenetv3_small_050", **UNET},
}


def recipe_for(task, technique, cache, *, classes=None, **changes):
    """An unlike pair of networks on a few images of 32 pixels."""
    options = {"task": task, "size": 32, **DATA[task], **({"classes": classes} if classes else {})}
    raw = {
        "task": task,
        "data": {"source": "phantom", "options": options, "image_size": 32, "cache": str(cache)},
        "networks": {"teacher": TEACHERS[task], "student": STUDENTS[task], "count": 1},
        "technique": technique,
        "training": {"epochs": 2, "batch_size": BATCH[task], "lr": 1e-3, "threads": 1},
    }
    for name, change in changes.items():
        raw[name] = {**raw.get(name, {}), **change}
    return parse_recipe(raw)


def train(recipe, out):
    """The result, and what was printed."""
    text = StringIO()
    return run.train_recipe(recipe, out, device="cpu", console=Console(file=text, width=1000)), text.getvalue()


def last(folder, stage="main"):
    """Networks and edges at the end of a stage."""
    return torch.load(folder / "checkpoints" / stage / "last.ckpt", weights_only=True)["cohort"]


def exported(folder, network):
    """The bytes of an exported network's weights."""
    return (folder / "networks" / network / "model.safetensors").read_bytes()


class Stopping:
    """Batches before one of which the process is asked to stop."""

    def __init__(self, batches, epoch, step):
        self.batches, self.at = batches, (epoch, step)

    def __len__(self):
        return len(self.batches)

    def __getattr__(self, name):
        return getattr(self.batches, name)

    def epochs(self, first, last, start=0):
        for number, batch in enumerate(self.batches.epochs(first, last, start), start=first * len(self) + start):
            if divmod(number, len(self)) == self.at:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch


def stopping_fit(stage_name, epoch, step):
    """The loop, asked to stop at a step of an epoch of a stage, both counted from 0."""

    def stopping(fabric, stage, cohort, batches, *more, **options):
        if stage.name == stage_name:
            batches = Stopping(batches, epoch, step)
        return train_stage(fabric, stage, cohort, batches, *more, **options)

    return stopping


def place(network, batch_size, **options):
    """The placement of a network, remembered in the cache of the tests."""
    return placement.placement_for(network, batch_size, folder=cache_root() / placement.PLACEMENTS, **options)


def forget_placements(packed):
    """What other tests have measured, or pretended to, is forgotten."""
    shutil.rmtree(packed / placement.PLACEMENTS, ignore_errors=True)
