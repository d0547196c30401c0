"""Kept outputs computed again: from the saved network and the packed images alone."""

import json
import shutil

import numpy as np
import pytest

from preceptor.embeddings.shards import Shard, ShardWriter
from preceptor.teacher_cache.folder import everything_kept
from preceptor.teacher_cache.verify import verify

from ..command import preceptor
from ..training.phantoms import BATCH, recipe_for, train

AUGMENT = {"rotate": 20, "stain": 0.1, "views": 2}


@pytest.fixture(scope="module", params=["classification", "segmentation"])
def filled(request, tmp_path_factory):
    """A cache that a short run has filled, by task."""
    root = tmp_path_factory.mktemp("filled")
    task = request.param
    technique = {"name": "kd_offline", "losses": [{"loss": "kd"}, {"loss": "at"}]}
    training = {
        "epochs": 1,
        "batch_size": BATCH[task],
        "precision": "bf16-mixed" if task == "segmentation" else "32-true",
    }
    train(recipe_for(task, technique, root / "cache", training=training, augment=AUGMENT), root / "run")
    return root / "cache"


@pytest.fixture
def cache(filled, tmp_path):
    """A copy that may be harmed; the images are read where they were packed."""
    shutil.copytree(filled / "teachers", tmp_path / "cache" / "teachers")
    return tmp_path / "cache"


def only(cache):
    (kept,) = everything_kept(cache / "teachers")
    return kept


def test_what_was_kept_is_what_the_network_says(cache):
    kept = only(cache)
    verdict = verify(kept, entries=20)
    assert (verdict.wrong, verdict.unable) == ((), None)
    assert verdict.compared >= 20


def test_wrong_numbers_with_right_checksums_are_found_and_removed(cache):
    kept = only(cache)
    for path in kept.shards:
        shard = Shard(path)
        records = np.zeros((len(shard.keys), shard.form.record_bytes), dtype=np.uint8)
        path.unlink()
        writer = ShardWriter(kept.folder, shard.view, shard.tap, shard.form)
        writer.add(shard.keys, records)
        writer.finish()
    count = len(kept.shards)
    verdict = verify(kept, entries=20)
    assert len(verdict.wrong) == count
    assert kept.shards == []


def test_a_changed_record_is_found_whichever_entries_are_drawn(cache):
    kept = only(cache)
    path = kept.shards[0]
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)
    verdict = verify(kept, entries=0)
    assert len(verdict.wrong) == 1
    assert not path.exists()


@pytest.mark.parametrize("gone", ["network", "images", "machine"])
def test_what_cannot_be_computed_again_is_said(cache, gone):
    kept = only(cache)
    if gone == "network":
        shutil.rmtree(kept.network_folder)
    else:
        about = json.loads((kept.folder / "about.json").read_text())
        if gone == "images":
            about["packed"] = str(cache / "absent")
        else:
            about["facts"]["arithmetic"]["torch"] = "0.1"
        (kept.folder / "about.json").write_text(json.dumps(about))
        kept = type(kept)(kept.root, about["facts"], kept.name, about["packed"])
        kept.folder.mkdir(exist_ok=True)
    verdict = verify(kept, entries=4)
    assert verdict.compared == 0
    assert {"network": "networks", "images": "absent", "machine": "torch was 0.1"}[gone] in (verdict.unable or "")


def test_the_command_lists_verifies_and_prunes(cache):
    kept = only(cache)
    listed = preceptor("cache", "list", "--folder", cache)
    assert listed.code == 0
    assert kept.key in listed.out
    assert "logits" in listed.out
    sound = preceptor("cache", "verify", kept.key[:6], "--entries", 4, "--folder", cache)
    assert (sound.code, "computed again; sound" in sound.out) == (0, True)
    path = kept.shards[0]
    path.write_bytes(path.read_bytes()[:-1])
    harmed = preceptor("cache", "verify", "--entries", 4, "--folder", cache)
    assert (harmed.code, "DAMAGED" in harmed.out, str(path) in harmed.out) == (1, True, True)
    assert preceptor("cache", "verify", "nonsense", "--folder", cache).code == 2
    assert preceptor("cache", "prune", "--folder", cache).code == 0
    assert only(cache) == kept
    pruned = preceptor("cache", "prune", "--unused-for", 0, "--folder", cache)
    assert (pruned.code, f"{kept.key} T: removed" in pruned.out) == (0, True)
    assert everything_kept(cache / "teachers") == []
