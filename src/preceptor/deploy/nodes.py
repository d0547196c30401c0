"""Layers of a graph that whole numbers serve badly."""

from pathlib import Path
from typing import Any

_LAYERS = ("Conv", "Gemm", "MatMul")
_POOLING = ("GlobalAveragePool", "ReduceMean")


def delicate_nodes(path: Path) -> list[str]:
    """Names of the first and last layer, of depthwise convolutions, and of squeeze-excite gates, in graph order."""
    import onnx

    graph = onnx.load(path).graph
    layers = [node for node in graph.node if node.op_type in _LAYERS]
    shapes = {weights.name: tuple(weights.dims) for weights in graph.initializer}
    found = {layers[0].name, layers[-1].name} if layers else set()
    fixed, pooled = set(shapes), set()  # values that depend on no image; values of one position, as a gate has them
    for node in graph.node:
        data = [name for name in node.input if name and name not in fixed]
        if not data:
            fixed.update(node.output)
        elif node.op_type in _POOLING or all(name in pooled for name in data):
            pooled.update(node.output)
            found.add(node.name)
        if node.op_type == "Conv" and _is_depthwise(node, shapes):
            found.add(node.name)
    return [node.name for node in graph.node if node.name in found]


def _is_depthwise(node: Any, shapes: dict[str, tuple[int, ...]]) -> bool:
    groups = next((one.i for one in node.attribute if one.name == "group"), 1)
    weights = shapes.get(node.input[1], (0,))
    return bool(groups > 1 and groups == weights[0])
