"""The distance of an image from those of training: by hand, and the same in the graph."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from preceptor.deploy.familiar import Familiar, fitted, with_distance, without_embedding


def passed_on(width):
    """A graph whose embeddings are its images' values."""
    return helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Flatten", ["images"], ["embedding"], axis=1),
                helper.make_node("Neg", ["embedding"], ["logits"]),
            ],
            "graph",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 1, 1, width])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
                for name in ("logits", "embedding")
            ],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    ).SerializeToString()


def test_by_hand():
    """Two units along a direction of variance 4, three across it where the variance is 1, in three dimensions."""
    familiar = Familiar(np.array([1.0, 0, 0]), np.array([[1.0], [0], [0]]), np.array([4.0]), 1.0)
    found = familiar.distances(np.array([[3.0, 3.0, 0.0], [1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(found, [np.sqrt((1 + 9) / 3), 0])


def test_it_is_mahalanobis_where_nothing_is_shrunk():
    """As many directions as there are but one, whose variance is the rest."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(400, 4)) @ rng.normal(size=(4, 4))
    familiar = fitted(points)
    inverse, centred = np.linalg.inv(np.cov(points.T)), points - points.mean(axis=0)
    wanted = np.sqrt(np.einsum("ni,ij,nj->n", centred, inverse, centred) / 4)
    np.testing.assert_allclose(familiar.distances(points), wanted)


@pytest.mark.parametrize("width", [3, 40])
def test_the_graph_says_the_same(width):
    rng = np.random.default_rng(1)
    familiar = fitted(rng.normal(size=(100, width)).astype(np.float32) * np.arange(1, width + 1))
    images = rng.normal(size=(5, 1, 1, width)).astype(np.float32) * 20
    session = onnxruntime.InferenceSession(with_distance(passed_on(width), familiar))
    assert [output.name for output in session.get_outputs()] == ["logits", "distance"]
    logits, distances = session.run(None, {"images": images})
    np.testing.assert_array_equal(logits, -images.reshape(5, width))
    np.testing.assert_allclose(distances, familiar.distances(images.reshape(5, width)), rtol=1e-4)


def test_embeddings_that_are_all_the_same_are_no_division_by_zero():
    found = fitted(np.ones((20, 5))).distances(np.array([[1.0] * 5, [2.0] * 5]))
    assert found[0] == 0
    assert np.isfinite(found[1])
    assert found[1] > 1000


def test_a_model_that_does_not_answer_says_no_embeddings():
    model = onnx.load_from_string(without_embedding(passed_on(3)))
    assert [output.name for output in model.graph.output] == ["logits"]
