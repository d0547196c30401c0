"""How long one image takes, measured here and now."""

import statistics
import time
from collections.abc import Mapping

import torch

from preceptor.networks.network import Network


@torch.inference_mode()
def latencies(networks: Mapping[str, Network], *, rounds: int = 20) -> dict[str, dict[str, float]]:
    """Milliseconds for one image in eval mode, with as many threads as torch has: median and quartiles by network.

    The networks take turns, so that whatever else the machine does for a while slows all of them alike.
    """
    images = {name: network.eval().made_up_image() for name, network in networks.items()}
    times: dict[str, list[float]] = {name: [] for name in networks}
    for number in range(-3, rounds):  # the first three warm up
        for name, network in networks.items():
            _wait(images[name].device)
            began = time.perf_counter()
            network(images[name])
            _wait(images[name].device)
            if number >= 0:
                times[name].append(1000 * (time.perf_counter() - began))
    return {name: _summary(own) for name, own in times.items()}


def _summary(times: list[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(times, n=4)
    return {"median_ms": middle, "low_ms": low, "high_ms": high, "threads": torch.get_num_threads()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
