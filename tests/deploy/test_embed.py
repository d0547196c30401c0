"""``preceptor embed``: the vectors that the network itself says, in the same bytes whoever made them, killed or not."""

import shutil

import numpy as np
import pytest
import torch

from preceptor.data.augment import as_tensor, to_float
from preceptor.data.images import read_image
from preceptor.data.prepare import prepare
from preceptor.deploy import embed as module
from preceptor.deploy.embed import embed_images, estimate_of
from preceptor.deploy.hands import Hands
from preceptor.deploy.images import find_images
from preceptor.deploy.open_embedder import open_embedder
from preceptor.deploy.pieces import pieces_of
from preceptor.deploy.wanted import Wanted
from preceptor.embeddings import Embeddings
from preceptor.errors import UserError
from preceptor.recipe import parse_recipe
from preceptor.teacher_cache.facts import UNCHANGED, image_keys, pixel_facts

from ..command import preceptor
from ..study.test_ray import cluster, needs_ray

__all__ = ["cluster"]


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(module, "IMAGES", 7)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_embeddings_are_the_networks_own(class_run, class_data, tmp_path):
    wanted = Wanted(str(class_run), stored="float32", device="cpu")
    found = embed_images(wanted, [class_data], tmp_path / "out")
    embedder = open_embedder(wanted)
    items = find_images([class_data])
    assert found.files == [item.name for item in items]
    pixels = [pieces_of(item.name, read_image(item.path), embedder.contract).pixels[0] for item in items[:3]]
    images = to_float(as_tensor(np.stack(pixels)))
    with torch.no_grad():
        said = embedder.network(images).embedding
    assert torch.allclose(torch.from_numpy(found[:3]), said, atol=1e-6)
    found.verify()


@pytest.mark.parametrize("after", [1, 4, "joined"])
def test_killed_and_resumed_the_bytes_are_equal(after, class_run, class_data, tmp_path, monkeypatch, small_parts):
    wanted = Wanted(str(class_run), device="cpu")
    monkeypatch.setattr(module, "SHARD_BYTES", 2 * 8 * open_embedder(wanted).record_bytes)
    whole, out = tmp_path / "whole", tmp_path / "out"
    embed_images(wanted, [class_data], whole)
    assert len(Embeddings.open(whole).shards) == 3

    name, count = ("_shard", 2) if after == "joined" else ("_do_part", after)
    real, done = getattr(module, name), []

    def dies(*given):
        if len(done) == count:
            raise KeyboardInterrupt
        done.append(given)
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, dies)
        with pytest.raises(KeyboardInterrupt):
            embed_images(wanted, [class_data], out)
    with pytest.raises(UserError, match="holds no finished embeddings"):
        Embeddings.open(out)
    embed_images(wanted, [class_data], out)
    assert contents(out) == contents(whole)


@pytest.mark.slow
def test_two_workers_write_the_same_bytes(class_run, class_data, tmp_path):
    wanted = Wanted(str(class_run), device="cpu")
    many = tmp_path / "many"
    for number in range(4):
        shutil.copytree(class_data, many / str(number))
    one = embed_images(wanted, [many], tmp_path / "one")
    embed_images(wanted, [many], tmp_path / "two", hands=Hands(workers=2))
    assert len(one) == 4 * 48 > module.IMAGES
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(420)
def test_a_cluster_writes_the_bytes_of_one_process(class_run, class_data, tmp_path, cluster):
    address = cluster.stdout.readline().strip()
    many = tmp_path / "many"
    for number in range(4):
        shutil.copytree(class_data, many / str(number))
    wanted = Wanted(str(class_run), device="cpu", threads=1)
    embed_images(wanted, [many], tmp_path / "one")
    embed_images(wanted, [many], tmp_path / "all", hands=Hands(ray=address))
    assert contents(tmp_path / "one") == contents(tmp_path / "all")


def test_a_damaged_image_is_a_row_with_its_reason(class_run, class_data, tmp_path):
    images = tmp_path / "images"
    shutil.copytree(class_data, images)
    first = find_images([images])[0]
    with open(first.path, "wb") as file:
        file.write(b"no image")
    found = embed_images(Wanted(str(class_run), device="cpu"), [images], tmp_path / "out")
    assert list(found.damaged) == [0]
    assert np.isnan(found[[0]]).all()
    assert np.isfinite(found[1:]).all()


def test_other_embeddings_in_the_folder_are_refused(class_run, class_data, tmp_path):
    out = tmp_path / "out"
    embed_images(Wanted(str(class_run), device="cpu"), [class_data], out)
    with pytest.raises(UserError, match="asked for with other options"):
        embed_images(Wanted(str(class_run), device="cpu", stored="float32"), [class_data], out)
    with pytest.raises(UserError, match="the images are others"):
        embed_images(Wanted(str(class_run), device="cpu"), [next(class_data.iterdir())], out)


def test_whole_grids_beyond_the_budget_are_refused_with_what_would_fit(class_data, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "task: classification\n"
        f"data: {{source: folder, path: {class_data}, image_size: 96}}\n"
        "networks: {teacher: {architecture: resnet10t, weights: none}, student: {architecture: resnet10t}}\n"
        "technique: {name: distil_features}\n"
    )
    wanted = Wanted(str(recipe), what="grid", device="cpu")
    embedder = open_embedder(wanted)
    assert embedder.shape == (512, 3, 3)
    assert str(estimate_of(embedder, 1_000_000)) == "1,000,000 images of 9,216 bytes each: 9.22 GB"
    with pytest.raises(
        UserError,
        match=r"more than --budget 0\.0001 GB allows\.\nInstead: --what pca --dims 64: .*; --what embedding: ",
    ):
        embed_images(wanted, [class_data], tmp_path / "out", budget=0.0001)
    assert not (tmp_path / "out").exists()


def test_images_are_prepared_as_the_recipes_training_prepares_them(class_data, tmp_path):
    """The same bytes: padded with the first student's mean, and read with the recipe's options."""
    recipe = parse_recipe(
        {
            "task": "classification",
            "data": {
                "source": "folder",
                "path": str(class_data),
                "options": {"range": [10, 200]},
                "image_size": 20,
                "resize": "pad",
                "cache": str(tmp_path / "cache"),
            },
            "networks": {"student": {"architecture": "resnet10t", "mean": [0.2, 0.5, 0.7], "weights": "none"}},
            "technique": {"name": "baseline"},
        }
    )
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    embedder = open_embedder(Wanted(str(tmp_path / "recipe.yaml"), network="S1", device="cpu"))
    packed = prepare(recipe).packed
    contract = embedder.contract
    items = find_images([class_data], contract.reading)
    pixels = [pieces_of(item.name, read_image(item.path, contract.reading), contract).pixels[0] for item in items]
    assert np.array_equal(np.stack(pixels), packed.images[np.arange(len(packed))])
    keys = embedder.records(items).keys
    assert keys.tolist() == image_keys(packed, UNCHANGED).tolist()
    assert embedder.facts["pixels"] == pixel_facts(packed.placing, UNCHANGED, 0)


def test_levels_of_all_images_together_are_known_to_a_run_alone(class_data, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "task: classification\n"
        f"data: {{source: folder, path: {class_data}, options: {{percentiles: [1, 99]}}, image_size: 24}}\n"
        "networks: {student: {architecture: resnet10t, weights: none}}\n"
        "technique: {name: baseline}\n"
    )
    with pytest.raises(UserError, match=r"percentiles \[1.0, 99.0\] are of all images of the recipe together"):
        open_embedder(Wanted(str(recipe), network="S1"))
    with pytest.raises(UserError, match=r"has no network 'teacher'; it has S1"):
        open_embedder(Wanted(str(rewritten(recipe)), network="teacher"))


def rewritten(recipe):
    recipe.write_text(recipe.read_text().replace("options: {percentiles: [1, 99]}, ", ""))
    return recipe


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"source": "no_such_network"}, "'no_such_network' is no run, no recipe and no network"),
        ({"source": "nowhere/run"}, "nowhere/run is no finished run"),
        ({"source": "resnet10t", "what": "tokens"}, "--what 'tokens': it is one of embedding, pooled, pca, grid"),
        ({"source": "resnet10t", "what": "grid", "side": 2}, "--side 2: is for --what pooled and pca"),
        ({"source": "resnet10t", "what": "pooled", "dims": 2}, "--dims 2: is for --what pca"),
        ({"source": "resnet10t", "stored": "int8"}, "--dtype 'int8': it is one of float16, float32"),
    ],
)
def test_what_cannot_be_embedded_with_is_named(wanted, says):
    with pytest.raises(UserError, match=says):
        open_embedder(Wanted(**wanted))


def test_the_command_says_what_it_wrote(class_run, class_data, tmp_path):
    done = preceptor("embed", class_run, class_data, "--out", tmp_path / "out", "--device", "cpu")
    assert done.code == 0, done
    assert "48 images of" in done.out
    assert "48 of 48 embedded" in done.out
