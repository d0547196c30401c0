"""How quickly students answer: torch eager, onnxruntime in floats, onnxruntime in whole numbers (int8).

Networks have random weights; speed does not depend on them. Calls are interleaved in rounds, so that a busy machine
slows all three, and medians are told.

    python benchmarks/deploy.py
    python benchmarks/deploy.py --rounds 9 --seconds 5 --sizes 32 224
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from preceptor.deploy.engines import OnnxEngine, TorchEngine, graph_input
from preceptor.deploy.int8 import quantised
from preceptor.deploy.onnx_graph import graph_of
from preceptor.deploy.timing import interleaved
from preceptor.networks.build import build_network
from preceptor.networks.network import Network
from preceptor.specs import NetworkSpec, Task

Engines = Callable[[int], tuple[Any, ...]]
"""Threads -> torch, then the model in floats and in whole numbers."""

UNET = {"architecture": "unet", "encoder": "tu-mobilenetv3_small_050", "weights": "none"}
NETWORKS: dict[str, tuple[Task, dict[str, str]]] = {
    "ResNet-18": ("classification", {"architecture": "resnet18", "weights": "none"}),
    "MobileNetV3-Small 0.5": ("classification", {"architecture": "mobilenetv3_small_050", "weights": "none"}),
    "MixNet-S": ("classification", {"architecture": "mixnet_s", "weights": "none"}),
    "U-Net, MobileNetV3-Small 0.5": ("segmentation", UNET),
}


def built(name: str, size: int) -> Network:
    task, values = NETWORKS[name]
    spec = NetworkSpec.model_validate(values)
    network = build_network(spec, task=task, classes=("a", "b"), image_size=(size, size), seed=0)
    return network.eval()


def engines(name: str, size: int) -> tuple[Engines, float]:
    """What computes, as (threads -> callable of images, by kind), and the seconds that writing the graph took."""
    start = time.perf_counter()
    graph = graph_of(built(name, size))
    seconds = time.perf_counter() - start
    noise = np.random.default_rng(0).integers(0, 256, (32, size, size, 3), dtype=np.uint8)
    whole = quantised(graph, noise, per_channel=True, spares=False)
    eager = TorchEngine(built(name, size), "cpu")

    def of(threads: int) -> tuple[Any, ...]:
        return eager, *(OnnxEngine(content, graph.size, threads=threads) for content in (graph.content, whole))

    return of, seconds


def rounds_for(calls: Sequence[Callable[[], object]], most: int, seconds: float) -> int:
    """As many rounds as the time allows, at least three."""
    start = time.perf_counter()
    for call in calls:
        call()
        call()
    return int(np.clip(seconds / (time.perf_counter() - start) * 2, 3, most))


def compared(of: Engines, size: int, batch: int, threads: int, most: int, seconds: float) -> tuple[list[float], int]:
    """Images a second of each of the three, and how many rounds there were."""
    torch.set_num_threads(threads)
    pixels = np.random.default_rng(1).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    images = graph_input(pixels, (size, size))
    eager, *models = of(threads)
    calls = [partial(eager, pixels), *(partial(model.of_floats, images) for model in models)]
    rounds = rounds_for(calls, most, seconds)
    return [batch / took for took in interleaved(calls, rounds)], rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="at most")
    parser.add_argument("--seconds", type=float, default=2.0, help="about, of each row")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 96, 224])
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{len(os.sched_getaffinity(0))} processors, load at the beginning {load}; images a second", flush=True)
    print("| network | px | batch | threads | torch | float32 | int8 | float32 : torch | int8 : float32 | rounds |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    written: dict[tuple[str, int], float] = {}
    for name in given.networks:
        for size in given.sizes:
            of, written[name, size] = engines(name, size)
            for batch in given.batches:
                for threads in given.threads:
                    found, rounds = compared(of, size, batch, threads, given.rounds, given.seconds)
                    eager, floats, whole = found
                    speeds = " | ".join(f"{one:.0f}" if one >= 10 else f"{one:.1f}" for one in found)
                    ratios = f"{floats / eager:.1f} | {whole / floats:.2f}"
                    print(f"| {name} | {size} | {batch} | {threads} | {speeds} | {ratios} | {rounds} |", flush=True)
    for (name, size), seconds in written.items():
        print(f"ONNX of {name} at {size} px written in {seconds:.1f} s")


if __name__ == "__main__":
    main()
