"""Exported networks are what was exported, or they are refused."""

import json
import random

import pytest
import torch

from preceptor import composed
from preceptor.composed.committee import Committee
from preceptor.composed.grafted import Chain
from preceptor.errors import DamagedFileError, UserError
from preceptor.networks.build import build_network, load_plain_network
from preceptor.networks.weights import read_weights
from preceptor.specs import NetworkSpec


def make(architecture="resnet10t", *, task="classification", classes=("a", "b"), **more):
    spec = NetworkSpec(architecture=architecture, weights="none", **more)
    return build_network(spec, task=task, classes=classes, image_size=(32, 32), seed=0)


def flip(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def as_before_there_were_sums(folder):
    """What an older version wrote; also of the networks in it."""
    for path in folder.rglob("config.json"):
        config = json.loads(path.read_text())
        for key in ("sha256", "weights_sha256", "preprocessing", "timms_transform", "answer", "network_size"):
            config["_preceptor"].pop(key, None)
        path.write_text(json.dumps(config))


def started_from(folder):
    """A network that starts from the weights in ``folder``."""
    spec = NetworkSpec(architecture="resnet10t", weights=str(folder))
    return build_network(spec, task="classification", classes=("a", "b"), image_size=(32, 32), seed=1)


def of_that_folder(folder):
    """A network whose architecture and weights are those of ``folder``."""
    spec = NetworkSpec(architecture=f"local-dir:{folder}")
    return build_network(spec, task="classification", classes=("a", "b"), image_size=(32, 32), seed=1)


READERS = [load_plain_network, composed.load_network, started_from, of_that_folder]


@pytest.mark.parametrize("reader", READERS)
def test_a_flipped_bit_in_the_weights_is_noticed(reader, tmp_path):
    make().save(tmp_path)
    weights = tmp_path / "model.safetensors"
    reader(tmp_path)
    for bit in random.Random(0).sample(range(weights.stat().st_size * 8), 5):
        flip(weights, bit)
        with pytest.raises(DamagedFileError, match=r"model\.safetensors: is not the file .*\n.* delete result\.json"):
            reader(tmp_path)
        flip(weights, bit)
    reader(tmp_path)


def test_a_lone_file_is_compared_with_the_config_beside_it(tmp_path):
    make().save(tmp_path)
    weights = tmp_path / "model.safetensors"
    assert read_weights(str(weights)).notes == ()
    flip(weights, weights.stat().st_size * 8 - 5)
    with pytest.raises(DamagedFileError):
        read_weights(str(weights))


def test_every_flipped_bit_in_a_config_is_noticed_or_means_nothing(tmp_path):
    """White space means nothing; all else is sealed: sizes, classes, mean and std, wherever they stand."""
    make(classes=("benign", "malignant")).save(tmp_path)
    path = tmp_path / "config.json"
    whole = json.loads(path.read_text())
    noticed = 0
    for bit in random.Random(1).sample(range(path.stat().st_size * 8), 300):
        flip(path, bit)
        try:
            read_weights(str(tmp_path))
        except UserError:
            noticed += 1
        else:
            assert json.loads(path.read_text()) == whole
        flip(path, bit)
    assert noticed > 150
    assert read_weights(str(tmp_path)).notes == ()


CHANGES = [("_preceptor", "_qreceptor"), ("0.485", "0.484"), ('"b"', '"c"'), ('"sha256"', '"shb256"')]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_config_is_refused(change, tmp_path):
    make().save(tmp_path)
    path = tmp_path / "config.json"
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(DamagedFileError, match=r"config\.json: was changed or damaged"):
        load_plain_network(tmp_path)


def test_what_an_older_version_exported_is_read_and_said_to_be_unverified(tmp_path):
    network = make()
    network.save(tmp_path)
    as_before_there_were_sums(tmp_path)
    for reader in READERS:
        (note,) = reader(tmp_path).notes
        assert note.startswith(f"{tmp_path}: exported before there were checksums")
    images = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(load_plain_network(tmp_path)(images).logits, network.eval()(images).logits)


@pytest.mark.parametrize("part", ["model.safetensors", "sources/A/model.safetensors", "sources/B/config.json"])
def test_networks_built_on_others_are_verified_with_their_sources(part, tmp_path):
    sources = {"A": make(), "B": make()}
    Committee(sources, integration="average", temperature=4.0).alone(sources).save(tmp_path)
    assert composed.load_network(tmp_path).notes == ()
    path = tmp_path / part
    flip(path, path.stat().st_size * 4)
    with pytest.raises(UserError):
        composed.load_network(tmp_path)
    flip(path, path.stat().st_size * 4)
    as_before_there_were_sums(tmp_path)
    assert len(composed.load_network(tmp_path).notes) == 3


def test_segmenters_and_grafted_chains_are_verified(tmp_path):
    make("unet", task="segmentation", encoder="resnet10t").save(tmp_path / "U")
    student = make()
    Chain.unfilled(student).save(tmp_path / "G")
    for name in ("U", "G"):
        weights = tmp_path / name / "model.safetensors"
        composed.load_network(tmp_path / name)
        flip(weights, weights.stat().st_size * 4)
        with pytest.raises(DamagedFileError):
            composed.load_network(tmp_path / name)


def test_a_loaded_network_refuses_images_of_another_size(tmp_path):
    """What it would say of them was never measured."""
    make().save(tmp_path)
    network = load_plain_network(tmp_path)
    network(torch.rand(1, 3, 32, 32))
    with pytest.raises(UserError, match=r"images of 40×32 px .* made for 32×32 px"):
        network(torch.rand(1, 3, 40, 32))
