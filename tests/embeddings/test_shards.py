"""A shard is whole or it is not there, and says when it was changed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from preceptor.embeddings import shards
from preceptor.embeddings.shards import (
    DamagedShardError,
    Form,
    Shard,
    ShardWriter,
    shards_of,
    sweep,
    tap_of,
    view_of,
)

FORM = Form((3, 2), "float32", "float32")
RECORDS = np.random.default_rng(0).integers(0, 256, (5, 24), dtype=np.uint8)
KEYS = np.array([b"seven", b"\0three", b"nine\0\0\0", b"sixteen bytes 0", b"four"], dtype="S16")


def written(folder, view=2, tap="last"):
    writer = ShardWriter(folder, view, tap, FORM)
    writer.add(KEYS[:2], RECORDS[:2])
    writer.add(KEYS[2:], RECORDS[2:])
    return writer.finish()


def read(shard, places):
    out = np.zeros((len(places), 24), dtype=np.uint8)
    shard.read(np.array(places), out, np.arange(len(places)))
    return out


def test_records_come_back_in_any_order(tmp_path):
    shard = Shard(written(tmp_path))
    assert (shard.view, shard.tap, shard.form) == (2, "last", FORM)
    assert shard.keys.tolist() == KEYS.tolist()
    assert np.array_equal(read(shard, [4, 0, 0, 2]), RECORDS[[4, 0, 0, 2]])


def test_records_are_an_array_for_other_programs(tmp_path):
    assert np.array_equal(np.memmap(written(tmp_path), dtype=np.uint8, mode="r", shape=(5, 24)), RECORDS)


def test_the_name_says_what_is_in_it(tmp_path):
    path = written(tmp_path, view=12, tap="odd.tap/name")
    assert (view_of(path), tap_of(path)) == (12, "odd.tap/name")
    assert shards_of(tmp_path, 12) == shards_of(tmp_path) == [path]
    assert shards_of(tmp_path, 1) == []


def test_equal_shards_have_one_name(tmp_path):
    first = written(tmp_path)
    content = first.read_bytes()
    assert written(tmp_path) == first
    assert first.read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("kept", [0, 10, 100, -1])
def test_a_file_cut_short_is_refused(tmp_path, kept):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DamagedShardError):
        Shard(path)


@pytest.mark.parametrize("place", [125, -20, -1])
def test_a_changed_index_is_refused(tmp_path, place):
    path = written(tmp_path)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedShardError):
        Shard(path)


def test_a_changed_record_is_refused_and_the_others_are_not(tmp_path):
    path = written(tmp_path)
    content = bytearray(path.read_bytes())
    content[2 * 24 + 5] ^= 1
    path.write_bytes(content)
    shard = Shard(path)
    assert np.array_equal(read(shard, [0, 1, 3, 4]), RECORDS[[0, 1, 3, 4]])
    with pytest.raises(DamagedShardError, match="record 2"):
        read(shard, [2])


def test_a_half_written_shard_is_not_seen(tmp_path):
    writer = ShardWriter(tmp_path, 0, "last", FORM)
    writer.add(KEYS, RECORDS)
    assert shards_of(tmp_path) == []
    writer.drop()
    assert list(tmp_path.iterdir()) == []


def test_only_what_dead_processes_left_is_swept(tmp_path):
    """The system drops a dead writer's lock, so nobody has to."""
    code = (
        "import os, sys, pathlib, numpy as np\n"
        "from preceptor.embeddings.shards import Form, ShardWriter\n"
        "writer = ShardWriter(pathlib.Path(sys.argv[1]), 0, 'last', Form((6,), 'float32', 'float32'))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    living = ShardWriter(tmp_path, 0, "last", FORM)
    assert len(list(Path(tmp_path).glob(".*.part"))) == 2
    assert sweep(tmp_path) == 1
    living.add(KEYS, RECORDS)
    assert np.array_equal(read(Shard(living.finish()), range(5)), RECORDS)


def test_what_others_write_beside_the_shards_is_not_swept(tmp_path):
    """``about.json`` is written under a temporary name by every process that begins at the same time."""
    (tmp_path / ".about.json.123.part").write_text("{}")
    assert sweep(tmp_path) == 0
    assert (tmp_path / ".about.json.123.part").exists()


def test_a_writer_whose_file_is_swept_before_it_is_locked_makes_another(tmp_path, monkeypatch):
    lock = shards.fcntl.flock

    swept = []

    def late(file, how):
        monkeypatch.setattr(shards.fcntl, "flock", lock)
        swept.append(sweep(tmp_path))

    monkeypatch.setattr(shards.fcntl, "flock", late)
    assert np.array_equal(read(Shard(written(tmp_path)), range(5)), RECORDS)
    assert swept == [1]
