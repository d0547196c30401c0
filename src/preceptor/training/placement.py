"""How a network is best computed on this machine: memory layout, precision, folding; measured, not assumed.

Layouts that help one architecture hurt another, and half precision makes some networks slower on a CPU. So each
network is timed for a moment as it will be used, and what was found is remembered per machine, network and size.
"""

import copy
import hashlib
import itertools
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from preceptor.files import expand, write_json
from preceptor.networks.fold import folded
from preceptor.networks.network import Network

ROUNDS = 3
WORTH = 0.95
"""Another way must take less than this share of the plain one's time: noise shall not choose."""


class Way(NamedTuple):
    """One way to compute a network.

    Args:
        channels_last: memory layout of its weights and images.
        half: under autocast in the recipe's lower precision; else in float32.
        folded: with BatchNorm in the convolutions before it, for frozen networks.
    """

    channels_last: bool = False
    half: bool = False
    folded: bool = False

    def __str__(self) -> str:
        layout, precision = ("contiguous", "channels last")[self.channels_last], ("float32", "half")[self.half]
        return f"{layout}, {precision}{', BatchNorm folded' if self.folded else ''}"


@dataclass(frozen=True, slots=True)
class Placement:
    """How one network is computed.

    Args:
        times: seconds of a step by way, medians of :data:`ROUNDS`.
    """

    way: Way
    times: dict[str, float]

    def words(self) -> str:
        """The choice and why, in one line."""
        measured = ", ".join(f"{way} {1000 * seconds:.0f} ms" for way, seconds in self.times.items())
        return f"{self.way} ({measured})"


def place(network: Network, batch_size: int, *, trains: bool, precision: torch.dtype | None) -> Placement:
    """The measured placement of ``network``, from memory where this machine has measured it before.

    Args:
        precision: of the recipe; None leaves only the layout to choose, and folding.
        trains: a step has a backward pass.
    """
    file = _folder() / f"{_key(network, batch_size, trains, precision)}.json"
    if file.exists():
        found = json.loads(file.read_text())
        return Placement(Way(*found["way"]), found["times"])
    chosen = choose(_times(network, batch_size, trains, precision))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, asdict(chosen))
    return chosen


def choose(times: dict[Way, float]) -> Placement:
    """The fastest of the measured ways; folding, another layout or precision only where it is clearly faster.

    Args:
        times: seconds by way; holds the plain one.
    """
    best = Way()
    for half, folds in sorted({(way.half, way.folded) for way in times}):
        fastest = min((way for way in times if (way.half, way.folded) == (half, folds)), key=lambda way: times[way])
        if times[fastest] < WORTH * times[best]:
            best = fastest
    return Placement(best, {str(way): seconds for way, seconds in times.items()})


def _times(network: Network, batch_size: int, trains: bool, precision: torch.dtype | None) -> dict[Way, float]:
    """Ways are timed in turn, round after round, so that a busy moment does not hit one of them alone."""
    forms = {False: network}
    if not trains and (twin := folded(network)) is not network:
        forms[True] = twin
    steps = {}
    for half, folds, channels_last in itertools.product((False, True) if precision else (False,), forms, (False, True)):
        way = Way(channels_last, half, folds)
        steps[way] = _step(forms[folds], batch_size, trains, channels_last, precision if half else None)
    rounds: dict[Way, list[float]] = {way: [] for way in steps}
    for number in range(ROUNDS + 1):
        for way, step in steps.items():
            began = time.perf_counter()
            step()
            if number:  # the first round warms up
                rounds[way].append(time.perf_counter() - began)
    return {way: statistics.median(seconds) for way, seconds in rounds.items()}


def _step(
    network: Network, batch_size: int, trains: bool, channels_last: bool, precision: torch.dtype | None
) -> Callable[[], None]:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    twin: nn.Module = copy.deepcopy(network).to(memory_format=layout).train(trains)
    images = network.made_up_image().expand(batch_size, -1, -1, -1).contiguous(memory_format=layout)

    def step() -> None:
        with (
            torch.random.fork_rng(),
            torch.set_grad_enabled(trains),
            torch.autocast(images.device.type, dtype=precision, enabled=precision is not None),
        ):
            logits = twin(images).logits
        if trains:
            twin.zero_grad()
            logits.float().square().mean().backward()
        if images.device.type == "cuda":
            torch.cuda.synchronize(images.device)

    return step


def _folder() -> Path:
    return expand(os.environ.get("PRECEPTOR_CACHE") or "~/.cache/preceptor") / "placement"


def _key(network: Network, batch_size: int, trains: bool, precision: torch.dtype | None) -> str:
    device = network.mean.device
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    use = (network.blueprint.to_json(), batch_size, trains, str(precision))
    about = (machine, torch.__version__, torch.get_num_threads(), *use, Way._fields)
    return hashlib.sha256(repr(about).encode()).hexdigest()[:24]


def _processor() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
