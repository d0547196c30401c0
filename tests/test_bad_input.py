"""Bad input through the command line: one screen that names the thing, exit code 2, and nothing lost."""

import errno
import os
import pickle
import socket
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import yaml

from preceptor.networks.build import build_network
from preceptor.specs import NetworkSpec

from .command import preceptor
from .data.trees import class_folders, pairs, save_image, save_mask, truncate, write

CLASSIFIER = {"architecture": "mobilenetv3_small_050", "weights": "none"}
UNET = {
    "architecture": "unet",
    "encoder": "mobilenetv3_small_050",
    "weights": "none",
    "options": {"decoder_channels": [16, 8, 8, 8, 8]},
}
PHANTOM = {
    "classification": {"images": 48, "classes": 3, "patients": 6},
    "segmentation": {"images": 12, "patients": 6},
}
SCREEN = 24  # lines


def recipe_for(task="classification", **changes):
    network = CLASSIFIER if task == "classification" else UNET
    options = {"task": task, "size": 32, **PHANTOM[task]}
    raw = {
        "task": task,
        "data": {"source": "phantom", "options": options, "image_size": 32},
        "networks": {"teacher": network, "student": network},
        "technique": {"name": "baseline"},
        "training": {"epochs": 1, "batch_size": 4, "threads": 1},
    }
    for name, change in changes.items():
        raw[name] = {**raw[name], **change} if isinstance(change, dict) and name in raw else change
    return raw


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def run(tmp_path, raw, *more):
    recipe = write(tmp_path / "recipe.yaml", yaml.safe_dump(raw))
    return preceptor("train", recipe, "--out", tmp_path / "run", "--device", "cpu", *more)


BEGUN = ("recipe.yaml", "split.csv", "begun.json", "pixels.npz")
"""What a run leaves before it trains."""


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """``refused(recipe, *arguments)`` trains, checks what holds for every refusal, and gives the message."""
    monkeypatch.setenv("PRECEPTOR_CACHE", str(tmp_path / "cache"))

    def attempt(raw, *more):
        before = contents(tmp_path)
        trained = (tmp_path / "run" / "checkpoints").exists()
        asked = {"recipe.yaml"} | (set() if trained else {f"run/{name}" for name in BEGUN})
        answer = run(tmp_path, raw, *more)
        assert answer.code == 2, answer.error
        assert answer.error.startswith("error: ")
        assert "Traceback" not in answer.out + answer.error
        assert len((answer.out + answer.error).splitlines()) <= SCREEN
        after = contents(tmp_path)
        assert [name for name in before if name not in asked and after.get(name) != before[name]] == []
        new = {Path(name) for name in set(after) - set(before)}
        assert not [name for name in new if ".part" in name.name], "something is half written"
        assert not [name for name in new if name.parts[:2] == ("run", "checkpoints")], "it trained before it refused"
        return answer.error

    return attempt


# Data ------------------------------------------------------------------------------------------------------------


def folders(root):
    class_folders(root, per_class=12)
    return {"source": "folder", "path": str(root), "options": {}}


def masks(root):
    pairs(root, count=8)
    return {"source": "folder", "path": str(root), "options": {}}


def table(root, rows=None, header="image,label,patient", **options):
    """12 images of two classes from six patients, two images and both classes each."""
    for number in range(12):
        save_image(root / f"{number}.png", seed=number)
    rows = rows or [f"{number}.png,{'ab'[number % 2]},p{number // 2}" for number in range(12)]
    write(root / "labels.csv", "\n".join([header, *rows]) + "\n")
    columns = {"image": "image", "label": "label", "group": "patient"} | options
    return {"source": "table", "path": str(root), "options": columns}


def truncated_image(root):
    data = folders(root)
    truncate(root / "cat" / "p1_3.png")
    return data, ["cat/p1_3.png", "truncated", "Replace or remove it", "data inspect"]


def image_with_nan(root):
    data = folders(root)
    values = np.full((8, 8, 3), 0.5, dtype=np.float32)
    values[0, 0, 0] = np.nan
    tifffile.imwrite(root / "cat" / "nan.tif", values, photometric="rgb")
    return data, ["cat/nan.tif", "1 pixel values that are NaN or infinite", "repair or remove it"]


def pipe_called_like_an_image(root):
    data = folders(root)
    os.mkfifo(root / "cat" / "pipe.png")
    return data, ["cat/pipe.png", "is a named pipe (FIFO); a regular file was expected"]


def postscript_called_like_an_image(root):
    data = folders(root)
    write(root / "cat" / "ps.png", "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    return data, ["cat/ps.png", "no PNG, JPEG, JPEG 2000, TIFF"]


def class_with_a_latin_1_name(root):
    data = folders(root)
    os.rename(os.fsencode(root / "dog"), os.fsencode(root) + b"/h\xe4matom")
    return data, [r"h\xe4matom", "not UTF-8", "convmv"]


def image_with_a_terminal_escape_as_name(root):
    data = folders(root)
    save_image(root / "cat" / "\x1b]0;owned\x07.png")
    return data, [r"cat/\x1b]0;owned\x07.png", "control characters"]


def group_rule_without_end(root):
    data = folders(root)
    save_image(root / "cat" / f"{'a' * 60}!.png")
    return {**data, "options": {"group": "^(a+)+$"}}, ["group ^(a+)+$ does not come to an end", "aaa!", "Repeat once"]


def mask_of_another_size(root):
    data = masks(root)
    save_mask(root / "masks" / "TCGA-AA-0003-01Z.png", size=(4, 6))
    return data, ["masks/TCGA-AA-0003-01Z.png", "4 x 6", "images/TCGA-AA-0003-01Z.png", "8 x 8", "must be equal"]


def mask_with_unexpected_values(root):
    data = masks(root)
    save_mask(root / "masks" / "TCGA-AA-0003-01Z.png", foreground=7)
    return data, ["masks/TCGA-AA-0003-01Z.png", "unexpected values 0, 7", "expected 0 and 255, or 0 and 1"]


def mask_without_image(root):
    data = masks(root)
    (root / "images" / "TCGA-AA-0003-01Z.png").unlink()
    return data, ["1 masks", "without an image", "TCGA-AA-0003-01Z"]


def image_without_mask(root):
    data = masks(root)
    (root / "masks" / "TCGA-AA-0003-01Z.png").unlink()
    return data, ["1 images", "without a mask", "TCGA-AA-0003-01Z"]


def label_without_image(root):
    data = table(root)
    (root / "4.png").unlink()
    return data, ["1 rows name an image that is not there", "4.png", "add the files, or leave the rows out"]


def image_without_label(root):
    data = table(root)
    save_image(root / "99.png", seed=99)
    return data, ["1 images", "are in no row of labels.csv", "99.png", "unlisted: ignore"]


def empty_class(root):
    data = folders(root)
    (root / "eel").mkdir()
    return data, ["class 'eel' is empty", "add some, or remove it"]


def class_too_small_to_split(root):
    data = folders(root)
    for number in (1, 2):
        save_image(root / "eel" / f"{number}.png", seed=200 + number)
    return data, ["class 'eel' has 2 images", "too small to be in 3 parts", "collect more, join it"]


def one_group_only(root):
    data = table(root, [f"{number}.png,{'ab'[number % 2]},p0" for number in range(12)])
    return data, ["only one patient in 12 samples", "3 parts need at least 3", "by: image"]


def duplicate_ids(root):
    rows = [f"{number}.png,{'ab'[number % 2]},p{number // 2},x{number // 3}" for number in range(12)]
    data = table(root, rows, header="image,label,patient,id", id="id")
    return data, ["12 samples share an id", "'x0'", "0.png", "each sample needs an id of its own"]


def two_labels_of_one_image(root):
    rows = [f"{number}.png,{'ab'[number % 2]},p{number // 2}" for number in range(12)]
    data = table(root, [*rows, "3.png,a,p1"])
    return data, ["'3.png' in lines 5, 14", "with the labels a, b", "each image needs one row"]


def equal_images_under_two_labels(root):
    data = folders(root)
    (root / "dog" / "p0_0.png").write_bytes((root / "cat" / "p0_0.png").read_bytes())
    return {**data, "duplicates": "error"}, ["cat/p0_0", "dog/p0_0"]


def missing_folder(root):
    return {**folders(root), "path": str(root / "absent")}, ["absent' does not exist", "a folder was expected"]


def file_in_place_of_a_folder(root):
    folders(root)
    return {"source": "folder", "path": str(root / "cat" / "p0_0.png")}, ["p0_0.png' is a file", "folder was expected"]


def folder_without_images(root):
    root.mkdir()
    return {"source": "folder", "path": str(root)}, ["saw: nothing", "expected: one folder of images per class"]


BROKEN_DATA = [
    truncated_image,
    image_with_nan,
    pipe_called_like_an_image,
    postscript_called_like_an_image,
    class_with_a_latin_1_name,
    image_with_a_terminal_escape_as_name,
    group_rule_without_end,
    mask_of_another_size,
    mask_with_unexpected_values,
    mask_without_image,
    image_without_mask,
    label_without_image,
    image_without_label,
    empty_class,
    class_too_small_to_split,
    one_group_only,
    duplicate_ids,
    two_labels_of_one_image,
    equal_images_under_two_labels,
    missing_folder,
    file_in_place_of_a_folder,
    folder_without_images,
]


@pytest.mark.parametrize("broken", BROKEN_DATA, ids=lambda broken: broken.__name__)
def test_broken_data_is_named(refused, tmp_path, broken, monkeypatch):
    monkeypatch.setattr("preceptor.data.patterns.SECONDS", 1.0)
    data, parts = broken(tmp_path / "data")
    task = "segmentation" if (tmp_path / "data" / "masks").exists() else "classification"
    message = refused(recipe_for(task, data={"options": {}, **data}))
    for part in parts:
        assert part in message, message
    assert not (tmp_path / "run").exists(), "a refused run leaves nothing"


LISTED = [
    truncated_image,
    image_with_nan,
    pipe_called_like_an_image,
    postscript_called_like_an_image,
    mask_of_another_size,
]


@pytest.mark.parametrize("broken", LISTED, ids=lambda broken: broken.__name__)
def test_inspection_goes_on_and_lists_damaged_files(tmp_path, broken):
    _, (name, *_) = broken(tmp_path / "data")
    answer = preceptor("data", "inspect", tmp_path / "data")
    assert answer.code == 0
    assert "1 damaged" in answer.out
    assert name in answer.out.partition("\ndamaged\n")[2]


def test_inspection_of_names_that_are_no_text(tmp_path):
    _, parts = class_with_a_latin_1_name(tmp_path / "data")
    answer = preceptor("data", "inspect", tmp_path / "data")
    assert answer.code == 2
    assert all(part in answer.error for part in parts)


def test_pipes_in_place_of_weights(refused, tmp_path):
    for name in ("weights.safetensors", "weights.pth"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "network").mkdir()
    os.mkfifo(tmp_path / "network" / "config.json")
    for name in ("weights.safetensors", "weights.pth", "network"):
        message = refused(recipe_for(networks={"student": {**CLASSIFIER, "weights": str(tmp_path / name)}}))
        assert "is a named pipe" in message


def test_an_unreadable_folder_is_named(refused, tmp_path, monkeypatch):
    """Permissions do not stop root, who may run this test; so the system's answer is put in its place."""
    data = folders(tmp_path / "data")
    scandir = os.scandir

    def denied(path):
        if str(path).endswith("dog"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    message = refused(recipe_for(data=data))
    assert "data/dog' cannot be read: Permission denied; check its permissions" in message
    monkeypatch.undo()


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"source": "folder", "options": {}, "path": "${PRECEPTOR_ELSEWHERE}/x"}},
        {"data": {"cache": "${PRECEPTOR_ELSEWHERE}/x"}},
        {"networks": {"student": {**CLASSIFIER, "weights": "${PRECEPTOR_ELSEWHERE}/x"}}},
        {"technique": {"name": "kd_offline", "teacher": "${PRECEPTOR_ELSEWHERE}/x"}},
        {"technique": {"name": "kd_offline", "student_alone": "${PRECEPTOR_ELSEWHERE}/x"}},
    ],
    ids=["data", "cache", "weights", "teacher", "student_alone"],
)
def test_a_variable_that_is_not_set_is_named(refused, monkeypatch, changes):
    monkeypatch.delenv("PRECEPTOR_ELSEWHERE", raising=False)
    message = refused(recipe_for(**changes))
    assert "path '${PRECEPTOR_ELSEWHERE}/x': the environment variable PRECEPTOR_ELSEWHERE is not set" in message
    assert "export PRECEPTOR_ELSEWHERE=" in message


# Recipes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"training": {"epoch": 3}}, ["training.epoch", "did you mean 'epochs'?"]),
        ({"training": {"epochs": "many"}}, ["training.epochs", "valid integer", "got 'many'"]),
        ({"training": None}, ["training: should be a mapping of keys, got None"]),
        ({"data": {"source": "phantm"}}, ["unknown data source 'phantm'", "did you mean 'phantom'?"]),
        ({"data": {"options": {"imags": 3}}}, ["no option 'imags'", "did you mean 'images'?"]),
        (
            {"technique": {"name": "kd_online", "losses": [{"loss": "fitnets"}]}},
            ["technique.losses.0", "no knowledge loss 'fitnets'", "did you mean 'fitnet'?"],
        ),
        (
            {"technique": {"name": "kd_online", "losses": [{"loss": "dkd", "options": {"betta": 3}}]}},
            ["technique.losses.0", "loss dkd: no option 'betta'", "did you mean 'beta'?"],
        ),
        (
            {"technique": {"name": "kd_offline", "losses": [{"loss": "cwd"}]}},
            ["loss 'cwd' is for segmentation", "task is classification", "preceptor methods"],
        ),
        (
            {"technique": {"name": "graph", "edges": [{"loss": "cwd", "source": "S1", "target": "S2"}]}},
            ["loss 'cwd' is for segmentation"],
        ),
        (
            {"technique": {"name": "graph", "edges": [{"loss": "kd", "source": "S1", "target": "S9"}]}},
            ["S1->S9/kd: no network 'S9'", "S1, S2"],
        ),
        (
            {
                "technique": {"name": "graph", "edges": [{"loss": "kd", "source": "T", "target": "S1"}]},
                "networks": {"teacher": None},
            },
            ["technique graph wants `networks.teacher`"],
        ),
        (
            {
                "technique": {
                    "name": "graph",
                    "edges": [{"loss": "kd", "source": "S2", "target": "S1"}],
                    "alpha": [0.1] * 3,
                }
            },
            ["technique.alpha: 3 values for 2 students"],
        ),
        (
            {"technique": {"name": "kd_online", "student_alone": "nowhere"}},
            ["technique.student_alone: 'nowhere' is no finished run", "technique.name=baseline"],
        ),
        (
            {"split": {"by": "patient"}},
            ["split.by: 'patient' is called group here: use by: group", "data.options.group"],
        ),
        ({"split": {"fractions": [0.8, 0.0, 0.2]}}, ["validation part holds no image", "weights are chosen on it"]),
        ({"split": {"fractions": [0.8, 0.2, 0.0]}}, ["test part holds no image", "split.fractions="]),
        ({"training": {"batch_size": 500}}, ["batch_size is 500", "only 36 images", "at most 36"]),
        (
            {"data": {"image_size": [32, 64]}, "augment": {"transpose": True}},
            ["augment.transpose", "32 × 64", "square data.image_size, or set augment.transpose to false"],
        ),
    ],
)
def test_mistaken_recipes_are_explained(refused, changes, parts):
    message = refused(recipe_for(**changes))
    for part in parts:
        assert part in message, message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs", "unexpected argument 'training.epochs'; the recipe is changed by key=value, such as"),
        ("name.x=1", "--set name.x: 'name' is a single value in the recipe and has no keys below it"),
        ("split.fractions=[1", "--set split.fractions: '[1' is not readable YAML"),
    ],
)
def test_mistaken_overrides_are_explained(refused, override, message):
    assert message in refused(recipe_for(name="one"), "--set", override)


def test_what_a_later_stage_cannot_do_is_said_before_the_first_trains(refused):
    """The fixture sees to it that there is no checkpoint."""
    raw = recipe_for(technique={"name": "kd_offline"}, training={"batch_size": 500}, teacher_training={"batch_size": 4})
    assert "batch_size is 500" in refused(raw)


def test_a_score_that_validation_cannot_have(refused, tmp_path):
    parts = ["train"] * 6 + ["validation"] * 2 + ["test"] * 4
    labels = ["ab"[number % 2] for number in range(6)] + ["a", "a"] + ["ab"[number % 2] for number in range(4)]
    rows = [f"{number}.png,{labels[number]},{parts[number]}" for number in range(12)]
    data = table(tmp_path / "data", rows, header="image,label,part", split="part")
    del data["options"]["group"]
    message = refused(recipe_for(data=data, training={"monitor": "auroc"}))
    assert "training.monitor auroc: the validation part holds only class 'a', auroc needs two" in message
    assert "monitor: accuracy" in message


def test_a_loss_without_signal_at_two_classes(refused, tmp_path):
    losses = [{"loss": "logit_std_kd"}]
    raw = recipe_for(data=folders(tmp_path / "data"), technique={"name": "kd_offline", "losses": losses})
    message = refused(raw)
    assert "logit_std_kd on T->S1 has no signal with two classes" in message
    assert "Use `kd`" in message


# Networks and weights --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "changes", "parts"),
    [
        (
            "classification",
            {"networks": {"student": {**CLASSIFIER, "architecture": "resnet1ot"}}},
            ["unknown architecture 'resnet1ot'", "resnet10t"],
        ),
        (
            "segmentation",
            {"networks": {"student": {**UNET, "architecture": "unt"}}},
            ["unknown architecture 'unt'", "nearest: unet"],
        ),
        (
            "segmentation",
            {"networks": {"student": {**UNET, "encoder": "resnet-18"}}},
            ["unknown encoder 'resnet-18'", "resnet18"],
        ),
        (
            "segmentation",
            {"networks": {"student": CLASSIFIER}},
            ["is a classifier, this task is segmentation", "`architecture: unet`"],
        ),
        ("segmentation", {"data": {"image_size": 40}}, ["40×40", "multiples of 32", "32×32 or 64×64"]),
        (
            "segmentation",
            {
                "networks": {
                    "student": None,
                    "students": [UNET, {**UNET, "options": {"decoder_channels": [24, 8, 8, 8, 8]}}],
                },
                "technique": {"name": "ml", "strategy": "features"},
            },
            ["widths differ: S1 16, S2 24", "decoder_channels", "or share predictions"],
        ),
    ],
)
def test_mistaken_networks_are_explained(refused, task, changes, parts):
    message = refused(recipe_for(task, **changes))
    for part in parts:
        assert part in message, message


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_imagenet_weights_without_a_network(refused, monkeypatch, task):
    def unreachable(*arguments, **more):
        raise OSError("Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr("preceptor.networks.hub.is_cached", lambda *arguments: False)
    for proxy in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    network = CLASSIFIER if task == "classification" else UNET
    message = refused(recipe_for(task, networks={"student": {**network, "weights": "imagenet"}}))
    assert "ImageNet weights cannot be had" in message
    assert "`weights: none`" in message


def taught_by(path):
    return recipe_for(technique={"name": "kd_offline", "teacher": str(path)})


class Code:
    def __reduce__(self):
        return (os.mkdir, ("executed",))


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_pickle_with_code_is_never_run(refused, tmp_path, monkeypatch, how):
    monkeypatch.chdir(tmp_path)
    if how == "torch":
        torch.save({"weight": Code()}, tmp_path / "teacher.pt")
    else:
        (tmp_path / "teacher.pt").write_bytes(pickle.dumps(Code()))
    message = refused(taught_by(tmp_path / "teacher.pt"))
    assert "teacher.pt': refused" in message
    assert "Nothing in it was run" in message
    assert ".safetensors" in message
    assert "weights_only" not in message, "torch's advice to load it unsafely is not passed on"
    assert not (tmp_path / "executed").exists()


def test_a_teacher_of_other_classes(refused, tmp_path):
    teacher = build_network(
        NetworkSpec(**CLASSIFIER), task="classification", classes=("a", "b"), image_size=(32, 32), seed=0
    )
    teacher.save(tmp_path / "teacher")
    for given in (tmp_path / "teacher", tmp_path / "teacher" / "model.safetensors"):
        message = refused(taught_by(given))
        assert "trained on 2 classes, the data has 3" in message
        assert "weights: a, b" in message
        assert "data:    tumour, stroma, complex" in message


def test_a_teacher_that_is_missing_or_unfinished(refused, tmp_path):
    assert "absent' does not exist" in refused(taught_by(tmp_path / "absent"))
    (tmp_path / "unfinished" / "checkpoints").mkdir(parents=True)
    message = refused(taught_by(tmp_path / "unfinished"))
    assert "unfinished' is a folder without finished networks" in message
    assert "technique.name=baseline technique.network=teacher" in message


@pytest.mark.parametrize(("device", "message"), [("gpu", "there are auto, cpu and cuda"), ("cuda", "finds no GPU")])
def test_a_device_that_is_not_there(refused, monkeypatch, device, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert message in refused(recipe_for(), "--device", device)


# Nothing lost ----------------------------------------------------------------------------------------------------


def test_the_corrected_recipe_goes_into_the_same_folder(refused, tmp_path):
    """A run that was refused blocks nothing, whether its data or its networks were wrong."""
    refused(recipe_for(data={"source": "phantm"}))
    refused(recipe_for(networks={"student": {**CLASSIFIER, "architecture": "resnet1ot"}}))
    assert run(tmp_path, recipe_for()).code == 0


def test_a_folder_that_holds_another_run_is_kept(refused, tmp_path):
    assert run(tmp_path, recipe_for()).code == 0
    message = refused(recipe_for(seed=1))
    assert "run holds a run of another recipe (it says `seed: 0`, this one `seed: 1`)" in message
    assert "--out" in message


def test_a_full_disk_while_packing_leaves_nothing(refused, tmp_path, monkeypatch):
    data = folders(tmp_path / "data")

    @contextmanager
    def full(path):
        with path.open("wb") as file:
            file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield

    with monkeypatch.context() as patch:
        patch.setattr("preceptor.data.store.synced", full)
        message = refused(recipe_for(data=data))
    assert "the disk is full" in message
    assert "data.cache" in message
    assert run(tmp_path, recipe_for(data=data)).code == 0


def test_a_full_disk_while_training_loses_nothing(tmp_path, monkeypatch):
    """The second checkpoint does not fit; with room again the run ends as if nothing had been."""
    raw = recipe_for(networks={"count": 1}, training={"epochs": 3})
    assert run(tmp_path / "whole", raw).code == 0
    opened, written = Path.open, []

    def full(path, mode="r", *more, **options):
        if mode == "wb" and "last.ckpt" in path.name:
            written.append(path)
            if len(written) == 2:
                with opened(path, mode) as file:
                    file.write(bytes(100))
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return opened(path, mode, *more, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        answer = run(tmp_path / "full", raw)
    assert answer.code == 2
    assert "main/last.ckpt: No space left on device; free some space" in answer.error
    assert not list((tmp_path / "full").rglob("*.part"))
    assert run(tmp_path / "full", raw).code == 0
    for file in ("metrics.csv", "networks/S1/model.safetensors", "predictions/test.csv"):
        assert (tmp_path / "full" / "run" / file).read_bytes() == (tmp_path / "whole" / "run" / file).read_bytes()
