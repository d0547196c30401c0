"""A model in whole numbers (int8), kept where it is as good as the one in floats and earns its place by speed.

onnxruntime's static quantisation with QDQ pairs: weights signed, activations unsigned, ranges from training images.
"""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from preceptor.data.prepare import Prepared
from preceptor.deploy.contract import Contract
from preceptor.deploy.engines import OnnxEngine, graph_input, in_batches
from preceptor.deploy.guard import LEAST_SPEED, Int8Verdict, judge
from preceptor.deploy.held_out import training_sample, validation_sample
from preceptor.deploy.nodes import delicate_nodes
from preceptor.deploy.onnx_graph import OnnxGraph
from preceptor.deploy.timing import Speed, speeds

CALIBRATED_ON, JUDGED_ON = 512, 2048
_PIXELS = 64 * 256 * 256  # that calibration and judgement may hold at once in logits

WAYS: dict[str, dict[str, bool]] = {
    "a scale for each channel": {"per_channel": True, "spares": False},
    "a scale for each tensor": {"per_channel": False, "spares": False},
    "a scale for each channel, delicate layers in floats": {"per_channel": True, "spares": True},
}
"""What is tried, in order; the first that is as good is taken."""


@dataclass(frozen=True, slots=True)
class Try:
    """One way and what came of it."""

    way: str
    size: int
    verdict: Int8Verdict

    def to_json(self) -> dict[str, Any]:
        """For ``bundle.json``."""
        return {"way": self.way, "bytes": self.size, **self.verdict.to_json()}


@dataclass(frozen=True, slots=True)
class Int8:
    """The model in whole numbers, where it is to answer, and why or why not.

    Args:
        content: the ONNX file, or None.
        why: which model answers, in words with numbers.
        tries: in the order in which they were made.
        timing: milliseconds by batch, of both.
    """

    content: bytes | None
    why: str
    tries: tuple[Try, ...] = ()
    timing: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For ``bundle.json``."""
        return {"kept": self.content is not None, "tries": [one.to_json() for one in self.tries]}


def int8_model(graph: OnnxGraph, contract: Contract, prepared: Prepared, choice: str) -> Int8:
    """The model in whole numbers by ``choice``: ``off``, ``auto`` or ``force``, which does not ask the clock."""
    if choice == "off":
        return Int8(None, "whole numbers were not asked for")
    height, width = contract.image_size
    most = max(16, _PIXELS // (height * width))
    calibration = training_sample(prepared, min(CALIBRATED_ON, most))
    judged = validation_sample(prepared, min(JUDGED_ON, most))
    floats = OnnxEngine(graph.content, graph.size)
    images = list(judged.pixels)
    wanted = in_batches(floats, images, 32)
    tries: list[Try] = []
    for way, settings in WAYS.items():
        content = quantised(graph, calibration.pixels, **settings)
        engine = OnnxEngine(content, graph.size)
        verdict = judge(wanted, in_batches(engine, images, 32), judged)
        tries.append(Try(way, len(content), verdict))
        if not verdict.objections:
            channels = contract.reading.channels
            return _timed(graph, content, (floats, engine), tuple(tries), channels, asks_the_clock=choice == "auto")
    best = max(tries, key=lambda one: one.verdict.agreement)
    reasons = "; ".join(best.verdict.objections)
    why = f"in whole numbers it is not as good in any of {len(tries)} ways; at best ({best.way}) {reasons}"
    return Int8(None, why, tuple(tries))


def quantised(graph: OnnxGraph, pixels: np.ndarray, *, per_channel: bool, spares: bool) -> bytes:
    """``graph`` in whole numbers, with ranges from ``pixels`` (N, H, W, C).

    Args:
        per_channel: a scale for each output channel of a layer instead of one for all.
        spares: leave the first and last layer, depthwise convolutions and squeeze-excite gates in floats.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
        def __init__(self) -> None:
            self._batches = _batches(pixels, graph.size)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._batches, None)

    with tempfile.TemporaryDirectory() as folder, _quietly():
        given, ready, made = (Path(folder) / name for name in ("given.onnx", "ready.onnx", "made.onnx"))
        given.write_bytes(graph.content)
        quant_pre_process(given, ready, skip_symbolic_shape=True)
        quantize_static(
            ready,
            made,
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=per_channel,
            nodes_to_exclude=delicate_nodes(ready) if spares else [],
        )
        return made.read_bytes()


def _batches(pixels: np.ndarray, size: tuple[int, int]) -> Iterator[dict[str, np.ndarray]]:
    for first in range(0, len(pixels), 16):
        yield {"images": graph_input(pixels[first : first + 16], size)}


def _timed(
    graph: OnnxGraph,
    content: bytes,
    engines: tuple[OnnxEngine, OnnxEngine],
    tries: tuple[Try, ...],
    channels: int,
    *,
    asks_the_clock: bool,
) -> Int8:
    verdict, size = tries[-1].verdict, len(content) / len(graph.content)
    numbers = (
        f"{tries[-1].way}: {100 * verdict.agreement:.1f} % of the answers agree, score {100 * verdict.difference:+.2f} "
        f"points (95 % interval {100 * verdict.low:+.2f} to {100 * verdict.high:+.2f}) on {verdict.images} validation "
        f"images, {100 * size:.0f} % of the size"
    )
    if not asks_the_clock:
        return Int8(content, f"in whole numbers it is as good ({numbers}); the clock was not asked", tries)
    found = speeds(*engines, (channels, *graph.size), (1, 16))
    slowest = min(one.ratio for one in found)
    timing = {"onnxruntime": _milliseconds(found)}
    if slowest >= LEAST_SPEED:
        return Int8(content, f"in whole numbers it is as good ({numbers}) and quicker here", tries, timing)
    why = f"in whole numbers it is as good ({numbers}), but not {LEAST_SPEED} times as quick here; see `timing`"
    return Int8(None, why, tries, timing)


def _milliseconds(found: list[Speed]) -> list[dict[str, float]]:
    return [
        {"batch": one.batch, "float32_ms": round(1e3 * one.first, 3), "int8_ms": round(1e3 * one.second, 3)}
        for one in found
    ]


@contextmanager
def _quietly() -> Iterator[None]:
    """Without onnxruntime's advice."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
