"""What is read of a packed set is what was written; what is not is packed anew, and said."""

import io
import json
import multiprocessing
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from preceptor.data import cache, store
from preceptor.data import packed as packed_sets
from preceptor.data.packed import open_packed
from preceptor.data.repair import on_sound_pixels
from preceptor.data.rows import DamagedRowError, PackedRows
from preceptor.data.store import pack
from preceptor.errors import DamagedFileError, UserError
from preceptor.specs import TileSpec

from .damage import FILES, all_of, as_before_sums, flip, masked_table, unwritable

WHOLE = ("images.u8", "masks.u8")
SMALL = tuple(name for name in FILES if name not in WHOLE)


class Set:
    """A packed set in the cache ``folder``, and what was said about it."""

    def __init__(self, folder: Path) -> None:
        self.cache, self.said = folder / "cache", []
        self.source = folder / "src"
        self.reads = 0
        self.folder = self.pack().folder
        self.calm = all_of(self.open())
        self.said.clear()

    def pack(self):
        return pack(masked_table(self.source), size=(8, 8), folder=self.cache, note=self.said.append)

    open = pack

    def used(self):
        """Everything that a run reads, as a run reads it."""
        return on_sound_pixels(lambda: all_of(self.pack()), self.said.append)


@pytest.fixture
def made(tmp_path):
    return Set(tmp_path)


def test_keys_and_pixels_are_those_of_sets_from_before_there_were_sums(tmp_path):
    """So that a cache which was filled by an older version goes on serving."""
    pixels = (np.arange(6 * 9 * 10 * 3) * 7 % 251).astype(np.uint8).reshape(6, 9, 10, 3)
    table = masked_table(tmp_path / "src")
    table = type(table)(
        source="made",
        task="segmentation",
        classes=("a", "b"),
        frame=table.frame.assign(group=[None, *"ppqqr"]),
        read=lambda row: (pixels[row], pixels[row, ..., 0] // 128),
        grouping="patient",
        identity="seed 3",
        notes=("a note",),
    )
    whole = pack(table, size=(8, 8), folder=tmp_path)
    tiles = pack(table, size=(8, 8), tile=TileSpec(size=8, overlap=2), folder=tmp_path)
    assert whole.folder.name == "made-c7afa8aacfe0-d9be49837d5c"
    assert tiles.folder.name == "made-fa844f9e7c5e-f5bf5ee9ce72"
    np.testing.assert_array_equal(tiles.images[0], pixels[0, :8, :8])


@pytest.mark.parametrize("wrong", ["empty", "cut", "longer", "missing", "other"])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_said_once_and_made_anew(made, name, wrong):
    file = made.folder / name
    content = file.read_bytes()
    file.unlink()
    if wrong != "missing":
        other = content.replace(b"0", b"1") if name == "meta.json" else bytes(len(content))
        file.write_bytes(
            {"empty": b"", "cut": content[: len(content) // 2], "longer": content + b"x", "other": other}[wrong]
        )

    assert made.used() == made.calm
    is_harmless = name in ("stamps.npz", "sums.npz") and wrong == "longer"  # the sums within the zip still hold
    assert len(made.said) == (0 if is_harmless else 1)
    assert all(str(made.folder / name) in line for line in made.said)
    made.said.clear()
    assert made.used() == made.calm
    assert made.said == []
    assert [path.name for path in made.cache.iterdir() if path.is_dir()] == [made.folder.name]


def battery(made, name, count):
    """Bits of which each is flipped in a whole set: the outcome is the calm one, and said where anything was wrong."""
    backup = made.cache.with_name("backup")
    shutil.copytree(made.folder, backup)
    size = 8 * (made.folder / name).stat().st_size
    silent = 0
    for bit in np.random.default_rng(len(name)).integers(size, size=count).tolist():
        flip(made.folder / name, bit)
        assert made.used() == made.calm, (name, bit)
        silent += not made.said
        made.said.clear()
        shutil.rmtree(made.folder)
        shutil.copytree(backup, made.folder)
    return silent


@pytest.mark.parametrize("name", FILES)
def test_flipped_bits_change_nothing(made, name):
    """Silent is what has no effect: the layout of JSON, the seal's own mark, which leaves the sums of the zip."""
    silent = battery(made, name, 12)
    assert silent <= (0 if name in (*WHOLE, "table.npz") else 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_hundred_flipped_bits_change_nothing(made, name):
    battery(made, name, 100)


def test_a_row_is_compared_whenever_it_is_read(made):
    packed = made.open()
    flip(made.folder / "images.u8", 8 * (2 * 192 + 5))
    assert packed.images[1].any()
    with pytest.raises(
        DamagedRowError, match=r"images\.u8: row 2 was changed or damaged after it was written"
    ) as caught:
        packed.read(np.array([1, 2]))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.path, again.inode) == (str(caught.value), caught.value.path, caught.value.inode)
    packed = made.open()
    np.testing.assert_array_equal(packed.images[3], packed.images[3])
    flip(made.folder / "images.u8", 8 * 3 * 192)
    with pytest.raises(DamagedRowError, match="row 3"):  # though it was sound when this process read it first
        packed.images[3]


def test_rows_that_changed_places_and_a_file_that_ends_early_are_noticed(made):
    packed = made.open()
    content = bytearray((made.folder / "masks.u8").read_bytes())
    content[:64], content[64:128] = content[64:128], content[:64]
    (made.folder / "masks.u8").write_bytes(content)
    with pytest.raises(DamagedRowError, match="row 0 was changed"):
        packed.masks.read(np.array([0]))
    with (made.folder / "images.u8").open("r+b") as file:
        file.truncate(200)
    with pytest.raises(DamagedRowError, match="ends before row 1 does"):
        packed.images.read(np.array([0, 1]))


def test_rows_are_indexed_like_an_array(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (5, 3, 2), dtype=np.uint8)
    (tmp_path / "rows").write_bytes(array.tobytes())
    rows = PackedRows(tmp_path / "rows", array.shape)
    for index in (0, -1, slice(1, 4), slice(None), [3, 0], np.array([[1], [2]]), np.array([], dtype=np.int64)):
        np.testing.assert_array_equal(rows[index], array[index])
    with pytest.raises(IndexError):
        rows[5]


# Sets from before there were sums ------------------------------------------------------------------------------


def test_a_set_without_sums_is_said_once_and_gets_them(made):
    pixels = (made.folder / "images.u8").stat()
    as_before_sums(made.folder)
    assert not open_packed(made.folder).is_sealed
    assert made.used() == made.calm
    (line,) = made.said
    assert line == (
        f"{made.folder}: packed by a version without checksums and not verified; "
        "from now on it is compared with what it holds today"
    )
    assert (made.folder / "images.u8").stat().st_ino == pixels.st_ino
    made.said.clear()
    assert made.used() == made.calm
    assert made.said == []
    flip(made.folder / "masks.u8", 77)
    assert made.used() == made.calm
    assert len(made.said) == 1


@pytest.mark.parametrize("name", [name for name in SMALL if name != "sums.npz"])
def test_a_set_without_sums_that_is_damaged_visibly_is_packed_anew(made, name):
    as_before_sums(made.folder)
    content = (made.folder / name).read_bytes()
    (made.folder / name).write_bytes(content[: len(content) // 2])
    assert made.used() == made.calm
    assert any(name in line for line in made.said)
    assert open_packed(made.folder).is_sealed


def test_a_set_that_lost_its_seal_is_not_taken_for_an_old_one(made):
    about = json.loads((made.folder / "meta.json").read_text())
    about["classes"], about["sha255"] = ["a", "b"], about.pop("sha256")
    (made.folder / "meta.json").write_text(json.dumps(about))
    with pytest.raises(DamagedFileError, match="has lost its seal"):
        open_packed(made.folder)
    assert made.used() == made.calm


def test_killed_while_a_set_gets_its_sums_leaves_the_old_set(made, monkeypatch):
    as_before_sums(made.folder)
    with monkeypatch.context() as patch:
        patch.setattr("preceptor.data.packed.save_about", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            made.pack()
    assert not open_packed(made.folder).is_sealed
    assert made.used() == made.calm


# A cache that cannot be written --------------------------------------------------------------------------------


def test_a_filled_cache_serves_where_nothing_can_be_written(made):
    listed = sorted(made.cache.rglob("*"))
    (made.cache / f"{made.folder.name.rpartition('-')[0]}.lock").unlink()
    with unwritable(made.cache):
        with pytest.raises(PermissionError):
            (made.cache / "x").touch()
        assert made.used() == made.calm
    assert made.said == []
    assert len(list(made.cache.rglob("*"))) == len(listed) - 1


def test_an_unverified_set_is_used_as_it_is_where_nothing_can_be_written(made):
    as_before_sums(made.folder)
    for _ in range(2):
        with unwritable(made.cache):
            assert made.used() == made.calm
        (line,) = made.said
        assert "not verified; it gets no checksums, for" in line
        assert "cannot be written: Permission denied" in line
        made.said.clear()


def test_moved_data_are_compared_by_content_where_nothing_can_be_written(made):
    shutil.move(made.source, made.source.with_name("elsewhere"))
    made.source = made.source.with_name("elsewhere")
    with unwritable(made.cache):
        assert made.used() == made.calm
    (line,) = made.said
    assert "cannot note what the source files look like now (Permission denied); each run reads them again" in line


@pytest.mark.parametrize("name", [None, "table.npz", "images.u8"])
def test_what_would_have_to_be_packed_names_the_remedy_where_nothing_can_be_written(made, name):
    if name:
        flip(made.folder / name, 900)
    else:
        shutil.rmtree(made.folder)
    with (
        unwritable(made.cache),
        pytest.raises(UserError, match=r"(?s)Permission denied.* set data\.cache|Set data\.cache") as caught,
    ):
        made.used()
    if name:
        assert f"{name}" in str(caught.value)


# Several processes ---------------------------------------------------------------------------------------------


def _use(source: Path, folder: Path, barrier, answers) -> None:
    barrier.wait()
    said = []
    answers.put((all_of_used(source, folder, said), len(said)))


def all_of_used(source: Path, folder: Path, said: list[str]):
    return on_sound_pixels(
        lambda: all_of(pack(masked_table(source), size=(8, 8), folder=folder, note=said.append)), said.append
    )


@pytest.mark.parametrize("state", ["old", *FILES])
def test_processes_that_meet_damage_at_once_repair_it_once(made, state):
    if state == "old":
        as_before_sums(made.folder)
    else:
        flip(made.folder / state, 4001 % (8 * (made.folder / state).stat().st_size))
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(4), context.Queue()
    processes = [context.Process(target=_use, args=(made.source, made.cache, barrier, answers)) for _ in range(4)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert all(content == made.calm for content, _ in found)
    assert sum(said for _, said in found) >= 1
    assert [path for path in made.cache.iterdir() if path.is_dir()] == [made.folder]
    assert made.used() == made.calm
    assert made.said == []


def test_a_set_that_is_removed_while_it_is_opened_is_as_if_it_had_not_been_there(made, monkeypatch):
    whole = packed_sets._read_sums

    def removed_before(path, *how):
        made.folder.rename(made.folder.with_name("aside"))
        monkeypatch.setattr(packed_sets, "_read_sums", whole)
        return whole(path, *how)

    monkeypatch.setattr(packed_sets, "_read_sums", removed_before)
    assert made.used() == made.calm
    assert made.said == []


def test_who_meets_damage_late_leaves_the_new_set_alone(made):
    early, late = made.open(), made.open()
    flip(made.folder / "images.u8", 9)
    errors = []
    for packed in (early, late):
        with pytest.raises(DamagedRowError) as caught:
            packed.images[0]
        errors.append(caught.value)
    cache.discard(errors[0])
    made.pack()
    new = (made.folder / "images.u8").stat().st_ino
    cache.discard(errors[1])
    assert (made.folder / "images.u8").stat().st_ino == new


def test_one_of_several_processes_gives_up_and_says_what_to_do(made, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    flip(made.folder / "images.u8", 9)
    with pytest.raises(DamagedFileError, match="Give the same command again: the images are packed anew"):
        made.used()
    assert not made.folder.exists()
    assert made.used() == made.calm


def test_damage_that_comes_back_at_once_is_not_repaired_for_ever(made, monkeypatch):
    publish = store._publish

    def damaged(part, final):
        flip(part / "images.u8", 9)
        return publish(part, final)

    monkeypatch.setattr(store, "_publish", damaged)
    flip(made.folder / "images.u8", 9)
    with pytest.raises(DamagedFileError, match=r"packed anew just now\.\nCheck this machine's disk"):
        made.used()


def test_the_sums_of_sound_rows_have_other_readers(made):
    with np.load(made.folder / "sums.npz") as sums:
        assert sums["images"].shape == (6,)
        assert sums["masks"].dtype == np.uint32
    assert zipfile.is_zipfile(io.BytesIO((made.folder / "stamps.npz").read_bytes()))
