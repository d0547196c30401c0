"""The guard on models in whole numbers: by hand, on broken scales, and on its three ways."""

import numpy as np
import pytest

from preceptor.deploy import int8
from preceptor.deploy.engines import OnnxEngine, in_batches
from preceptor.deploy.guard import _calibration, judge
from preceptor.deploy.held_out import Sample, validation_sample
from preceptor.deploy.int8 import quantised
from preceptor.deploy.nodes import delicate_nodes
from preceptor.deploy.onnx_graph import graph_of
from preceptor.deploy.student import open_student
from preceptor.measures.temperature import fitted_temperature
from preceptor.specs import IGNORED

NO_PIXELS = np.zeros((0, 1, 1, 3), dtype=np.uint8)


def one_hot(labels, classes=2, height=4.0):
    return [height * np.eye(classes, dtype=np.float32)[label] for label in labels]


def test_equal_answers_have_no_objections():
    labels = np.tile([0, 1], 50)
    said = one_hot(labels)
    found = judge(said, said, Sample(NO_PIXELS, labels, None))
    assert (found.score, found.difference, found.low, found.high, found.agreement) == (1, 0, 0, 0, 1)
    assert found.objections == []


def test_one_answer_in_twenty_is_too_many_though_the_score_is_the_same():
    """Of 400 answers 10 become wrong and 10 right: accuracy stays, agreement is 95 %."""
    labels = np.zeros(400, dtype=np.int64)
    before, after = labels.copy(), labels.copy()
    before[:10], after[10:20] = 1, 1
    found = judge(one_hot(before), one_hot(after), Sample(NO_PIXELS, labels, None))
    assert found.difference == 0
    assert found.agreement == 0.95
    assert found.low < -0.005
    assert "95.0 % of its answers agree, 98 % are wanted" in "; ".join(found.objections)


def test_whole_groups_are_drawn():
    """All of the loss lies in one patient of two: a resample may hold that patient twice, and lose twice as much."""
    labels = np.zeros(200, dtype=np.int64)
    after = np.r_[np.zeros(100, dtype=np.int64), np.ones(2, dtype=np.int64), np.zeros(98, dtype=np.int64)]
    groups = ["a"] * 100 + ["b"] * 100
    found = judge(one_hot(labels), one_hot(after), Sample(NO_PIXELS, labels, groups))
    assert found.units == 2
    assert (found.low, found.high) == pytest.approx((-0.02, 0))


def test_masks_are_judged_by_their_pixels():
    """Foreground of 8 of 16 pixels, of which one is lost: IoU 1 becomes 7/8, 15 of 16 pixels agree."""
    truth = np.zeros((1, 4, 4), dtype=np.int64)
    truth[:, :2] = 1
    before = [np.where(truth, 5.0, -5.0).astype(np.float32)]
    after = [before[0].copy()]
    after[0][0, 0, 0] = -5
    found = judge(before, after, Sample(NO_PIXELS, truth, None))
    assert (found.score, found.difference, found.agreement) == (1, -1 / 8, 15 / 16)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_a_calibrated_network_is_found_again(temperature):
    """Logits T (log 3, 0) with labels 0 in three of four cases are calibrated at T."""
    logits = np.tile([temperature * np.log(3), 0.0], (400, 1))
    labels = np.tile([0, 0, 0, 1], 100)
    assert fitted_temperature(logits, labels) == pytest.approx(temperature, rel=1e-4)


@pytest.fixture(scope="module")
def exported(class_run):
    student = open_student(class_run)
    return graph_of(student.network), student.contract, student.run.data()


def test_a_broken_scale_is_refused(exported):
    """The scales of weights and activations of a sound model, each four times too large in turn."""
    import onnx
    from onnx import numpy_helper

    graph, _, prepared = exported
    sample = validation_sample(prepared, 64)
    pixels = list(np.random.default_rng(0).integers(0, 256, (64, 24, 24, 3), dtype=np.uint8))
    wanted = in_batches(OnnxEngine(graph.content, graph.size), pixels, 32)
    labels = np.array([int(one.argmax()) for one in wanted])  # so that every change of an answer is a loss
    content = quantised(graph, sample.pixels, per_channel=True, spares=False)
    model = onnx.load_from_string(content)
    scales = [one for one in model.graph.initializer if one.name.endswith("logits_scale") or "input" in one.name]
    scales = scales or [one for one in model.graph.initializer if one.name.endswith("_scale")]
    (broken,) = [one for one in scales if one.name.endswith("_scale")][-1:]
    broken.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(broken) * np.float32(64), broken.name))
    said = in_batches(OnnxEngine(model.SerializeToString(), graph.size), pixels, 32)
    assert judge(wanted, said, Sample(NO_PIXELS, labels, None)).objections


@pytest.mark.parametrize(("choice", "quick", "kept"), [("auto", 2.0, True), ("auto", 1.1, False), ("force", 1.1, True)])
def test_it_is_kept_where_it_is_as_good_and_quick_or_where_the_clock_is_not_asked(
    choice, quick, kept, exported, monkeypatch
):
    graph, contract, prepared = exported
    sound = judge(one_hot([0, 1]), one_hot([0, 1]), Sample(NO_PIXELS, np.array([0, 1]), None))
    monkeypatch.setattr(int8, "judge", lambda *given: sound)
    monkeypatch.setattr(int8, "speeds", lambda *given: [int8.Speed(1, quick, 1.0)])
    found = int8.int8_model(graph, contract, prepared, choice)
    assert (found.content is not None) == kept
    assert len(found.tries) == 1
    assert ("not 1.2 times as quick" in found.why) == (not kept)
    assert ("clock was not asked" in found.why) == (choice == "force")


def test_all_ways_are_tried_before_it_is_refused_with_numbers(exported, monkeypatch):
    graph, contract, prepared = exported
    bad = judge(one_hot([0, 1]), one_hot([1, 1]), Sample(NO_PIXELS, np.array([0, 1]), None))
    monkeypatch.setattr(int8, "judge", lambda *given: bad)
    found = int8.int8_model(graph, contract, prepared, "force")
    assert found.content is None
    assert [one.way for one in found.tries] == list(int8.WAYS)
    assert "50.0 % of its answers agree, 98 % are wanted" in found.why


def test_test_images_are_never_read(exported, monkeypatch):
    """The packed rows of the test part are made unreadable."""
    graph, contract, prepared = exported
    forbidden = set(prepared.rows["test"].tolist())
    real = prepared.packed.read

    def read(rows, *more):
        assert not forbidden & set(np.asarray(rows).tolist())
        return real(rows, *more)

    monkeypatch.setattr(prepared.packed, "read", read)
    assert int8.int8_model(graph, contract, prepared, "force").tries


def test_delicate_layers_of_a_mobile_network(tmp_path):
    """First and last layer, every depthwise convolution, and both layers of every squeeze-excite gate."""
    from preceptor.networks.build import build_network
    from preceptor.specs import NetworkSpec

    spec = NetworkSpec(architecture="mobilenetv3_small_050", weights="none")
    network = build_network(spec, task="classification", classes=("a", "b"), image_size=(32, 32), seed=0)
    depthwise = sum(getattr(part, "groups", 1) > 1 for part in network.modules())
    (tmp_path / "m.onnx").write_bytes(graph_of(network).content)
    names = delicate_nodes(tmp_path / "m.onnx")
    layers = [name for name in names if name.rpartition("/")[2].startswith(("Conv", "Gemm"))]
    assert sum("conv_dw" in name for name in layers) == depthwise
    assert sum("/se/conv" in name for name in layers) == 2 * 9
    assert "conv_stem" in names[0]
    assert "classifier" in layers[-1]


def test_ignored_pixels_do_not_count_in_calibration():
    """A sample with half of each mask ignored is calibrated as the other half is."""
    generator = np.random.default_rng(0)
    logits = [generator.normal(size=(3, 4, 8)).astype(np.float32) for _ in range(3)]
    labels = generator.integers(0, 3, (3, 4, 8))
    alone = Sample(np.zeros((3, 4, 4, 3), dtype=np.uint8), labels[..., :4], None)
    labels = labels.copy()
    labels[..., 4:] = IGNORED
    marked = Sample(np.zeros((3, 4, 8, 3), dtype=np.uint8), labels, None)
    assert _calibration(logits, marked) == pytest.approx(_calibration([one[..., :4] for one in logits], alone))
