"""How a network is best computed on this machine: memory layout and precision, measured, not assumed.

Layouts that help one architecture hurt another, and half precision makes some networks slower on a CPU. So each
network is timed for a moment as it will be used, and what was found is remembered per machine, network and size.
"""

import copy
import hashlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from preceptor.files import expand, write_json
from preceptor.networks.network import Network

ROUNDS = 3
WORTH = 0.95
"""Another way must take less than this share of the plain one's time: noise shall not choose."""


@dataclass(frozen=True, slots=True)
class Placement:
    """How one network is computed.

    Args:
        channels_last: memory layout of its weights and images.
        half: under autocast in the recipe's lower precision; False keeps this network in float32.
        times: seconds of a step by way, medians of :data:`ROUNDS`.
    """

    channels_last: bool
    half: bool
    times: dict[str, float]

    def words(self) -> str:
        """The choice and why, in one line."""
        measured = ", ".join(f"{way} {1000 * seconds:.0f} ms" for way, seconds in self.times.items())
        return f"{_way(self.channels_last, self.half)} ({measured})"


def place(network: Network, batch_size: int, *, trains: bool, precision: torch.dtype | None) -> Placement:
    """The measured placement of ``network``, from memory where this machine has measured it before.

    Args:
        precision: of the recipe; None leaves only the layout to choose.
        trains: a step has a backward pass.
    """
    file = _folder() / f"{_key(network, batch_size, trains, precision)}.json"
    if file.exists():
        return Placement(**json.loads(file.read_text()))
    found = choose(_times(network, batch_size, trains, precision))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, asdict(found))
    return found


def choose(times: dict[tuple[bool, bool], float]) -> Placement:
    """The fastest of the measured ways; another layout or precision only where it is clearly faster.

    Args:
        times: (channels last, half) -> seconds; holds (False, False).
    """
    best = (False, False)
    for half in sorted({half for _, half in times}):
        fastest = min((way for way in times if way[1] == half), key=lambda way: times[way])
        if times[fastest] < WORTH * times[best]:
            best = fastest
    return Placement(*best, {_way(*way): seconds for way, seconds in times.items()})


def _times(
    network: Network, batch_size: int, trains: bool, precision: torch.dtype | None
) -> dict[tuple[bool, bool], float]:
    """Ways are timed in turn, round after round, so that a busy moment does not hit one of them alone."""
    steps = {}
    for half in (False, True) if precision else (False,):
        for channels_last in (False, True):
            steps[channels_last, half] = _step(network, batch_size, trains, channels_last, precision if half else None)
    rounds: dict[tuple[bool, bool], list[float]] = {way: [] for way in steps}
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


def _way(channels_last: bool, half: bool) -> str:
    return f"{'channels last' if channels_last else 'contiguous'}, {'half' if half else 'float32'}"


def _folder() -> Path:
    return expand(os.environ.get("PRECEPTOR_CACHE") or "~/.cache/preceptor") / "placement"


def _key(network: Network, batch_size: int, trains: bool, precision: torch.dtype | None) -> str:
    device = network.mean.device
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    about = (machine, torch.__version__, torch.get_num_threads(), network.blueprint.to_json(), batch_size, trains)
    return hashlib.sha256(repr((*about, str(precision))).encode()).hexdigest()[:24]


def _processor() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
