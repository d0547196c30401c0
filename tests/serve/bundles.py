"""Bundles of one layer, written by hand: nothing is trained."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from preceptor.deploy.bundle import MODEL, write_bundle
from preceptor.deploy.contract import Contract

SIDE = 8


def bundle(folder, *, task="classification", least=None):
    """Red is class ``b``, everything else ``a``; of masks the same by pixel, as foreground."""
    folder.mkdir()
    has_masks = task == "segmentation"
    contract = Contract(task=task, classes=("a", "b"), image_size=(SIDE, SIDE))
    onnx.save(_model(has_masks), folder / MODEL)
    facts = {
        "task": task,
        "classes": [{"name": "a", "colour": [0, 0, 0]}, {"name": "b", "colour": [0, 158, 115]}],
        "images": contract.to_json(),
        "input": {"size": [SIDE, SIDE]},
        "output": {"channels": 1 if has_masks else 2},
        "serves": {"file": MODEL, "why": "it is the only one"},
        "temperature": 2.0,
        "thresholds": None if has_masks else {"decides": 0.25},
        "abstention": None if least is None else {"least_certainty": least},
        "outside": {"ranges": {"brightness": [0.2, 0.8]}},
        "run": {"name": "red"},
    }
    write_bundle(folder, facts)
    return folder


def _model(has_masks):
    weight = np.array([[4.0, -2.0, -2.0]], dtype=np.float32).reshape(1, 3, 1, 1)
    if not has_masks:
        weight = np.concatenate([np.zeros_like(weight), weight])
    nodes = [helper.make_node("Conv", ["images", "weight"], ["logits" if has_masks else "maps"])]
    if not has_masks:
        nodes += [helper.make_node("ReduceMean", ["maps", "axes"], ["logits"], keepdims=0)]
    held = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(np.array([2, 3]), "axes")]
    shape = ["n", 1, "h", "w"] if has_masks else ["n", 2]
    graph = helper.make_graph(
        nodes,
        "red",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
        initializer=held[: 1 + (not has_masks)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
