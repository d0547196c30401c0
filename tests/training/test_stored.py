"""Training on stored embeddings: the bits that a live teacher gives, in fewer forward passes, or a word on why not."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from preceptor.cohort.frozen import FixedSize
from preceptor.deploy.embed import embed_images
from preceptor.deploy.wanted import Wanted
from preceptor.errors import InterruptedRunError, UserError
from preceptor.recipe import parse_recipe
from preceptor.training import run

from .phantoms import NEW, stopping_fit, train

SMALL = {"embed_dim": 24, "depth": 1, "num_heads": 2}
CLS = {"architecture": "vit_tiny_patch16_224", "input_size": 32, "options": SMALL, **NEW}
CLS_AND_MEAN = {"architecture": "virchow2", "input_size": 28, "options": {**SMALL, "reg_tokens": 4}, **NEW}
STILL = {"flip_horizontal": False, "flip_vertical": False}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    draw = np.random.default_rng(0)
    for number in range(30):
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number:02}.png")
    labels = [{"image": f"{number:02}.png", "label": "ab"[number % 2]} for number in range(30)]
    pd.DataFrame(labels).to_csv(folder / "table.csv", index=False)
    return folder


def recipe_of(images, folder, *, teacher=CLS, loss="feature_smooth_l1", cache=None, augment=STILL):
    return parse_recipe(
        {
            "task": "classification",
            "data": {
                "source": "table",
                "path": str(images / "table.csv"),
                "options": {"image": "image", "label": "label"},
                "image_size": 32,
                "cache": str(folder / "c"),
            },
            "networks": {"teacher": teacher, "student": {"architecture": "test_resnet", **NEW}, "count": 1},
            "split": {"by": "image", "fractions": [0.5, 0.25, 0.25]},
            "augment": augment,
            "technique": {"name": "distil_features", "losses": [{"loss": loss}], "epochs": 2, "batch_size": 6},
            "training": {"epochs": 1, "batch_size": 6, "lr": 1e-3, "threads": 1, "teacher_cache": cache or {}},
        }
    )


def embedded(recipe, images, folder, **wanted):
    """Embeddings of the images by the recipe's teacher."""
    path = folder / "recipe.yaml"
    path.write_text(recipe.to_yaml())
    embed_images(Wanted(str(path), stored="float32", device="cpu", **wanted), [images], folder / "stored")
    return str(folder / "stored")


@pytest.fixture
def passes(monkeypatch):
    """Sizes of the calls of frozen networks."""
    counted, compute = [], FixedSize.compute

    def counting(self, name, network, images):
        counted.append(len(images))
        return compute(self, name, network, images)

    monkeypatch.setattr(FixedSize, "compute", counting)
    return counted


def left_by(folder):
    files = sorted(
        path for name in ("networks/S1/*.safetensors", "metrics.csv", "predictions/*.csv") for path in folder.glob(name)
    )
    assert len(files) >= 2
    return [path.read_bytes() for path in files]


@pytest.mark.parametrize(
    ("teacher", "loss", "what"),
    [
        (CLS, "cosine", "embedding"),
        pytest.param(CLS_AND_MEAN, "feature_smooth_l1", "embedding", marks=pytest.mark.slow),
        pytest.param(CLS_AND_MEAN, "token_kl", "grid", marks=pytest.mark.slow),
    ],
)
def test_a_run_ends_with_the_same_bits_on_stored_embeddings_also_where_it_was_stopped(
    teacher, loss, what, images, tmp_path, passes, monkeypatch
):
    live = recipe_of(images, tmp_path, teacher=teacher, loss=loss, cache={"enabled": False})
    train(live, tmp_path / "live")
    cache = {"enabled": False, "stored": [embedded(live, images, tmp_path, what=what)]}
    recipe = recipe_of(images, tmp_path, teacher=teacher, loss=loss, cache=cache)
    passes.clear()
    with monkeypatch.context() as patch:
        patch.setattr(run, "train_stage", stopping_fit("features", 1, 1))
        with pytest.raises(InterruptedRunError):
            train(recipe, tmp_path / "stored_run")
    _, said = train(recipe, tmp_path / "stored_run")
    assert left_by(tmp_path / "live") == left_by(tmp_path / "stored_run")
    assert passes == [6, 6], "the first images, compared once in each call"
    assert f"what T says of each image is read from {tmp_path / 'stored'}, bit for bit" in said


def test_a_probe_is_the_same_computed_kept_and_stored(images, tmp_path, passes):
    probe = {"technique": {"name": "probe", "teacher": None, "against": {}, "strengths": [0.1], "neighbours": 3}}

    def left(name, **cache):
        passes.clear()
        recipe = recipe_of(images, tmp_path, cache=cache).model_dump(mode="json", exclude_defaults=True) | probe
        train(parse_recipe({**recipe, "networks": {"student": CLS, "count": 1}}), tmp_path / name)
        return left_by(tmp_path / name)

    computed = left("computed", enabled=False)
    assert len(passes) == 5, "15 images to learn from, 7 to choose C by"
    assert left("kept") == computed
    assert (left("read"), len(passes)) == (computed, 1), "the first batch, to compare"
    student = {**recipe_of(images, tmp_path).model_dump(mode="json", exclude_defaults=True), **probe}
    student["networks"] = {"student": CLS, "count": 1}
    folder = embedded(parse_recipe(student), images, tmp_path, network="S1")
    assert (left("stored_run", enabled=False, stored=[folder]), len(passes)) == (computed, 1)


def test_what_was_computed_otherwise_is_said(images, tmp_path):
    folder = embedded(recipe_of(images, tmp_path), images, tmp_path, batch=5)
    _, said = train(recipe_of(images, tmp_path, cache={"stored": [folder]}), tmp_path / "run")
    assert f"read from {folder}; but for rounding, for it was computed otherwise (batch 5, here 6)" in said


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"what": "pooled", "side": 1}, "means of 1×1 cells"),
        pytest.param({"what": "pca", "dims": 3}, "3 dimensions", marks=pytest.mark.slow),
    ],
)
def test_grids_that_were_made_small_are_read_as_what_they_are(images, tmp_path, wanted, says):
    folder = embedded(recipe_of(images, tmp_path), images, tmp_path, **wanted)
    recipe = recipe_of(images, tmp_path, loss="token_kl", cache={"stored": [folder]})
    _, said = train(recipe, tmp_path / "run")
    assert f"what was stored is not the whole grid but {says}" in said
    assert "away from the whole one" in said


def test_students_may_see_changed_images_where_that_is_wanted(images, tmp_path, passes):
    folder = embedded(recipe_of(images, tmp_path), images, tmp_path)
    with pytest.raises(UserError, match=r"augment changes what students see \(flip_horizontal, flip_vertical\)"):
        recipe_of(images, tmp_path, cache={"stored": [folder]}, augment={})
    passes.clear()
    train(recipe_of(images, tmp_path, cache={"stored": [folder], "unchanged": True}, augment={}), tmp_path / "run")
    assert passes == [6]


def test_folders_of_other_networks_or_images_are_refused(images, tmp_path):
    some = tmp_path / "some"
    some.mkdir()
    for number in range(20):
        shutil.copy(images / f"{number:02}.png", some)
    recipe = recipe_of(images, tmp_path)
    folder = embedded(recipe, some, tmp_path)

    def refused(says, **other):
        with pytest.raises(UserError, match=says):
            train(recipe_of(images, tmp_path, cache={"stored": [folder]}, **other), tmp_path / "run")

    refused(r"has nothing of \d+ of the 23 images that T is asked about")
    refused(r"has T's embedding, and last of it is read", loss="token_kl")
    refused(r"is of vit_tiny_patch16_224 with other weights than T", teacher={**CLS, "options": {**SMALL, "depth": 2}})


def test_a_switch_without_what_it_is_for_is_refused(images, tmp_path):
    with pytest.raises(UserError, match="unchanged: is for `stored` embeddings"):
        recipe_of(images, tmp_path, cache={"unchanged": True})
