"""Images per second of the data path, against torchvision's ImageFolder and torch's DataLoader.

    python benchmarks/data.py [--images 2000] [--rounds 7] [--scaling]

Both sides have two workers and read the same phantom tissue, the DataLoader as PNG files, preceptor as a
packed set, and end with normalised float32 batches; torch computes with one thread per worker. Rounds
alternate between the two sides, so that whatever else the machine does hits both; ratios are of
neighbouring rounds. ``--scaling`` measures preceptor alone at 1,000, 10,000 and 100,000 images, and its
memory.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from preceptor.data.batches import Batches
from preceptor.data.samples import SampleTable
from preceptor.data.sources.phantom import NAMES, phantom
from preceptor.data.store import pack
from preceptor.specs import AugmentSpec

SIDE, BATCH = 96, 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TURNS = AugmentSpec(transpose=True)
TURNS_AND_AFFINE = AugmentSpec(transpose=True, rotate=30, shift=0.1, scale=0.1)


def transposed(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.TRANSPOSE) if random.random() < 0.5 else image


def folder_epochs(folder: Path, *, affine: bool) -> Callable[[int], Iterator[Tensor]]:
    """ImageFolder and a DataLoader with two lasting workers, set up as torchvision's documentation shows."""
    steps: list[Callable[..., object]] = [
        transforms.RandomHorizontalFlip(),
        transforms.RandomVerticalFlip(),
        transforms.Lambda(transposed),
    ]
    if affine:
        bilinear = transforms.InterpolationMode.BILINEAR
        steps.append(transforms.RandomAffine(30, translate=(0.1, 0.1), scale=(0.9, 1.1), interpolation=bilinear))
    steps += [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    loader = DataLoader(
        ImageFolder(str(folder), transforms.Compose(steps)),
        batch_size=BATCH, shuffle=True, num_workers=2, persistent_workers=True,
    )  # fmt: skip
    return lambda view: (images for images, _ in loader)


def packed_epochs(table: SampleTable, folder: Path, augment: AugmentSpec) -> Callable[[int], Iterator[Tensor]]:
    packed = pack(table, size=(SIDE, SIDE), folder=folder)
    batches = Batches(packed, np.arange(len(packed)), batch_size=BATCH, shuffle=True, augment=augment, workers=2)
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    return lambda view: (batch.images.sub_(mean).div_(std) for batch in batches.epoch(view))


def rate(epoch: Iterator[Tensor]) -> float:
    """Images per second of one epoch."""
    start, count = time.perf_counter(), 0
    for images in epoch:
        count += len(images)
    return count / (time.perf_counter() - start)


def spread(values: list[float], form: str) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def compare(table: SampleTable, folder: Path, rounds: int) -> None:
    for row in range(len(table)):
        place = folder / "png" / NAMES[row % len(NAMES)]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(table.read(row)[0]).save(place / f"{row}.png")
    print(f"{len(table)} images of {SIDE} px, batch {BATCH}, two workers each; median (quartiles)")
    for name, affine, spec in (
        ("flips, transpose", False, TURNS),
        ("flips, transpose, rotation, shift, scale", True, TURNS_AND_AFFINE),
    ):
        theirs, ours = folder_epochs(folder / "png", affine=affine), packed_epochs(table, folder / "cache", spec)
        rates = []
        for view in range(rounds + 1):
            rates.append((rate(theirs(view)), rate(ours(view))))
        loader, packed = (list(side) for side in zip(*rates[1:], strict=True))  # the first round warms up
        ratios = [b / a for a, b in zip(loader, packed, strict=True)]
        print(f"{name}:")
        print(f"  ImageFolder + DataLoader  {spread(loader, '9.0f')} images/s")
        print(f"  packed set + Batches      {spread(packed, '9.0f')} images/s")
        print(f"  ratio                     {spread(ratios, '9.1f')}")


def scaling(folder: Path, rounds: int) -> None:
    """Images per second by number of packed images; all sizes take turns, 10,000 images each time."""
    source = phantom(images=400, size=SIDE)
    pixels = [source.read(row)[0] for row in range(400)]
    sides: dict[int, Batches] = {}
    for count in (1_000, 10_000, 100_000):
        frame = pd.DataFrame({"id": [f"{row}" for row in range(count)], "label": np.arange(count) % 8})
        frame[["image", "mask", "group", "split"]] = None
        table = SampleTable(
            "repeated", "classification", NAMES, frame, lambda row: (pixels[row % 400], None), identity="phantom"
        )
        packed = pack(table, size=(SIDE, SIDE), folder=folder)
        sides[count] = Batches(packed, np.arange(count), batch_size=BATCH, shuffle=True, augment=TURNS, workers=2)

    def some(batches: Batches, view: int) -> Iterator[Tensor]:
        for part in range(max(1, 10_000 // len(batches.rows))):
            for number, batch in enumerate(batches.epoch(100 * view + part)):
                if number * BATCH >= 10_000:
                    return
                yield batch.images

    rates: dict[int, list[float]] = {count: [] for count in sides}
    for view in range(rounds + 1):
        for count, batches in sides.items():
            rates[count].append(rate(some(batches, view)))
            print(f"  round {view}: {count:7d} images packed, resident memory {_resident_megabytes():.0f} MB")
    for count, found in rates.items():
        against = [value / base for value, base in zip(found[1:], rates[1_000][1:], strict=True)]
        print(f"{count:7d} images packed: {spread(found[1:], '9.0f')} images/s, {spread(against, '.3f')} of 1,000")


def _resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scaling", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if options.scaling:
            scaling(Path(folder), options.rounds)
        else:
            compare(phantom(images=options.images, size=SIDE), Path(folder), options.rounds)


if __name__ == "__main__":
    main()
