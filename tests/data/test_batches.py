"""Batches: the order is a function of (seed, stream, epoch); nothing else matters."""

import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd
import pytest
import torch

from preceptor.data.ahead import in_order
from preceptor.data.batches import Batches
from preceptor.data.loading import Loading, compute_alone
from preceptor.data.order import SampleOrder, Share, balanced
from preceptor.data.samples import SampleTable
from preceptor.data.store import pack
from preceptor.errors import UserError
from preceptor.randomness import key
from preceptor.specs import AugmentSpec

AUGMENT = AugmentSpec(transpose=True, rotate=20, shift=0.1, stain=0.2)


def table(count: int = 50, task="classification", size: int = 10) -> SampleTable:
    pixels = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    labels = np.full(count, -1) if task == "segmentation" else (np.arange(count) % 7 > 4).astype(np.int64)
    frame = pd.DataFrame({"id": [f"s{n}" for n in range(count)], "image": "", "mask": "", "label": labels})
    frame[["group", "split"]] = None
    masks = (pixels[..., 0] > 128).astype(np.uint8)
    return SampleTable(
        source="noise",
        task=task,
        classes=("no", "yes"),
        frame=frame,
        read=lambda row: (pixels[row], masks[row] if task == "segmentation" else None),
        identity="noise",
    )


def batches_of(packed, rows, *, batch_size, augment=None, **options):
    """Batches whose options need not say to which of their parts they belong."""
    groups = [
        kind(**{name: options.pop(name) for name in kind.__dataclass_fields__ if name in options})
        for kind in (SampleOrder, Share, Loading)
    ]
    assert not options
    order, share, loading = groups
    return Batches(packed, rows, batch_size=batch_size, augment=augment, order=order, share=share, loading=loading)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return pack(table(), size=(10, 10), folder=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def packed_masks(tmp_path_factory):
    return pack(table(task="segmentation"), size=(10, 10), folder=tmp_path_factory.mktemp("cache"))


ROWS = np.arange(3, 45)
TENSORS = ("images", "targets", "positions", "rows")


def equal(first, second):
    """Whether two lists of batches are the same, bit for bit."""
    return len(first) == len(second) and all(
        a.whole == b.whole and all(torch.equal(getattr(a, name), getattr(b, name)) for name in TENSORS)
        for a, b in zip(first, second, strict=True)
    )


def test_evaluation_batches_are_the_packed_images_in_order(packed):
    batches = batches_of(packed, ROWS, batch_size=16)
    seen = list(batches.epoch(0))
    assert len(batches) == len(seen) == 3
    assert [batch.whole for batch in seen] == [16, 16, 10]
    assert torch.cat([batch.positions for batch in seen]).tolist() == list(range(42))
    assert torch.cat([batch.rows for batch in seen]).tolist() == ROWS.tolist()
    images = torch.cat([batch.images for batch in seen])
    np.testing.assert_array_equal(images.numpy(), packed.images[ROWS].transpose(0, 3, 1, 2) / np.float32(255))
    targets = torch.cat([batch.targets for batch in seen])
    assert targets.dtype == torch.int64
    np.testing.assert_array_equal(targets, packed.frame["label"].to_numpy()[ROWS])


def test_masks_are_targets(packed_masks):
    (batch,) = batches_of(packed_masks, ROWS, batch_size=64).epoch(0)
    assert batch.targets.dtype == torch.int64
    np.testing.assert_array_equal(batch.targets.numpy(), packed_masks.masks[ROWS])


def test_masks_move_with_their_images(packed_masks):
    """The mask is where red is above 128, and stays there under turns."""
    batches = batches_of(packed_masks, ROWS, batch_size=42, shuffle=True, augment=AugmentSpec(transpose=True))
    (batch,) = batches.epoch(2)
    assert torch.equal(batch.targets, (batch.images[:, 0] > 128 / 255).long())


def test_order_is_a_function_of_seed_stream_and_view(packed):
    def order(seed=0, stream="distil", view=0):
        batches = batches_of(packed, ROWS, batch_size=8, shuffle=True, seed=seed, stream=stream)
        return torch.cat([batch.positions for batch in batches.epoch(view)]).tolist()

    assert sorted(order()) == list(range(42))
    assert order() == order()
    assert len({tuple(order(**other)) for other in ({}, {"seed": 1}, {"stream": "teacher"}, {"view": 1})}) == 4


def test_two_passes_of_one_object_agree(packed):
    batches = batches_of(packed, ROWS, batch_size=8, shuffle=True, augment=AUGMENT)
    assert equal(list(batches.epoch(1)), list(batches.epoch(1)))
    assert not equal(list(batches.epoch(1)), list(batches.epoch(2)))


@pytest.mark.parametrize("start", [0, 1, 4, 6])
def test_starting_half_way_gives_the_rest(packed, start):
    batches = batches_of(packed, ROWS, batch_size=8, shuffle=True, augment=AUGMENT, balance="over")
    assert equal(list(batches.epoch(3, start)), list(batches.epoch(3))[start:])


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_nothing(packed_masks, workers):
    arguments = {"batch_size": 5, "shuffle": True, "augment": AUGMENT}
    alone = list(batches_of(packed_masks, ROWS, **arguments).epoch(0))
    assert equal(list(batches_of(packed_masks, ROWS, **arguments, workers=workers).epoch(0)), alone)


@pytest.mark.parametrize(("batch_group", "workers"), [(2, 0), (4, 2), (64, 1)])
def test_what_is_loaded_together_changes_nothing(packed_masks, batch_group, workers):
    arguments = {"batch_size": 5, "shuffle": True, "augment": AUGMENT}
    alone = batches_of(packed_masks, ROWS, **arguments)
    together = batches_of(packed_masks, ROWS, **arguments, batch_group=batch_group, workers=workers)
    for start in (0, 1, 3):
        found = list(together.epochs(1, 4, start))
        assert equal(found, [*alone.epoch(1, start), *alone.epoch(2), *alone.epoch(3)])
        for batch in found:
            own = batch.batch_group[batch.start : batch.start + len(batch.images)]
            assert own.data_ptr() == batch.images.data_ptr()
            assert torch.equal(own, batch.images)
    sizes = [len(batch.batch_group) for batch in together.epoch(0)]
    assert sizes[0] == min(5 * batch_group, len(ROWS))
    assert [len(batch.batch_group) for batch in together.epoch(0, 1)] == sizes[1:]  # as it lies in a whole epoch


def test_the_next_epoch_is_begun_while_one_ends(packed):
    batches = batches_of(packed, ROWS, batch_size=8, shuffle=True, workers=1)
    with closing(batches.epochs(0, 2)) as coming:
        list(islice(coming, len(batches)))
        workers = [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
        assert len(workers) == 1
        assert equal(list(coming), list(batches.epoch(1)))
    assert not workers[0].is_alive()


def test_ranks_load_together_what_is_theirs(packed):
    arguments = {"batch_size": 5, "shuffle": True, "augment": AUGMENT, "world": 2}
    for rank in (0, 1):
        alone, together = (
            list(batches_of(packed, ROWS, **arguments, rank=rank, batch_group=n).epoch(0)) for n in (1, 3)
        )
        assert equal(alone, together)


def test_pixels_do_not_depend_on_batch_size_or_part(packed):
    def pixels(rows, batch_size):
        batches = batches_of(packed, rows, batch_size=batch_size, shuffle=True, augment=AUGMENT, stream=str(batch_size))
        whole = list(batches.epoch(4))
        rows = torch.cat([batch.rows for batch in whole]).tolist()
        return dict(zip(rows, torch.cat([batch.images for batch in whole]), strict=True))

    few, many = pixels(ROWS[::2], 3), pixels(ROWS, 42)
    assert all(torch.equal(image, many[row]) for row, image in few.items())


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_every_batch(packed, world):
    arguments = {"batch_size": 8, "shuffle": True, "augment": AUGMENT}
    whole = list(batches_of(packed, ROWS, **arguments).epoch(0))
    ranks = [list(batches_of(packed, ROWS, **arguments, rank=rank, world=world).epoch(0)) for rank in range(world)]
    for number, batch in enumerate(whole):
        parts = [rank[number] for rank in ranks]
        assert torch.equal(torch.cat([part.positions for part in parts]), batch.positions)
        assert torch.equal(torch.cat([part.images for part in parts]), batch.images)
        assert {part.whole for part in parts} == {len(batch.positions)}
        assert np.ptp([len(part.positions) for part in parts]) <= 1


def test_a_rank_may_get_nothing_of_the_last_batch(packed):
    arguments = {"batch_size": 4, "world": 2, "augment": AUGMENT}
    last = [list(batches_of(packed, ROWS[:5], **arguments, rank=rank).epoch(0))[-1] for rank in (0, 1)]
    assert sorted(len(batch.positions) for batch in last) == [0, 1]
    assert {batch.images.shape[1:] for batch in last} == {(3, 10, 10)}


@pytest.mark.parametrize("drop_last", [False, True])
def test_drop_last(packed, drop_last):
    batches = batches_of(packed, ROWS, batch_size=8, shuffle=True, drop_last=drop_last)
    sizes = [len(batch.positions) for batch in batches.epoch(0)]
    assert sizes == [8] * 5 + ([] if drop_last else [2])
    assert len(batches) == len(sizes)


@pytest.mark.parametrize(("smallest", "rest", "left_out"), [(1, [2], 0), (2, [2], 0), (3, [], 2)])
def test_a_last_batch_that_is_too_small_is_left_out(packed, smallest, rest, left_out):
    batches = batches_of(packed, ROWS, batch_size=8, shuffle=True, smallest=smallest)
    assert [len(batch.positions) for batch in batches.epoch(0)] == [8] * 5 + rest
    assert (len(batches), batches.left_out) == (5 + len(rest), left_out)


def test_channels_last_changes_only_the_layout(packed):
    plain, laid_out = (
        list(batches_of(packed, ROWS, batch_size=8, channels_last=flag).epoch(0)) for flag in (False, True)
    )
    assert equal(plain, laid_out)
    assert laid_out[0].images.is_contiguous(memory_format=torch.channels_last)


def test_a_resident_part_changes_nothing(packed_masks):
    arguments = {"batch_size": 5, "shuffle": True, "augment": AUGMENT}
    streamed, resident = (batches_of(packed_masks, ROWS, **arguments, resident=flag) for flag in (False, True))
    assert equal(list(streamed.epoch(0)), list(resident.epoch(0)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("resident", [False, True, None])
def test_on_a_gpu_as_on_the_cpu(packed_masks, resident):
    arguments = {"batch_size": 8, "shuffle": True, "augment": AUGMENT, "workers": 2}
    here = list(batches_of(packed_masks, ROWS, **arguments).epoch(0))
    there = list(batches_of(packed_masks, ROWS, **arguments, device="cuda", resident=resident).epoch(0))
    for a, b in zip(here, there, strict=True):
        assert b.images.is_cuda
        torch.testing.assert_close(b.images.cpu(), a.images, atol=1e-4, rtol=0)
        assert (b.targets.cpu() != a.targets).float().mean() < 0.01


def test_over_sampling_by_hand():
    """Five of class 0, two of class 3: each of the two comes twice, one of them a third time."""
    labels = np.array([0, 0, 3, 0, 0, 3, 0])
    counts = Counter(balanced(labels, "over", key(0)).tolist())
    assert [counts[position] for position in (0, 1, 3, 4, 6)] == [1] * 5
    assert sorted([counts[2], counts[5]]) == [2, 3]


def test_under_sampling_by_hand():
    labels = np.array([0, 0, 3, 0, 0, 3, 0])
    chosen = balanced(labels, "under", key(0))
    assert Counter(labels[chosen].tolist()) == {0: 2, 3: 2}
    assert len(set(chosen.tolist())) == 4
    assert len({tuple(sorted(balanced(labels, "under", key(n)).tolist())) for n in range(60)}) == 10


@pytest.mark.parametrize("balance", ["over", "under"])
def test_balanced_views_hold_classes_equally_and_differ(packed, balance):
    batches = batches_of(packed, ROWS, batch_size=8, shuffle=True, balance=balance)
    views = [torch.cat([batch.positions for batch in batches.epoch(view)]) for view in (0, 1)]
    labels = torch.tensor(packed.frame["label"].to_numpy()[ROWS])
    for view in views:
        assert labels[view].bincount().unique().numel() == 1
    assert sorted(views[0].tolist()) != sorted(views[1].tolist())
    assert len(batches) == -(-len(views[0]) // 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 43, "shuffle": True}, "batch_size is 43, but there are only 42 images to train on"),
        ({"batch_size": 43, "drop_last": True}, "at most 42"),
        ({"batch_size": 25, "shuffle": True, "balance": "under"}, "only 24 images to train on after balancing"),
        ({"batch_size": 2, "world": 3}, "batch_size is 2 with 3 processes"),
    ],
)
def test_batches_that_cannot_be_are_refused(packed, arguments, message):
    with pytest.raises(UserError, match=message):
        batches_of(packed, ROWS, **arguments)


def test_an_empty_part_and_balanced_masks_are_refused(packed, packed_masks):
    with pytest.raises(UserError, match="holds no image"):
        batches_of(packed, ROWS[:0], batch_size=1)
    with pytest.raises(UserError, match="masks have no class"):
        batches_of(packed_masks, ROWS, batch_size=1, shuffle=True, balance="over")


def test_transpose_of_oblong_images_is_refused_at_once(tmp_path):
    oblong = pack(table(), size=(10, 12), folder=tmp_path)
    with pytest.raises(UserError, match="10 × 12"):
        batches_of(oblong, ROWS, batch_size=4, augment=AugmentSpec(transpose=True))


def _threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_results_come_in_order_from_threads():
    def work(number):
        time.sleep(0.002 * (number % 3))
        return number

    assert list(in_order(work, range(40), 4)) == list(range(40))
    assert not _threads()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_out_where_it_was_due(workers):
    def work(number):
        if number == 3:
            raise UserError("three")
        return number

    results = in_order(work, range(10), workers)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(UserError, match="three"):
        next(results)
    assert not _threads()


def test_an_abandoned_epoch_ends_its_threads(packed):
    epoch = batches_of(packed, ROWS, batch_size=4, workers=2).epoch(0)
    next(epoch)
    assert _threads()
    epoch.close()
    assert not _threads()


def test_computing_alone_leaves_other_threads_as_they_were():
    before = torch.get_num_threads()
    seen = []

    def ask():
        seen.append(torch.get_num_threads())

    def alone():
        compute_alone()
        ask()

    try:
        torch.set_num_threads(3)
        for target in (alone, ask):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        assert seen == [1, 3]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_little_is_read_ahead():
    started = []
    results = in_order(lambda number: started.append(number), range(1000), 2)
    next(results)
    time.sleep(0.02)
    assert len(started) <= 6
    results.close()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    """Resident memory after reading 60 MB of images is what it was after the first batch."""
    packed = pack(table(count=8000, size=50), size=(50, 50), folder=tmp_path)

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    epoch = batches_of(packed, np.arange(8000), batch_size=32, augment=AUGMENT, shuffle=True).epoch(0)
    next(epoch)
    before = resident()
    for _ in epoch:
        pass
    assert resident() - before < 20e6


def test_views_are_replayed_in_turn_while_the_order_goes_on(packed):
    spec = AUGMENT.model_copy(update={"views": 2})
    arguments = {"batch_size": len(ROWS), "shuffle": True}
    (first,), (second,), (third,) = (batches_of(packed, ROWS, augment=spec, **arguments).epoch(e) for e in range(3))
    by_sample = [batch.images[batch.positions.argsort()] for batch in (first, second, third)]
    assert [batch.view for batch in (first, second, third)] == [0, 1, 0]
    assert torch.equal(by_sample[0], by_sample[2])
    assert not torch.equal(by_sample[0], by_sample[1])
    assert not torch.equal(first.positions, third.positions)
    (own,) = batches_of(packed, ROWS, augment=AUGMENT, **arguments).epoch(2)
    assert torch.equal(own.positions, third.positions)


def test_images_that_nothing_changes_have_one_view(packed):
    still = AugmentSpec(flip_horizontal=False, flip_vertical=False, views=3)
    assert {batches_of(packed, ROWS, batch_size=8, augment=spec).view(5) for spec in (still, None)} == {0}


@pytest.mark.parametrize("channels", [1, 4])
def test_sixteen_bits_and_other_channels_arrive_as_numbers_from_0_to_1(tmp_path, channels):
    plain = table(12)
    sixteen = np.random.default_rng(1).integers(0, 65536, (12, 10, 10, channels), dtype=np.uint16)
    wide = replace(plain, read=lambda row: (sixteen[row], None), channels=channels, depth=16)
    packed = pack(wide, size=(10, 10), folder=tmp_path)
    assert np.array_equal(packed.images[:], sixteen)
    for resident in (False, True):
        batches = batches_of(packed, np.arange(12), batch_size=5, resident=resident)
        found = torch.cat([batch.images for batch in batches.epoch(0)])
        wanted = torch.from_numpy(sixteen.astype(np.float32)).permute(0, 3, 1, 2) / 65535
        assert torch.equal(found, wanted)
    spec = AugmentSpec(rotate=10, flip_horizontal=True)
    changed = batches_of(packed, np.arange(12), batch_size=12, augment=spec, seed=3)
    images = next(iter(changed.epoch(0))).images
    assert images.shape == (12, channels, 10, 10)
    assert 0 <= images.min() <= images.max() <= 1
