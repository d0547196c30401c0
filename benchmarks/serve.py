"""How `preceptor serve` bears many connections: answers a second, waiting times, memory; and that a rate is kept.

A small network is trained for one epoch and exported; a server answers on it in a process of its own, on this machine,
which the connections share with it.

    python benchmarks/serve.py
    python benchmarks/serve.py --seconds 15 --connections 50
"""

import argparse
import asyncio
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from preceptor.deploy.export import Options, export
from preceptor.recipe import parse_recipe
from preceptor.training.run import train_recipe

RECIPE = {
    "name": "served",
    "task": "classification",
    "data": {"source": "phantom", "image_size": 32, "options": {"images": 240}},
    "networks": {"student": {"architecture": "test_resnet", "weights": "none"}, "count": 1},
    "technique": {"name": "baseline"},
    "training": {"epochs": 1, "batch_size": 16, "lr": 0.01},
}
SETTLED = 10.0
"""Seconds after which memory is measured for the first time."""


@dataclass
class Seen:
    """What the connections saw: statuses, and the seconds of each answer."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


def picture() -> bytes:
    held = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).save(held, "PNG")
    return held.getvalue()


@contextmanager
def served(bundle: Path, rate: int) -> Iterator[tuple[int, int]]:
    """Process id and port of a server, which is stopped in the end."""
    command = [sys.executable, "-m", "preceptor", "serve", str(bundle), "--port", "0", "--rate", str(rate)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield process.pid, int(line.split("127.0.0.1:")[1].split("/")[0])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


async def ask_until(end: float, port: int, image: bytes, seen: Seen) -> None:
    """One connection that asks again as soon as it has its answer."""
    head = f"POST /predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(image)}\r\n\r\n".encode()
    while time.perf_counter() < end:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        is_open = True
        while is_open and time.perf_counter() < end:
            start = time.perf_counter()
            writer.write(head + image)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length"))
            await reader.readexactly(length)
            seen.statuses[int(lines[0].split()[1])] += 1
            seen.seconds.append(time.perf_counter() - start)
            is_open = "connection: close" not in lines
        writer.close()


async def measured(pid: int, port: int, connections: int, seconds: float) -> tuple[Seen, float, float]:
    """What was seen, and the megabytes of the server after the first seconds and at the end."""
    seen, image = Seen(), picture()
    end = time.perf_counter() + seconds
    asking = [asyncio.create_task(ask_until(end, port, image, seen)) for _ in range(connections)]
    await asyncio.sleep(min(SETTLED, seconds / 2))
    before = megabytes(pid)
    await asyncio.gather(*asking)
    return seen, before, megabytes(pid)


def megabytes(pid: int) -> float:
    """Memory that a process holds."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmRSS"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--connections", type=int, default=200)
    given = parser.parse_args()
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{len(os.sched_getaffinity(0))} processors, load at the beginning {load}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        run, bundle = Path(folder) / "run", Path(folder) / "bundle"
        train_recipe(parse_recipe(RECIPE), run, device="cpu", console=Console(file=io.StringIO()))
        export(run, bundle, Options(int8="off"))
        with served(bundle, rate=0) as (pid, port):
            seen, before, after = asyncio.run(measured(pid, port, given.connections, given.seconds))
        p50, p95 = (1000 * value for value in np.percentile(seen.seconds, [50, 95]))
        print(f"{given.connections} connections, {given.seconds:g} s, no rate: {len(seen.seconds)} answers, ", end="")
        print(f"{len(seen.seconds) / given.seconds:.0f} a second; statuses {dict(seen.statuses)}")
        print(
            f"p50 {p50:.0f} ms, p95 {p95:.0f} ms; memory {before:.0f} MB, grew by {after - before:.1f} MB", flush=True
        )
        with served(bundle, rate=60) as (pid, port):
            limited, _, _ = asyncio.run(measured(pid, port, 20, 3.0))
        print(f"20 connections, 3 s, 60 a minute: statuses {dict(limited.statuses)}")
    is_well = set(seen.statuses) == {200} and after - before < 20 and set(limited.statuses) == {200, 429}
    sys.exit(0 if is_well else "not as it should be")


if __name__ == "__main__":
    main()
