"""How a network is best computed on this machine: layout, precision, folding, and so on; measured, not assumed.

Layouts that help one architecture hurt another, and half precision makes some networks slower on a CPU. So each
network is timed for a moment as it will be used, and what was found is remembered per machine, network and size.
"""

import copy
import errno
import hashlib
import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch._dynamo.exc import TorchDynamoException

from preceptor.errors import DamagedFileError
from preceptor.files import file_lock
from preceptor.machine.compiled import compiled
from preceptor.machine.fold import with_folded_norms
from preceptor.machine.processor import processor_name
from preceptor.machine.recorder import RECORDERS, WARM_UP, Recorder, Recording
from preceptor.networks.network import Network
from preceptor.notes import note_aside
from preceptor.sealed import read_sealed, write_sealed

PLACEMENTS = "placement"
"""Folder of a cache in which measurements are kept."""
ROUNDS = 3
WORTH = 0.95
"""Another way must take less than this share of the plain one's time: noise shall not choose."""
LONG = 1800.0
"""Seconds that a network's steps must take in all before compiling it, which takes up to a minute, is tried."""
MEASURED_FROM = 1000
"""Steps of a stage from which `placement: auto` measures: it takes some dozens of each network."""
BATCH_GROUP_PIXELS = {"cpu": 2**18.5, "cuda": 2**21}
"""What the images of a group of batches may have in all; beyond it, larger calls gain little and cost memory."""


class Placement(NamedTuple):
    """One way to compute a network.

    Args:
        channels_last: memory layout of its weights and images.
        half: under autocast in the recipe's lower precision; else in float32.
        folded: with BatchNorm in the convolutions before it, for frozen networks.
        compiled: by ``torch.compile``.
        batch_group: batches in one call, for frozen networks.
    """

    channels_last: bool = False
    half: bool = False
    folded: bool = False
    compiled: bool = False
    batch_group: int = 1

    def __str__(self) -> str:
        layout, precision = ("contiguous", "channels last")[self.channels_last], ("float32", "half")[self.half]
        batch_group = f", {self.batch_group} batches at once" if self.batch_group > 1 else ""
        more = (", BatchNorm folded" if self.folded else "") + batch_group + (", compiled" if self.compiled else "")
        return f"{layout}, {precision}{more}"


PLAIN = Placement()


@dataclass(frozen=True, slots=True)
class MeasuredPlacement:
    """How one network is computed.

    Args:
        times: seconds of a batch by way, medians of :data:`ROUNDS`; None for what does not work here. Empty where
            nothing was measured.
    """

    placement: Placement
    times: dict[str, float | None]

    def words(self) -> str:
        """The choice and why, in one line."""
        if not self.times:
            return f"{self.placement}, unmeasured"
        told = {
            placement: "fails" if seconds is None else f"{1000 * seconds:.0f} ms"
            for placement, seconds in self.times.items()
        }
        return f"{self.placement} ({', '.join(f'{placement} {word}' for placement, word in told.items())})"


def largest_batch_group(batch_size: int, image_size: Sequence[int], steps: int, device: str) -> int:
    """Batches that frozen networks may be asked about at once: a power of two, small enough for epochs of ``steps``.

    Args:
        batch_size: images of one process.
        image_size: height and width.
    """
    batch_group, pixels = 1, batch_size * math.prod(image_size)
    while (
        2 * batch_group * pixels <= BATCH_GROUP_PIXELS[device]
        and -(-steps // (2 * batch_group)) * 2 * batch_group <= 1.1 * steps
    ):
        batch_group *= 2
    return batch_group


def placement_for(
    network: Network,
    batch_size: int,
    *,
    folder: Path,
    trains: bool,
    precision: torch.dtype | None,
    epochs: int,
    steps: int,
) -> MeasuredPlacement:
    """The measured placement of ``network``, from memory where this machine has measured it before.

    Args:
        folder: where measurements are kept.
        precision: of the recipe; None leaves only the layout to choose, and folding.
        trains: a step has a backward pass.
        epochs: that it will train or teach; many steps are worth compiling it.
        steps: of an epoch.
    """
    file = folder / f"{_key(network, batch_size, trains, precision)}.json"

    def better(found: MeasuredPlacement, rival: Placement, name: str) -> MeasuredPlacement:
        """The better one of what was found and a rival."""
        placements = (found.placement, rival)
        measured = _remembered(
            file.with_suffix(f".{name}.json"),
            lambda: fastest_placement(
                _times(network, batch_size, trains, precision, placements), plain=found.placement
            ),
        )
        return MeasuredPlacement(measured.placement, found.times | measured.times)

    placements = itertools.product(
        (False, True), (False, True) if precision else (False,), (False,) if trains else (False, True)
    )
    found = _remembered(
        file,
        lambda: fastest_placement(
            _times(network, batch_size, trains, precision, itertools.starmap(Placement, placements))
        ),
    )
    batch_group = 1 if trains else largest_batch_group(batch_size, network.image_size, steps, network.mean.device.type)
    if batch_group > 1:
        found = better(found, found.placement._replace(batch_group=batch_group), f"batch_group{batch_group}")
    if epochs * steps * (found.times.get(str(found.placement)) or 0) >= LONG:
        found = better(found, found.placement._replace(compiled=True), f"compiled{found.placement.batch_group}")
    return found


def _remembered(file: Path, measure: Callable[[], MeasuredPlacement]) -> MeasuredPlacement:
    """What ``file`` holds; where it is missing or damaged, measured, by one process of this machine at a time.

    Where nothing can be written, the plain way: unremembered, another could be found by a run that goes on.
    """
    if (found := _read(file)) is None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file_lock(file.parent / "lock"):
                if (found := _read(file)) is None:  # by now
                    found = measure()
                    write_sealed(file, asdict(found))
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            note_aside(f"{file.parent}: cannot be written ({error.strerror}), so no way of computing is measured")
            return MeasuredPlacement(PLAIN, {})
    return found


def _read(file: Path) -> MeasuredPlacement | None:
    try:
        about, _ = read_sealed(file, "")
        return MeasuredPlacement(Placement(*about["placement"]), about["times"])
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError) as error:
        reason = error.reason if isinstance(error, DamagedFileError) else "is no measurement"
        note_aside(f"{file}: {reason}; it is measured anew")
        with suppress(OSError):
            file.unlink(missing_ok=True)
        return None


def fastest_placement(times: Mapping[Placement, float], plain: Placement = PLAIN) -> MeasuredPlacement:
    """The fastest of the measured ways; any change but of the layout only where it is clearly faster.

    Args:
        times: seconds by way; holds the plain one.
    """
    best = plain
    for more in sorted({placement[1:] for placement in times}):
        fastest = min(
            (placement for placement in times if placement[1:] == more), key=lambda placement: times[placement]
        )
        if times[fastest] < WORTH * times[best]:
            best = fastest
    return MeasuredPlacement(
        best, {str(placement): seconds if math.isfinite(seconds) else None for placement, seconds in times.items()}
    )


def _times(
    network: Network, batch_size: int, trains: bool, precision: torch.dtype | None, placements: Iterable[Placement]
) -> dict[Placement, float]:
    """Ways are timed in turn, round after round, so that a busy moment does not hit one of them alone.

    Before each timed step comes one that is not: it finds again what the other ways have pushed out of caches, those of
    the convolution library's compiled kernels above all.
    """
    device = network.mean.device
    kind = RECORDERS.get(device.type)
    recorder = kind() if kind else None
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        steps = {
            placement: _step(network, batch_size, trains, precision, placement, recorder) for placement in placements
        }
        rounds: dict[Placement, list[float]] = {placement: [] for placement in steps}
        for _ in range(ROUNDS):
            for placement in steps:
                rounds[placement].append(_second(steps[placement]) / placement.batch_group)
    if recorder:
        steps.clear()  # graphs, copies of the network and images, which nothing else may refer to by now
        torch.cuda.empty_cache()
    return {placement: statistics.median(seconds) for placement, seconds in rounds.items()}


def _second(step: Callable[[], None]) -> float:
    """Seconds of the second of two steps; infinite where it cannot be compiled or is too large for the device."""
    try:
        step()
        began = time.perf_counter()
        step()
    except (TorchDynamoException, torch.OutOfMemoryError):
        return math.inf
    return time.perf_counter() - began


def _step(
    network: Network,
    batch_size: int,
    trains: bool,
    precision: torch.dtype | None,
    placement: Placement,
    recorder: Recorder | None,
) -> Callable[[], None]:
    layout = torch.channels_last if placement.channels_last else torch.contiguous_format
    twin = (
        copy.deepcopy(with_folded_norms(network) if placement.folded else network)
        .to(memory_format=layout)
        .train(trains)
    )
    call = compiled(twin) if placement.compiled else twin
    dtype = precision if placement.half else None
    images = (
        network.made_up_image().expand(batch_size * placement.batch_group, -1, -1, -1).contiguous(memory_format=layout)
    )

    def step() -> None:
        with torch.set_grad_enabled(trains), torch.autocast(images.device.type, dtype=dtype, enabled=dtype is not None):
            logits = call(images).logits
        if trains:
            twin.zero_grad()
            logits.float().square().mean().backward()

    if recorder is None:
        return step
    return _OnDevice(step, recorder, is_recorded=trains)


class _OnDevice:
    """A step and the wait for its end; recorded, as training will, when it is first made.

    One that cannot be recorded is timed as it is.
    """

    def __init__(self, step: Callable[[], None], recorder: Recorder, *, is_recorded: bool) -> None:
        self._step, self._recorder, self._is_recorded = step, recorder, is_recorded
        self._recording: Recording[None] | None = None

    def __call__(self) -> None:
        if self._is_recorded:
            self._is_recorded = False
            for _ in range(WARM_UP):
                self._recorder.aside(self._step)
            with suppress(RuntimeError):
                self._recording = self._recorder.record(self._step)
        (self._recording or self._step)()
        self._recorder.wait()


def _key(network: Network, batch_size: int, trains: bool, precision: torch.dtype | None) -> str:
    device = network.mean.device
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
    use = (network.blueprint.to_json(), batch_size, trains, str(precision))
    about = (machine, torch.__version__, torch.get_num_threads(), *use, Placement._fields)
    return hashlib.sha256(repr(about).encode()).hexdigest()[:24]
