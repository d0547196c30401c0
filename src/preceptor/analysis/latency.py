"""How long one image takes, measured here and now."""

import statistics
import time

import torch

from preceptor.networks.network import Network


@torch.inference_mode()
def latency(network: Network, *, rounds: int = 20) -> dict[str, float]:
    """Milliseconds for one image in eval mode, with as many threads as torch has: median and quartiles."""
    image = network.made_up_image()
    network.eval()
    for _ in range(3):
        network(image)
    times = []
    for _ in range(rounds):
        _wait(image.device)
        began = time.perf_counter()
        network(image)
        _wait(image.device)
        times.append(1000 * (time.perf_counter() - began))
    low, middle, high = statistics.quantiles(times, n=4)
    return {"median_ms": middle, "low_ms": low, "high_ms": high, "threads": torch.get_num_threads()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
