"""Embeddings on disk: the rows that were asked for, at once and in little memory, or a word on what is wrong."""

import os
import resource
import time
import zlib
from dataclasses import asdict
from hashlib import blake2b

import numpy as np
import pytest

from preceptor.embeddings import Embeddings
from preceptor.embeddings.shards import _MARK, _TRAILER, Form, ShardWriter, index_of, shard_name
from preceptor.embeddings.store import ABOUT, FILES, FORMAT
from preceptor.errors import DamagedFileError, UserError
from preceptor.sealed import file_sha256, write_sealed


def described(folder, form, shards):
    """``embeddings.json`` as ``preceptor embed`` leaves it."""
    about = {"format": FORMAT, "network": "made", "tap": "embedding", **asdict(form), "facts": {}}
    files = {FILES: file_sha256(folder / FILES)}
    write_sealed(folder / ABOUT, {**about, "shards": [path.name for path in shards], "files": files})
    return folder


def keys_of(rows):
    return np.array([b"%d" % row for row in rows], dtype="S16")


def written(folder, shards, errors=None):
    """A folder as ``preceptor embed`` leaves it."""
    form, paths, row = Form(shards[0].shape[1:], "float32", str(shards[0].dtype)), [], 0
    for records in shards:
        writer = ShardWriter(folder, 0, "embedding", form)
        writer.add(keys_of(range(row, row + len(records))), records.view(np.uint8))
        paths.append(writer.finish())
        row += len(records)
    lines = [f"{number}.png,{(errors or {}).get(number, '')}" for number in range(row)]
    (folder / FILES).write_text("\n".join(["file,error", *lines, ""]))
    return described(folder, form, paths)


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
    assert found.keys.tolist() == keys_of(range(10)).tolist()
    found.verify()
    with pytest.raises(IndexError, match="10 embeddings"):
        found[[10]]
    with pytest.raises(UserError, match=r"no embedding here, such as 'x\.png'"):
        found.rows_of(["x.png"])


def shards_in(folder):
    return sorted(folder.glob("*.shard"))


def _cut(folder):
    path = shards_in(folder)[1]
    path.write_bytes(path.read_bytes()[:-1])


def _exchanged(folder, file=None, at=0):
    path = file or shards_in(folder)[0]
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (_cut, r"\.shard: is cut short"),
        (lambda folder: shards_in(folder)[0].unlink(), r"\.shard: is missing"),
        (_exchanged, r"\.shard: record 0 is damaged"),
        (lambda folder: _exchanged(folder, at=-40), r"\.shard: its index is damaged"),
        (lambda folder: _exchanged(folder, folder / FILES), r"files\.csv: is missing or not what was written"),
        (lambda folder: (folder / FILES).unlink(), r"files\.csv: is missing or not what was written"),
        (lambda folder: _exchanged(folder, folder / ABOUT, 20), r"embeddings\.json: was changed or damaged"),
        (lambda folder: (folder / ABOUT).unlink(), "holds no finished embeddings"),
        (lambda folder: (folder / ABOUT).write_text("{}"), "is not of format 2"),
    ],
)
def test_what_is_damaged_is_named(harm, says, records, tmp_path):
    harm(written(tmp_path, [records[:4], records[4:]]))
    with pytest.raises((UserError, DamagedFileError), match=says):
        Embeddings.open(tmp_path).verify()


def test_maps_lie_in_the_memory_order_in_which_they_were_said(tmp_path):
    maps = np.random.default_rng(0).standard_normal((2, 3, 2, 2)).astype(np.float32)
    form = Form((3, 2, 2), "float32", "float32", channels_last=True)
    writer = ShardWriter(tmp_path, 0, "last", form)
    writer.add(keys_of(range(2)), np.ascontiguousarray(maps.transpose(0, 2, 3, 1)).view(np.uint8).reshape(2, -1))
    (tmp_path / FILES).write_text("file,error\na,\nb,\n")
    found = Embeddings.open(described(tmp_path, form, [writer.finish()]))
    assert np.array_equal(found[[1, 0]], maps[[1, 0]])


def sparse(folder, number, first, rows, width):
    """A shard of zeros that takes next to no room."""
    form = Form((width,), "float32", "float16")
    path = folder / f"{number}.part"
    checks = [zlib.crc32(bytes(form.record_bytes))] * rows
    index = index_of(0, "embedding", form, np.arange(first, first + rows).astype("S16"), checks)
    digest = blake2b(index, digest_size=16).digest()
    with path.open("wb") as file:
        file.truncate(rows * form.record_bytes)
        file.seek(0, os.SEEK_END)
        file.write(index + _TRAILER.pack(len(index), digest, _MARK))
    return path.rename(folder / shard_name(0, "embedding", digest))


def test_a_million_embeddings_open_at_once_and_take_no_memory(tmp_path):
    """Sparse files of 256 MB: a reader that loaded or hashed them would take seconds and gigabytes."""
    width, each, total = 1536, 256 * 2**20 // (1536 * 2), 1_000_000
    firsts = range(0, total, each)
    shards = [sparse(tmp_path, number, first, min(each, total - first), width) for number, first in enumerate(firsts)]
    (tmp_path / FILES).write_text("file,error\n")
    described(tmp_path, Form((width,), "float32", "float16"), shards)

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
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 * 1024, "KiB: keys and checksums, 28 bytes an image, and a few batches"
    print(f"opened in {opened:.3f} s, a batch of 256 in {1e3 * np.median(times):.1f} ms, {grown / 1024:.0f} MiB more")
