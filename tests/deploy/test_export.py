"""``preceptor export``: a bundle that says what the run said, anywhere, or no bundle."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from preceptor.deploy import parity
from preceptor.deploy.engines import OnnxEngine
from preceptor.deploy.export import Options, export
from preceptor.deploy.plan import Pictures
from preceptor.deploy.predict import predict, read_answers
from preceptor.errors import UserError

from ..command import preceptor
from .conftest import RESNET, UNET, trained

PLAIN = Options(int8="off")
OTHERS = ("torch", "preceptor", "pandas", "timm", "scipy", "tifffile")
BLOCKED = f"import sys\nfor name in {OTHERS}: sys.modules[name] = None  # importing it would fail\n"


@pytest.fixture(scope="module")
def bundles(class_run, mask_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    export(class_run, folder / "classes", PLAIN)
    export(mask_run / "networks" / "S1", folder / "masks", PLAIN)
    return folder


def run_script(bundle, images, out, *more):
    """``predict.py`` where neither preceptor nor torch nor anything else of theirs can be imported."""
    code = f"{BLOCKED}import runpy\nrunpy.run_path({str(bundle / 'predict.py')!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code, str(images), "--out", str(out), *more],
        capture_output=True,
        text=True,
        check=False,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stderr
    return read_answers(out)


def require_same_table(found, expected, atol=1e-4):
    assert list(found.columns) == list(expected.columns)
    assert found["file"].tolist() == expected["file"].tolist()
    shares = [name for name in found.columns if name.startswith("p_")]
    np.testing.assert_allclose(found[shares].to_numpy(), expected[shares].to_numpy(), atol=atol)


def test_a_bundle_alone_classifies_as_the_run_does(bundles, class_run, class_data, tmp_path):
    expected = predict(class_run, [class_data], tmp_path / "run", pictures=Pictures(), device="cpu")
    require_same_table(run_script(bundles / "classes", class_data, tmp_path / "alone"), expected)
    ours = predict(bundles / "classes", [class_data], tmp_path / "bundle", pictures=Pictures(), device="cpu")
    require_same_table(ours, expected)


def test_a_bundle_alone_segments_as_the_run_does(bundles, mask_run, mask_data, tmp_path):
    images = mask_data / "images"
    expected = predict(mask_run, [images], tmp_path / "run", pictures=Pictures(masks=True), device="cpu")
    require_same_table(run_script(bundles / "masks", images, tmp_path / "alone"), expected, atol=1e-3)
    for name in expected["file"]:
        masks = [np.array(Image.open(tmp_path / who / "masks" / f"{name}.png")) for who in ("run", "alone")]
        assert (masks[0] == masks[1]).mean() >= 0.9999
        assert 0 < masks[0].mean() < 255


def test_what_bundle_json_says(bundles, class_run):
    facts = json.loads((bundles / "classes" / "bundle.json").read_text())
    assert facts["schema"] == 1
    assert [one["name"] for one in facts["classes"]] == ["class0", "class1"]
    assert facts["images"] == {
        "tile": None,
        "rule": "pad",
        "size": [24, 24],
        "kernel": facts["images"]["kernel"],
        "fill": facts["images"]["fill"],
        "reading": {
            "channels": 3, "depth": 8, "orientation": "upright", "axis": 2, "stack": 1, "patient_ids": "hashed",
        },
    }  # fmt: skip
    assert facts["input"]["dynamic"] == ["batch"]
    assert facts["serves"]["file"] == "model.onnx"
    assert facts["parity"]["largest_gap"] <= 1e-4
    assert {"temperature", "thresholds", "abstention", "outside", "timing"} <= set(facts)
    assert set(facts["files"]) >= {"model.onnx", "predict.py", "README.md", "golden/predictions.csv"}
    masks = json.loads((bundles / "masks" / "bundle.json").read_text())
    assert masks["input"]["dynamic"] == ["batch", "height", "width"]
    assert [one["grey"] for one in masks["classes"]] == [0, 255]
    everything = "".join(
        path.read_text(errors="replace") for path in (bundles / "classes").rglob("*") if path.is_file()
    )
    assert str(class_run.parent) not in everything, "no path of this machine leaves it"
    card = (bundles / "classes" / "README.md").read_text()
    assert card.startswith("---\nlicense: other\n")
    assert "95 % interval" in card


def test_the_same_command_again_changes_nothing_and_another_is_refused(bundles, class_run, class_data, tmp_path):
    before = (bundles / "classes" / "bundle.json").read_bytes()
    said = []
    export(class_run, bundles / "classes", PLAIN, note=said.append)
    assert "is there already" in said[-1]
    assert (bundles / "classes" / "bundle.json").read_bytes() == before
    with pytest.raises(UserError, match="holds another bundle"):
        export(class_run, bundles / "classes", Options(int8="off", anonymous=True))
    export(class_run, tmp_path / "again", PLAIN)
    assert contents(tmp_path / "again") == contents(bundles / "classes")


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_real_images_leave_only_when_they_are_given_and_then_only_their_pixels(class_run, class_data, tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "patient: Jane Doe"
    with Image.open(class_data / "class0" / "0.jpg") as image:
        image.save(tmp_path / "jane-doe.jpg", exif=exif)
    options = Options(int8="off", golden=(tmp_path / "jane-doe.jpg",), anonymous=True)
    bundle = export(class_run, tmp_path / "b", options)
    assert bundle.facts["run"]["name"] == ""
    (golden,) = (tmp_path / "b" / "golden" / "images").iterdir()
    for name, content in contents(tmp_path / "b").items():
        assert b"jane" not in content.lower(), name
        assert "jane" not in name
    with Image.open(golden) as image:
        assert not image.getexif()


def test_a_model_that_says_something_else_is_no_bundle(class_run, tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "LARGEST_GAP", 1e-12)
    with pytest.raises(UserError, match="no bundle was made"):
        export(class_run, tmp_path / "b", PLAIN)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_export_leaves_goes(class_run, tmp_path):
    dead = tmp_path / ".b.999999999.part"
    dead.mkdir()
    (dead / "model.onnx").write_bytes(b"half")
    export(class_run, tmp_path / "b", PLAIN)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def changed(bundle, tmp_path, change):
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    change(copy)
    return copy


def resealed(change):
    """Bundles that were made wrong, not damaged: the seal is right."""

    def make(folder):
        from preceptor.sealed import seal_of

        facts = json.loads((folder / "bundle.json").read_text())
        del facts["sha256"]
        change(facts)
        facts["sha256"] = seal_of({key: value for key, value in facts.items() if key != "timing"})
        (folder / "bundle.json").write_text(json.dumps(facts))

    return make


def own_model(folder, model):
    """Another model under the bundle's name, with its own checksum."""
    from preceptor.sealed import file_sha256

    (folder / "model.onnx").write_bytes(model)
    resealed(lambda facts: facts["files"].update({"model.onnx": file_sha256(folder / "model.onnx")}))(folder)


def with_external_data(folder):
    import onnx

    model = onnx.load(folder / "model.onnx")
    onnx.save(model, folder / "external.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    content = (folder / "external.onnx").read_bytes()
    (folder / "weights.bin").unlink()
    own_model(folder, content)


def with_new_opset(folder):
    import onnx

    model = onnx.load(folder / "model.onnx")
    model.opset_import[0].version = 99
    own_model(folder, model.SerializeToString())


def set_class(number, **values):
    return resealed(lambda facts: facts["classes"][number].update(values))


BAD = {
    "model gone": (lambda folder: (folder / "model.onnx").unlink(), "model.onnx: is missing from the bundle"),
    "model changed": (
        lambda folder: (folder / "model.onnx").write_bytes(b"x"),
        "model.onnx: was changed or damaged",
    ),
    "script changed": (lambda folder: (folder / "predict.py").write_text("evil"), "predict.py: was changed or damaged"),
    "golden gone": (lambda folder: (folder / "golden" / "predictions.csv").unlink(), "predictions.csv: is missing"),
    "json cut": (
        lambda folder: (folder / "bundle.json").write_text("{"),
        "is empty, cut short or no JSON",
    ),
    "json changed": (
        lambda folder: (folder / "bundle.json").write_text(
            (folder / "bundle.json").read_text().replace("class0", "class9")
        ),
        "bundle.json: was changed or damaged",
    ),
    "newer schema": (resealed(lambda facts: facts.update(schema=2)), "schema version 2, and this"),
    "classes and outputs differ": (
        resealed(lambda facts: facts["output"].update(channels=3)),
        "has 3 outputs",
    ),
    "one class twice": (set_class(1, name="class0"), "names a class twice"),
    "no colour": (set_class(1, colour=None), "class 'class1' has no colour"),
    "a model elsewhere": (resealed(lambda facts: facts["serves"].update(file="../m.onnx")), "'../m.onnx'"),
    "external data missing": (with_external_data, "onnxruntime"),
    "opset too new": (with_new_opset, "cannot open it"),
    "no model at all": (lambda folder: own_model(folder, b"no model"), "cannot open it"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_bundles(case, bundles, tmp_path):
    change, words = BAD[case]
    folder = changed(bundles / "classes", tmp_path, change)
    done = preceptor("bundle", "check", folder)
    assert done.code == 2
    assert words in done.error
    assert "Traceback" not in done.error


def test_a_sound_bundle_is_said_to_be(bundles):
    done = preceptor("bundle", "check", bundles / "masks")
    assert (done.code, done.error) == (0, "")
    assert "golden images as it did then" in done.out


CALLS = {
    "cam of a bundle": (["predict", "{bundle}", "{images}", "--out", "{out}", "--cam"], "--cam"),
    "overlay of a classifier": (
        ["predict", "{bundle}", "{images}", "--out", "{out}", "--overlay"],
        "draws masks",
    ),
    "no such thing": (["predict", "{bundle}", "{out}/nothing", "--out", "{out}"], "does not exist"),
    "empty folder": (["predict", "{bundle}", "{empty}", "--out", "{out}"], "no image in"),
    "neither run nor bundle": (["predict", "{empty}", "{images}", "--out", "{out}"], "is no finished run"),
    "out in the images": (
        ["predict", "{bundle}", "{images}", "--out", "{images}/out"],
        "the folder of the data",
    ),
    "no network": (["export", "{run}/networks/S9", "--out", "{out}"], "no network 'S9'; it has S1"),
    "no run": (["export", "{empty}", "--out", "{out}"], "is no finished run"),
    "runs": (["export", "{runs}", "--out", "{out}"], "give one of them, for example"),
    "int8 word": (["export", "{run}", "--out", "{out}", "--int8", "yes"], "--int8 yes: is none of auto, off, force"),
    "unknown format": (
        ["export", "{run}", "--out", "{out}", "--formats", "onnx,coreml"],
        "there are onnx",
    ),
    "wsinfer without mpp": (
        ["export", "{run}", "--out", "{out}", "--formats", "wsinfer", "--int8", "off"],
        "give --mpp",
    ),
    "other things": (["export", "{run}", "--out", "{images}"], "holds other things"),
    "ray address": (["predict", "{bundle}", "{images}", "--out", "{out}", "--ray", "there"], "is no address"),
}


@pytest.mark.parametrize("case", CALLS)
def test_bad_calls(case, bundles, class_run, class_data, tmp_path):
    (tmp_path / "empty").mkdir()
    names = {
        "bundle": bundles / "classes",
        "images": class_data / "class0",
        "out": tmp_path / "out",
        "empty": tmp_path / "empty",
        "run": class_run,
        "runs": class_run.parent,
    }
    arguments, words = CALLS[case]
    done = preceptor(*(argument.format(**names) for argument in arguments))
    assert done.code == 2, done.error
    assert words in done.error
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_bundles_of_tables_with_one_image_twice_and_masks_for_wsinfer(bundles, mask_run, tmp_path):
    (tmp_path / "list.csv").write_text("image\na.png\na.png\n")
    twice = preceptor("predict", bundles / "classes", tmp_path / "list.csv", "--out", tmp_path / "out")
    assert twice.code == 2
    assert "the name of another one, such as 'a.png'" in twice.error
    with pytest.raises(UserError, match="this network makes masks"):
        export(mask_run, tmp_path / "b", Options(formats=("onnx", "wsinfer"), mpp=0.5))


def test_torchscript_for_qupath(class_run, tmp_path):
    """Logits once, without softmax, of images from 0 to 1; the config has what WSInfer's schema wants."""
    import torch

    from preceptor.composed import load_network

    export(class_run, tmp_path / "b", Options(int8="off", formats=("torchscript", "wsinfer"), mpp=0.5))
    images = torch.rand(3, 3, 24, 24)
    with torch.no_grad():
        wanted = load_network(class_run / "networks" / "S1")(images).logits
        for name in ("model.torchscript.pt", "wsinfer/torchscript_model.pt"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch calls its own format deprecated
                found = torch.jit.load(tmp_path / "b" / name)(images)
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    config = json.loads((tmp_path / "b" / "wsinfer" / "config.json").read_text())
    assert config["spacing_um_px"] == 0.5
    assert [step["name"] for step in config["transform"]] == ["Resize", "ToTensor", "Normalize"]


def test_openvino_gets_the_file_that_is_there_in_full_precision(class_run, tmp_path, monkeypatch):
    """With the library where it is installed; without, what it is asked to do."""
    is_there = find_spec("openvino") is not None
    if not is_there:
        fake = ModuleType("openvino")
        fake.convert_model = lambda path: path.read_bytes()
        fake.save_model = lambda model, path, *, compress_to_fp16: path.write_bytes(model[int(compress_to_fp16) :])
        monkeypatch.setitem(sys.modules, "openvino", fake)
        monkeypatch.setattr("preceptor.deploy.formats.find_spec", lambda name: True)
    bundle = export(class_run, tmp_path / "b", Options(int8="off", formats=("onnx", "openvino")))
    assert "model.openvino.xml" in bundle.facts["files"]
    if not is_there:
        assert (tmp_path / "b" / "model.openvino.xml").read_bytes() == (tmp_path / "b" / "model.onnx").read_bytes()
        return
    import openvino

    images = np.random.default_rng(0).random((3, 3, 24, 24), dtype=np.float32)
    path, exactly = tmp_path / "b" / "model.openvino.xml", {"INFERENCE_PRECISION_HINT": "f32"}
    (said, *_) = openvino.Core().compile_model(path, "CPU", exactly)(images).values()
    wanted = OnnxEngine(str(tmp_path / "b" / "model.onnx"), (24, 24)).of_floats(images)
    np.testing.assert_allclose(said, wanted, atol=1e-3)


@pytest.mark.parametrize("network", [{**RESNET, "input_size": 40}, {**RESNET, "mean": [0.7, 0.6, 0.3]}], ids=str)
def test_networks_of_another_size_or_mean(network, class_data, tmp_path):
    """The second resize, of floats, is made outside of the graph; the normalisation inside."""
    run = trained(tmp_path / "run", class_data, network, data={"resize": "squash"})
    bundle = export(run, tmp_path / "b", PLAIN)
    assert bundle.graph_size == (network.get("input_size", 24),) * 2
    assert bundle.facts["parity"]["largest_gap"] < 1e-5


def test_masks_of_another_network_size(mask_data, tmp_path):
    """Logits come back to the tile's size inside the graph."""
    unet = {**UNET, "input_size": 64}
    run = trained(tmp_path / "run", mask_data, unet, task="segmentation", data={"resize": "squash", "image_size": 50})
    bundle = export(run, tmp_path / "b", PLAIN)
    assert bundle.facts["input"]["dynamic"] == ["batch"]
    assert bundle.facts["parity"]["equal_pixels"] >= 0.9999


def test_a_missing_run_is_named_before_a_missing_library(tmp_path, monkeypatch):
    monkeypatch.setattr("preceptor.deploy.export.find_spec", lambda name: None)
    done = preceptor("export", tmp_path / "nowhere", "--out", tmp_path / "b")
    assert done.code == 2
    assert "nowhere" in done.error
    assert "pip install" not in done.error


def test_the_card_is_in_whole_sentences(bundles, class_run, class_data, tmp_path):
    """What the data are called, and what the split keeps together; names stay here where that is asked for."""
    card = (bundles / "classes" / "README.md").read_text()
    said = f"Trained on `{class_data.name}`, read by the source `folder`; split by image: images of one patient can be"
    assert said in card
    assert "only where the split is by patient" not in card
    export(class_run, tmp_path / "b", Options(int8="off", anonymous=True))
    assert class_data.name not in (tmp_path / "b" / "README.md").read_text()
