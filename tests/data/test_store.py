"""Packing: exact, reused while the files are the same, never half-written."""

import dataclasses
import errno
import json
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from preceptor.data import store
from preceptor.data.decoded import pixel_hash
from preceptor.data.packed import PackedSet, open_packed, save_about, save_sums
from preceptor.data.samples import SampleTable
from preceptor.data.store import pack
from preceptor.errors import UserError
from preceptor.randomness import keys
from preceptor.sealed import read_sealed
from preceptor.specs import IGNORED, TileSpec


def decoded(path: str):
    with Image.open(path) as image:
        return np.asarray(image)


def files_table(folder: Path, count: int = 5, side: int = 12, masks: bool = False) -> SampleTable:
    """PNG files of noise, one patient for two of them; row 0 has no patient."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for number in range(count):
        path = folder / f"{number}.png"
        pixels = rng.integers(0, 256, (side, side + number, 3), dtype=np.uint8)
        if not path.exists():
            Image.fromarray(pixels).save(path)
            Image.fromarray(pixels[..., 0] // 128).save(folder / f"{number}_mask.png")
    paths = [[str(folder / f"{n}.png")] + ([str(folder / f"{n}_mask.png")] if masks else []) for n in range(count)]

    def read(row: int):
        image = decoded(paths[row][0])
        return image, decoded(paths[row][1]) if masks else None

    frame = pd.DataFrame(
        {
            "id": [f"image {number}" for number in range(count)],
            "image": [row[0] for row in paths],
            "mask": [row[-1] if masks else None for row in paths],
            "label": np.full(count, -1) if masks else np.arange(count) % 2,
            "group": pd.Series([None, *(f"p{number // 2}" for number in range(1, count))], dtype=object),
            "split": pd.Series(["train", *[None] * (count - 1)], dtype=object),
        }
    )
    return SampleTable(
        source="files",
        task="segmentation" if masks else "classification",
        classes=("one", "two"),
        frame=frame,
        read=read,
        grouping="patient",
        files=lambda row: tuple(paths[row]),
        notes=("a note",),
    )


def counted(table: SampleTable) -> tuple[SampleTable, list[int]]:
    """The table, and the rows that are read from it."""
    reads: list[int] = []

    def read(row: int):
        reads.append(row)
        return table.read(row)

    return dataclasses.replace(table, read=read), reads


def test_pixels_and_table_come_back(tmp_path):
    table = files_table(tmp_path / "src", masks=True)
    steps = []
    packed = pack(
        table, size=(12, 12), folder=tmp_path / "cache", resize="crop", progress=lambda *step: steps.append(step)
    )

    assert steps == [(n, 5) for n in range(1, 6)]
    image, mask = table.read(0)  # already 12 × 12
    np.testing.assert_array_equal(packed.images[0], image)
    np.testing.assert_array_equal(packed.masks[0], mask)
    assert packed.images.shape == (5, 12, 12, 3)
    assert packed.frame["id"].tolist() == table.frame["id"].tolist()
    assert packed.frame["label"].dtype == np.int64
    assert packed.frame["group"].tolist() == [None, "p0", "p1", "p1", "p2"]
    assert packed.frame["split"].tolist() == ["train", None, None, None, None]
    assert list(packed.frame.columns) == ["id", "label", "group", "split", "pixels"]
    assert (packed.task, packed.classes, packed.grouping) == ("segmentation", ("one", "two"), "patient")
    assert (packed.size, packed.tile, packed.notes) == ((12, 12), None, ("a note",))
    np.testing.assert_array_equal(packed.keys, keys(table.frame["id"]))


def test_reading_rows_in_any_order(tmp_path):
    packed = pack(files_table(tmp_path / "src", masks=True), size=(8, 6), folder=tmp_path)
    rows = np.array([3, 0, 3])
    images, masks = packed.read(rows)
    np.testing.assert_array_equal(images, packed.images[rows])
    np.testing.assert_array_equal(masks, packed.masks[rows])
    with pytest.raises(IndexError):
        packed.read(np.array([5]))
    copy = pickle.loads(pickle.dumps(packed))
    np.testing.assert_array_equal(copy.read(rows)[0], images)


def test_pixel_hash_is_of_the_image_before_resizing(tmp_path):
    table = files_table(tmp_path / "src")
    same = dataclasses.replace(table, read=lambda row: table.read(row % 2), identity="pairs")
    small, large = (pack(same, size=size, folder=tmp_path / "cache") for size in ((4, 4), (9, 9)))
    assert small.frame["pixels"].tolist() == large.frame["pixels"].tolist()
    assert small.frame["pixels"].nunique() == 2
    assert small.frame["pixels"][0] == small.frame["pixels"][2]


def test_content_hashes_tell_equal_images_in_any_packed_set(tmp_path):
    table = files_table(tmp_path / "src")
    same = dataclasses.replace(table, read=lambda row: table.read(row % 2), identity="pairs")
    whole, tiled = (
        pack(same, size=(4, 4), tile=tile, folder=tmp_path / "cache") for tile in (None, TileSpec(size=8, overlap=0))
    )
    hashes = whole.content_hashes()
    assert hashes.shape == (5, 16)
    assert hashes.dtype == np.uint8
    assert bytes(hashes[0]).hex() == pixel_hash(table.read(0)[0])
    np.testing.assert_array_equal(hashes[0], hashes[2])
    assert bytes(hashes[0]) != bytes(hashes[1])
    parents = tiled.frame["parent"].map(dict(zip(whole.frame["id"], map(bytes, hashes), strict=True)))
    assert parents.tolist() == list(map(bytes, tiled.content_hashes()))


def test_thread_count_changes_nothing(tmp_path):
    table = files_table(tmp_path / "src", count=20)
    one, four = (pack(table, size=(8, 8), folder=tmp_path / str(n), workers=n) for n in (1, 4))
    assert (one.folder / "images.u8").read_bytes() == (four.folder / "images.u8").read_bytes()
    assert one.fingerprint == four.fingerprint


def test_reused_without_decoding(tmp_path):
    table, reads = counted(files_table(tmp_path / "src"))
    first = pack(table, size=(8, 8), folder=tmp_path / "cache")
    stamp = (first.folder / "images.u8").stat().st_ino
    again = pack(table, size=(8, 8), folder=tmp_path / "cache")
    assert sorted(reads) == list(range(5))
    assert (again.folder / "images.u8").stat().st_ino == stamp


def test_touched_files_are_compared_by_content_once(tmp_path, monkeypatch):
    table, reads = counted(files_table(tmp_path / "src"))
    pack(table, size=(8, 8), folder=tmp_path / "cache")
    os.utime(tmp_path / "src" / "2.png", ns=(1, 1))
    assert pack(table, size=(8, 8), folder=tmp_path / "cache") is not None
    assert len(reads) == 5
    monkeypatch.setattr("preceptor.data.fingerprint._digest", lambda path: pytest.fail(f"{path} was read again"))
    pack(table, size=(8, 8), folder=tmp_path / "cache")


def test_a_moved_data_set_is_recognised(tmp_path):
    pack(files_table(tmp_path / "src"), size=(8, 8), folder=tmp_path / "cache")
    shutil.move(tmp_path / "src", tmp_path / "elsewhere" / "src")
    table, reads = counted(files_table(tmp_path / "elsewhere" / "src"))
    pack(table, size=(8, 8), folder=tmp_path / "cache")
    assert reads == []


@pytest.mark.parametrize("same_size", [True, False])
def test_a_changed_file_is_packed_anew_and_the_old_set_removed(tmp_path, same_size):
    table = files_table(tmp_path / "src")
    old = pack(table, size=(12, 12), folder=tmp_path / "cache")
    before = old.images[0]
    path = tmp_path / "src" / "0.png"
    size = path.stat().st_size
    Image.fromarray(255 - before).save(path)
    if same_size:
        with path.open("r+b") as file:
            file.truncate(size)
            file.seek(0, os.SEEK_END)
            file.write(b"\0" * (size - file.tell()))
    os.utime(path, ns=(1, 1))

    new = pack(table, size=(12, 12), folder=tmp_path / "cache")

    np.testing.assert_array_equal(new.images[0], 255 - before)
    assert new.fingerprint != old.fingerprint
    assert not old.folder.exists()
    np.testing.assert_array_equal(old.images[0], before)  # who has it open keeps it


@pytest.mark.parametrize(
    "change",
    [
        {"size": (8, 9)},
        {"resize": "pad"},
        {"tile": TileSpec(size=8)},
        {"label": 1},
        {"group": "p9"},
        {"id": "another"},
        {"identity": "other options"},
    ],
)
def test_whatever_pixels_or_table_depend_on_makes_another_set(tmp_path, change):
    table = files_table(tmp_path / "src")
    first = pack(table, size=(8, 8), folder=tmp_path / "cache")
    frame = table.frame.copy()
    for name in ("label", "group", "id"):
        if name in change:
            frame.loc[4, name] = change.pop(name)
    other = dataclasses.replace(table, frame=frame, identity=change.pop("identity", ""))
    second = pack(other, **{"size": (8, 8), **change}, folder=tmp_path / "cache")
    assert second.folder != first.folder
    assert first.folder.exists()


def test_tiles_inherit_and_the_image_stands_in_for_a_missing_group(tmp_path):
    table = files_table(tmp_path / "src", masks=True, side=12)
    packed = pack(table, size=(99, 99), tile=TileSpec(size=8, overlap=2), folder=tmp_path / "cache")
    frame = packed.frame
    assert packed.size == (8, 8)
    assert packed.tile == (8, 2)
    first = frame[frame["parent"] == "image 0"]
    assert first[["y", "x"]].to_numpy().tolist() == [[0, 0], [0, 4], [4, 0], [4, 4]]
    assert first["group"].unique().tolist() == ["image 0"]  # had none
    assert frame[frame["parent"] == "image 3"]["group"].unique().tolist() == ["p1"]
    assert frame["id"].is_unique
    assert (frame.groupby("parent")["pixels"].nunique() == 1).all()
    assert first[["height", "width"]].drop_duplicates().to_numpy().tolist() == [[12, 12]]
    image, mask = table.read(3)
    for row in np.flatnonzero(frame["parent"] == "image 3"):
        y, x = frame.loc[row, ["y", "x"]]
        np.testing.assert_array_equal(packed.images[row], image[y : y + 8, x : x + 8])
        np.testing.assert_array_equal(packed.masks[row], mask[y : y + 8, x : x + 8])


PADDED = {"size": (16, 16), "resize": "pad"}
STICKING_OUT = {"size": (9, 9), "tile": TileSpec(size=16)}
WITHIN = {"size": (9, 9), "tile": TileSpec(size=12)}


@pytest.mark.parametrize(("how", "ignores"), [(PADDED, True), (STICKING_OUT, True), (WITHIN, False)])
def test_what_is_filled_up_around_an_image_counts_nowhere(tmp_path, how, ignores):
    packed = pack(files_table(tmp_path / "src", masks=True), folder=tmp_path / "cache", **how)
    assert packed.ignores is ignores
    assert (packed.masks[1] == IGNORED).any() == ignores
    if how is STICKING_OUT:
        assert (packed.masks[0] == IGNORED).sum() == 16 * 16 - 12 * 12
    table, reads = counted(files_table(tmp_path / "src", masks=True))
    assert pack(table, folder=tmp_path / "cache", **how).fingerprint == packed.fingerprint
    assert not reads
    assert not pack(files_table(tmp_path / "src"), folder=tmp_path / "cache", **how).ignores  # there are no masks


def test_tiles_from_before_borders_were_ignored_are_packed_anew(tmp_path):
    made = pack(files_table(tmp_path / "src", masks=True), folder=tmp_path / "cache", **STICKING_OUT)
    about, _ = read_sealed(made.folder / "meta.json", "")
    older = {key: value for key, value in about.items() if key not in ("border", "ignores", "table_sha256")}
    save_about(made.folder, {**older, "fingerprint": "0" * 32})
    old = made.folder.rename(made.folder.with_name(f"{made.folder.name.rpartition('-')[0]}-{'0' * 12}"))
    table, reads = counted(files_table(tmp_path / "src", masks=True))
    assert pack(table, folder=tmp_path / "cache", **STICKING_OUT).ignores
    assert (len(reads), old.exists()) == (5, False)


def test_tiles_of_ungrouped_images_are_grouped_by_image(tmp_path):
    table = dataclasses.replace(files_table(tmp_path / "src"), grouping=None)
    assert pack(table, size=(8, 8), folder=tmp_path).grouping is None
    assert pack(table, size=(8, 8), tile=TileSpec(size=8), folder=tmp_path).grouping == "image"


def test_a_failure_leaves_nothing_and_names_the_file(tmp_path):
    table = files_table(tmp_path / "src")
    path = tmp_path / "src" / "3.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match=r"3\.png: cannot be decoded"):
        pack(table, size=(8, 8), folder=tmp_path / "cache")
    assert [entry.name for entry in (tmp_path / "cache").iterdir() if entry.suffix != ".lock"] == []


def test_a_missing_file_is_named(tmp_path):
    table = files_table(tmp_path / "src")
    (tmp_path / "src" / "3.png").unlink()
    with pytest.raises(UserError, match=r"3\.png: No such file"):
        pack(table, size=(8, 8), folder=tmp_path / "cache")


def test_a_mask_of_another_size_is_refused(tmp_path):
    table = files_table(tmp_path / "src", masks=True)
    Image.fromarray(np.zeros((5, 7), dtype=np.uint8)).save(tmp_path / "src" / "1_mask.png")
    with pytest.raises(UserError, match=r"1_mask\.png: the mask is 5 × 7 pixels, its image .*1\.png 12 × 13"):
        pack(table, size=(8, 8), folder=tmp_path / "cache")


def test_a_mask_with_unknown_values_is_refused(tmp_path):
    table = files_table(tmp_path / "src", masks=True)
    Image.fromarray(np.full((12, 12), 255, dtype=np.uint8)).save(tmp_path / "src" / "0_mask.png")
    with pytest.raises(UserError, match=r"holds the value 255, but there are only 2 classes"):
        pack(table, size=(8, 8), folder=tmp_path / "cache")


def test_no_image_and_two_images_of_one_name_are_refused(tmp_path):
    table = files_table(tmp_path / "src")
    with pytest.raises(UserError, match="no image"):
        pack(dataclasses.replace(table, frame=table.frame.iloc[:0]), size=(8, 8), folder=tmp_path)
    with pytest.raises(UserError, match="'image 1' occurs more than once"):
        pack(dataclasses.replace(table, frame=table.frame.replace("image 2", "image 1")), size=(8, 8), folder=tmp_path)


def test_too_little_space_is_noticed_before(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100))
    table, reads = counted(files_table(tmp_path / "src"))
    with pytest.raises(UserError, match=r"need 0\.0 MB, the disk has"):
        pack(table, size=(8, 8), folder=tmp_path / "cache")
    assert reads == []


def test_a_disk_that_fills_up_is_said_and_cleaned_up(tmp_path, monkeypatch):
    def full(path, frame):
        path.write_bytes(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "save_table", full)
    with pytest.raises(UserError, match="the disk is full"):
        pack(files_table(tmp_path / "src"), size=(8, 8), folder=tmp_path / "cache")
    assert not list((tmp_path / "cache").glob(".*"))
    monkeypatch.undo()
    pack(files_table(tmp_path / "src"), size=(8, 8), folder=tmp_path / "cache")


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Set data\.cache"):
        pack(files_table(tmp_path / "src"), size=(8, 8), folder=tmp_path / "file" / "cache")


def _pack_and_die(source: Path, cache: Path) -> None:
    """Killed with everything written and nothing renamed."""
    store._publish = lambda part, final: os.kill(os.getpid(), signal.SIGKILL)
    pack(files_table(source), size=(8, 8), folder=cache)


def _pack(source: Path, cache: Path, barrier) -> None:
    table = files_table(source, count=12)
    slow = dataclasses.replace(table, read=lambda row: (time.sleep(0.01), table.read(row))[1])
    barrier.wait()
    pack(slow, size=(8, 8), folder=cache, workers=1)


def test_killed_before_the_rename_leaves_nothing_that_is_read(tmp_path):
    files_table(tmp_path / "src")
    process = multiprocessing.get_context("fork").Process(
        target=_pack_and_die, args=(tmp_path / "src", tmp_path / "cache")
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (leftover,) = (tmp_path / "cache").glob(".*.part")
    assert (leftover / "meta.json").exists()

    table, reads = counted(files_table(tmp_path / "src"))
    packed = pack(table, size=(8, 8), folder=tmp_path / "cache")

    assert len(reads) == 5
    assert packed.images[:].any()
    assert not leftover.exists()


def test_two_packers_at_once_make_one_set(tmp_path):
    files_table(tmp_path / "src", count=12)
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    processes = [context.Process(target=_pack, args=(tmp_path / "src", tmp_path / "cache", barrier)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    table, reads = counted(files_table(tmp_path / "src", count=12))
    packed = pack(table, size=(8, 8), folder=tmp_path / "cache")
    assert reads == []
    assert [entry for entry in (tmp_path / "cache").iterdir() if entry.is_dir()] == [packed.folder]


def test_a_set_damaged_from_outside_is_refused_and_packed_anew(tmp_path):
    table = files_table(tmp_path / "src")
    packed = pack(table, size=(8, 8), folder=tmp_path / "cache")
    whole = packed.images[:]
    with (packed.folder / "images.u8").open("r+b") as file:
        file.truncate(100)
    with pytest.raises(UserError, match="has 100 bytes, not 960"):
        open_packed(packed.folder)
    again = pack(table, size=(8, 8), folder=tmp_path / "cache")
    assert again.folder == packed.folder
    np.testing.assert_array_equal(again.images[:], whole)


@pytest.mark.parametrize("wrong", ["missing", "empty", "format"])
def test_what_is_no_packed_set_is_refused(tmp_path, wrong):
    folder = pack(files_table(tmp_path / "src"), size=(8, 8), folder=tmp_path / "cache").folder
    if wrong == "missing":
        folder = tmp_path / "nowhere"
    elif wrong == "empty":
        (folder / "meta.json").write_text("")
    else:
        about = json.loads((folder / "meta.json").read_text())
        (folder / "meta.json").write_text(json.dumps(about | {"format": 0}))
    with pytest.raises(UserError):
        open_packed(folder)


def test_opening_220000_rows_is_quick(tmp_path):
    """Written without packing: only the table and sparse files."""
    count = 220_000
    frame = pd.DataFrame(
        {
            "id": [f"train/{number:040x}" for number in range(count)],
            "label": np.arange(count) % 2,
            "group": pd.Series([f"slide {number % 300}" for number in range(count)], dtype=object),
            "split": pd.Series([None] * count, dtype=object),
            "pixels": [f"{number:032x}" for number in range(count)],
        }
    )
    store.save_table(tmp_path / "table.npz", frame)
    with (tmp_path / "images.u8").open("wb") as file:
        file.truncate(count * 96 * 96 * 3)
    about = dict.fromkeys(("source", "grouping", "fingerprint")) | {"notes": [], "classes": ["a", "b"]}
    about |= {"format": 1, "task": "classification", "size": [96, 96], "rows": count}
    save_sums(tmp_path, np.full(count, zlib.crc32(bytes(96 * 96 * 3)), dtype=np.uint32), None)
    save_about(tmp_path, about)

    start = time.process_time()
    packed = PackedSet(tmp_path)
    seconds = time.process_time() - start

    assert seconds < 2
    assert packed.is_sealed
    assert not packed.images[[0, count - 1]].any()
    numbered = frame.assign(pixels=np.arange(count))  # in the order of the hashes
    pd.testing.assert_frame_equal(packed.frame, numbered, check_dtype=False)


def test_needs_no_torch():
    code = "import sys, preceptor.data.store, preceptor.data.sources.phantom; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
