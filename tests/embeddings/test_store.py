"""Embeddings on disk: the rows that were asked for, at once and in little memory, or a word on what is wrong."""

import resource
import time
from dataclasses import asdict

import numpy as np
import pytest

from preceptor.embeddings import Embeddings
from preceptor.embeddings.store import ABOUT, FILES, FORMAT, ShardFacts, shard_name
from preceptor.errors import DamagedFileError, UserError
from preceptor.sealed import file_sha256, write_sealed


def written(folder, shards, names=None, errors=None):
    """A folder as ``preceptor embed`` leaves it."""
    facts = []
    for number, records in enumerate(shards):
        path = folder / shard_name(number)
        np.save(path, records)
        facts.append(asdict(ShardFacts(len(records), path.stat().st_size - records.nbytes, file_sha256(path))))
    names = names or [f"{row}.png" for row in range(sum(map(len, shards)))]
    lines = [f"{name},{(errors or {}).get(row, '')}" for row, name in enumerate(names)]
    (folder / FILES).write_text("\n".join(["file,error", *lines, ""]))
    first = shards[0]
    about = {"format": FORMAT, "shape": list(first.shape[1:]), "stored": str(first.dtype), "shards": facts, "facts": {}}
    write_sealed(folder / ABOUT, about)
    return folder


@pytest.fixture
def records():
    return np.random.default_rng(0).standard_normal((10, 6)).astype(np.float16)


def test_rows_come_in_the_order_asked_for_out_of_any_shard(records, tmp_path):
    found = Embeddings.open(written(tmp_path, [records[:4], records[4:9], records[9:]], errors={3: "cut short"}))
    assert (len(found), found.shape) == (10, (6,))
    rows = np.array([9, 0, 4, 3, 4])
    assert np.array_equal(found[rows], records[rows])
    assert np.array_equal(found[2:7], records[2:7])
    assert np.array_equal(np.concatenate(found.maps), records)
    assert found.rows_of(["7.png", "1.png"]).tolist() == [7, 1]
    assert found.damaged == {3: "cut short"}
    found.verify()
    with pytest.raises(IndexError, match="10 embeddings"):
        found[[10]]
    with pytest.raises(UserError, match=r"no embedding here, such as 'x\.png'"):
        found.rows_of(["x.png"])


def _cut(folder):
    path = folder / shard_name(1)
    path.write_bytes(path.read_bytes()[:-1])


def _exchanged(folder):
    path = folder / shard_name(0)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (_cut, r"shard-00001\.npy: is missing or does not have"),
        (lambda folder: (folder / shard_name(0)).unlink(), r"shard-00000\.npy: is missing"),
        (_exchanged, r"shard-00000\.npy: is not what was written"),
        (lambda folder: (folder / ABOUT).unlink(), "holds no finished embeddings"),
        (lambda folder: (folder / ABOUT).write_text("{}"), "is not of format 1"),
    ],
)
def test_what_is_damaged_is_named(harm, says, records, tmp_path):
    harm(written(tmp_path, [records[:4], records[4:]]))
    with pytest.raises((UserError, DamagedFileError), match=says):
        Embeddings.open(tmp_path).verify()


def test_a_million_embeddings_open_at_once_and_take_no_memory(tmp_path):
    """Sparse files of 256 MB: a reader that loaded or hashed them would take seconds and gigabytes."""
    width, each, total = 1536, 256 * 2**20 // (1536 * 2), 1_000_000
    facts = []
    for number, first in enumerate(range(0, total, each)):
        rows = min(each, total - first)
        with (tmp_path / shard_name(number)).open("wb") as file:
            header = {"descr": "<f2", "fortran_order": False, "shape": (rows, width)}
            np.lib.format.write_array_header_1_0(file, header)
            start = file.tell()
            file.truncate(start + rows * width * 2)
        facts.append(asdict(ShardFacts(rows, start, "")))
    about = {"format": FORMAT, "shape": [width], "stored": "float16", "shards": facts, "facts": {}}
    write_sealed(tmp_path / ABOUT, about)

    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = Embeddings.open(tmp_path)
    found[[0]]
    opened = time.perf_counter() - began
    batches = np.random.default_rng(0).integers(0, total, (200, 256))
    times = []
    for rows in batches:
        began = time.perf_counter()
        assert found[rows].shape == (256, width)
        times.append(time.perf_counter() - began)
    assert len(found) == total
    assert opened < 1
    assert np.median(times) < 0.05
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 64 * 1024, "KiB: a few batches"
