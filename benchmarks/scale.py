"""How the cost of data grows with the number of packed images: it should grow linearly, and memory not at all.

    python benchmarks/scale.py [--sizes 1000 10000 100000] [--rounds 5] [--steps 60]

Phantom images of 96 px are packed as training packs them (400 pictures again and again, each with its number in a
corner, so that no two are equal). Then, with batches of 32:

- images per second of batches (flips and transpose), and of training steps of a tiny network by preceptor's loop. All
  sizes take turns, round after round, with as many each; ratios to the first size are of one round. The
  same images are read in every round, so that a system short of memory does not measure its disk.
- what `preceptor train` does at each size in a process of its own: resident memory after these steps, its peak, and the
  time from the start of the process to the end of the first step, without what imports take.
- how long it takes to open a packed set of 220,000 images (a sparse file: no pixel is read when a set is opened).

The packed sets need 28 kB an image in the temporary folder and are removed afterwards.
"""

import argparse
import builtins
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

SIDE, BATCH, PICTURES = 96, 32, 400
SECONDS = ("first", "imports")
STARTED = (
    time.time()
    - time.clock_gettime(time.CLOCK_BOOTTIME)
    + int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
)  # when this process began
_import, _importing = builtins.__import__, [0.0, 0.0]  # how deep we are, seconds so far


def _timed_import(*given: Any, **named: Any) -> Any:
    _importing[0] += 1
    began = time.perf_counter()
    try:
        return _import(*given, **named)
    finally:
        _importing[0] -= 1
        if not _importing[0]:
            _importing[1] += time.perf_counter() - began


builtins.__import__ = _timed_import

import numpy as np  # noqa: E402

from preceptor.recipe import Recipe, load_recipe, parse_recipe  # noqa: E402

if TYPE_CHECKING:
    from preceptor.data.batches import Batch, Batches


def recipe_of(count: int, cache: Path, threads: int) -> Recipe:
    """A tiny network alone."""
    return parse_recipe(
        {
            "task": "classification",
            "data": {
                "source": "phantom",
                "options": {"size": SIDE, "images": count},
                "image_size": SIDE,
                "cache": str(cache),
            },
            "augment": {"transpose": True},
            "networks": {"student": {"architecture": "test_resnet", "weights": "none"}, "count": 1},
            "technique": {"name": "baseline"},
            "training": {"epochs": 1000, "batch_size": BATCH, "threads": threads},
        }
    )


def pack_phantoms(recipe: Recipe) -> None:
    """The packed set that training will find, made of few pictures."""
    from preceptor.data.prepare import cache_folder
    from preceptor.data.sources.phantom import phantom
    from preceptor.data.store import pack

    table = phantom(**recipe.data.options)
    pictures = [table.read(row)[0] for row in range(PICTURES)]

    def read(row: int) -> tuple[Any, None]:
        picture = pictures[row % PICTURES].copy()
        picture[0, 0] = row & 255, row >> 8 & 255, row >> 16
        return picture, None

    pack(replace(table, read=read), size=recipe.data.size, folder=cache_folder(recipe.data))


class Steps:
    """So many batches, epoch after epoch, as one epoch; the same every time, so that the system has them in memory."""

    def __init__(self, batches: "Batches", count: int) -> None:
        self._batches, self._count, self.packed = batches, count, batches.packed

    def __len__(self) -> int:
        return self._count

    def epochs(self, first: int, last: int, start: int = 0) -> Generator["Batch"]:
        with closing(self._batches.epochs(0, -(-self._count // len(self._batches)))) as coming:
            yield from islice(coming, self._count)


class Size:
    """A packed set of one size, ready to train."""

    def __init__(self, recipe: Recipe, folder: Path, steps: int, loaded: int) -> None:
        from preceptor.data.prepare import prepare
        from preceptor.machine.fabric import make_fabric
        from preceptor.training.run import run_of

        self._run = run_of(recipe, prepare(recipe), make_fabric("cpu"), folder / "run")
        self._stage = self._run.plan.stages[0]
        self._cohort = self._run.builder.cohort(self._stage)
        batches = self._run.builder.batches(self._stage, self._cohort)
        self._steps, self._loaded = Steps(batches, steps), Steps(batches, loaded)

    def batches(self) -> float:
        """Images per second."""
        began = time.perf_counter()
        images = sum(len(batch.images) for batch in self._loaded.epochs(0, 1))
        return images / (time.perf_counter() - began)

    def training(self) -> float:
        """Images per second of training steps."""
        from preceptor.training.fit import train_stage

        at = train_stage(
            self._run.fabric,
            replace(self._stage, name=f"main{time.perf_counter_ns()}", epochs=1),
            self._cohort,
            self._steps,
            lambda networks: {name: {"accuracy": 0.0} for name in networks},
            self._run.builder.checkpoints.folder,
            monitor="accuracy",
            seed=0,
        )
        return at.images / at.seconds


def rates(recipes: dict[int, Recipe], folder: Path, rounds: int, steps: int, loaded: int) -> None:
    import torch

    torch.set_num_threads(next(iter(recipes.values())).training.threads or torch.get_num_threads())
    sizes = {count: Size(recipe, folder, steps, loaded) for count, recipe in recipes.items()}
    for what in ("batches", "training"):
        found: dict[int, list[float]] = {count: [] for count in sizes}
        for _ in range(rounds + 1):  # the first round warms up
            for count, size in sizes.items():
                found[count].append(getattr(size, what)())
        base = next(iter(found.values()))
        for count, values in found.items():
            ratios = [value / other for value, other in zip(values[1:], base[1:], strict=True)]
            print(f"{what:<9}{count:8d} images: {spread(values[1:], '7.0f')} images/s, {spread(ratios, '.3f')} of the "
                  "first size", flush=True)  # fmt: skip


# a process of its own -------------------------------------------------------------------------------------------------


class Counted:
    """A watcher that ends the process after so many steps, and says what it took."""

    def __init__(self, steps: int) -> None:
        self._left, self._first = steps, 0.0

    def stage(self, *what: object) -> None: ...
    def epoch(self, *what: object) -> None: ...
    def step(self, *what: object) -> None:
        self._first = self._first or time.time() - STARTED - _importing[1]
        self._left -= 1
        if not self._left:
            kilobytes = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
            memory = {name: int(kilobytes[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon", "VmHWM")}
            print(json.dumps({"first": self._first, "imports": _importing[1], **memory}), flush=True)
            os._exit(0)


def train_in_this_process(file: Path, out: Path, steps: int) -> None:
    import preceptor.cli.main  # noqa: F401  # what the command imports first
    from preceptor.training.run import train_recipe

    train_recipe(load_recipe(file)[0], out, device="cpu", watchers=[Counted(steps)])


def processes(recipes: dict[int, Recipe], folder: Path, rounds: int, steps: int) -> None:
    for count, recipe in recipes.items():
        (folder / f"{count}.yaml").write_text(recipe.to_yaml())
    found: dict[int, list[dict[str, float]]] = {count: [] for count in recipes}
    for number in range(rounds):
        for count in recipes:
            place = [str(folder / f"{count}.yaml"), str(folder / f"out-{count}-{number}")]
            answer = subprocess.run(
                [sys.executable, __file__, "--child", *place, "--steps", str(steps)],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            found[count].append(json.loads(answer.stdout.splitlines()[-1]))
    for count, each in found.items():
        values = {name: spread([one[name] for one in each], ".2f" if name in SECONDS else ".0f") for name in each[0]}
        print(
            f"process  {count:8d} images: resident {values['VmRSS']} MB, of that anonymous {values['RssAnon']}, "
            f"peak {values['VmHWM']};\n  first step after {values['first']} s, and imports of {values['imports']} s",
            flush=True,
        )


def opening(count: int, folder: Path, rounds: int) -> None:
    """Time to open a set of which only the table is real."""
    import pandas as pd

    from preceptor.data.packed import FORMAT, open_packed, save_about, save_sums, save_table

    numbers = range(count)
    frame = pd.DataFrame(
        {
            "id": [f"phantom-{row:06d}" for row in numbers],
            "label": np.arange(count) % 8,
            "group": [f"phantom-patient-{row // 8 % 2000:04d}" for row in numbers],
            "split": pd.Series([None] * count, dtype=object),
            "pixels": [f"{row:032x}" for row in numbers],
        }
    )
    place = folder / "open"
    place.mkdir()
    save_table(place / "table.npz", frame)
    with (place / "images.u8").open("wb") as file:
        file.truncate(count * SIDE * SIDE * 3)
    about = {"format": FORMAT, "source": "phantom", "task": "classification", "classes": ["a", "b"], "grouping": None}
    more = {"notes": [], "rows": count, "size": [SIDE, SIDE], "fingerprint": ""}
    save_sums(place, np.full(count, zlib.crc32(bytes(SIDE * SIDE * 3)), dtype=np.uint32), None)
    save_about(place, about | more)
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        open_packed(place)
        taken.append(time.perf_counter() - began)
    print(f"opening a packed set of {count:,} images: {spread(taken, '.2f')} s", flush=True)


def spread(values: Sequence[float], form: str) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=[1_000, 10_000, 100_000])
    parser.add_argument("--open", type=int, default=220_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batches", type=int, default=1000, help="in a round without training: they are fast")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        file, out = given.child
        train_in_this_process(file, out, given.steps)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipes = {count: recipe_of(count, folder / "cache", given.threads) for count in given.sizes}
        for count, recipe in recipes.items():
            began = time.perf_counter()
            pack_phantoms(recipe)
            print(f"packing  {count:8d} images: {time.perf_counter() - began:.1f} s", flush=True)
        opening(given.open, folder, given.rounds)
        processes(recipes, folder, given.rounds, given.steps)
        rates(recipes, folder, given.rounds, given.steps, given.batches)


if __name__ == "__main__":
    main()
