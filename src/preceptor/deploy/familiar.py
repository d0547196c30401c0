"""How far an image is from those of training, by what a network makes of it: a distance that its graph says itself."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preceptor.deploy.engines import DISTANCE, EMBEDDING, LOGITS

FEWEST = 16
"""Embeddings below which nothing is fitted."""

_DIRECTIONS = 16
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Familiar:
    """Where the embeddings of training lie: a Gaussian with a variance of its own in a few directions only.

    The Mahalanobis distance of its covariance is shrunk as probabilistic principal components are: all directions but
    the widest share one variance, so that a hundred images are enough for a thousand dimensions.

    Source: Tipping & Bishop 1999, Journal of the Royal Statistical Society B 61:611, equations 4 to 8; distances in a
    network's features as Lee et al. 2018, arXiv:1807.03888, with one mean for all classes.

    Args:
        mean: (D,).
        directions: (D, K), of unit length.
        variances: (K,) along them.
        rest: of every other direction.
    """

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    variances: NDArray[np.float64]
    rest: float

    def distances(self, embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
        """(N,) of embeddings (N, D); about 1 for those that it was fitted on."""
        centred = embeddings - self.mean
        along = centred @ self.directions
        across = centred - along @ self.directions.T
        squares = (along**2 / self.variances).sum(axis=1) + (across**2).sum(axis=1) / self.rest
        return np.asarray(np.sqrt(squares / len(self.mean)))


def fitted(embeddings: NDArray[np.floating]) -> Familiar:
    """Of embeddings (N, D) of training images, :data:`FEWEST` or more."""
    count, width = embeddings.shape
    mean = embeddings.mean(axis=0, dtype=np.float64)
    _, lengths, axes = np.linalg.svd(embeddings - mean, full_matrices=False)
    variances = lengths**2 / (count - 1)
    kept = min(_DIRECTIONS, count // 8, width - 1)
    rest = max(float(variances[kept:].sum()) / max(width - kept, 1), _TINY)
    return Familiar(mean, axes[:kept].T, np.maximum(variances[:kept], rest), rest)


def with_distance(content: bytes, familiar: Familiar) -> bytes:
    """The ONNX graph with :meth:`Familiar.distances` in place of the embeddings."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(content)
    values = {
        "mean": familiar.mean,
        "directions": familiar.directions,
        "along_scale": familiar.variances**-0.5,
        "across_scale": np.array(familiar.rest**-0.5),
        "size": np.array(len(familiar.mean)),
    }
    named = {name: f"{DISTANCE}/{name}" for name in (*values, "axis")}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), named[name])
        for name, value in values.items()
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array([1]), named["axis"]))
    steps = (
        ("Sub", (EMBEDDING, named["mean"]), "centred"),
        ("MatMul", ("centred", named["directions"]), "along"),
        ("Gemm", ("along", named["directions"]), "seen"),
        ("Sub", ("centred", "seen"), "across"),
        ("Mul", ("along", named["along_scale"]), "along_scaled"),
        ("Mul", ("across", named["across_scale"]), "across_scaled"),
        ("ReduceSumSquare", ("along_scaled", named["axis"]), "first"),
        ("ReduceSumSquare", ("across_scaled", named["axis"]), "second"),
        ("Add", ("first", "second"), "sum"),
        ("Div", ("sum", named["size"]), "square"),
        ("Sqrt", ("square",), DISTANCE),
    )
    inner = {output for _, _, output in steps} - {DISTANCE}
    for kind, inputs, output in steps:
        places = [f"{DISTANCE}/{name}" if name in inner else name for name in inputs]
        more = {"ReduceSumSquare": {"keepdims": 0}, "Gemm": {"transB": 1}}.get(kind, {})
        name = f"{DISTANCE}/{output}" if output in inner else output
        model.graph.node.append(helper.make_node(kind, places, [name], name=f"{DISTANCE}/{kind}/{output}", **more))
    del model.graph.output[1:]
    model.graph.output.append(helper.make_tensor_value_info(DISTANCE, TensorProto.FLOAT, ["batch"]))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def without_embedding(content: bytes) -> bytes:
    """The ONNX graph with its logits alone."""
    import onnx

    model = onnx.load_from_string(content)
    names = [output.name for output in model.graph.output]
    assert names[0] == LOGITS
    del model.graph.output[1:]
    return bytes(model.SerializeToString()) if len(names) > 1 else content
