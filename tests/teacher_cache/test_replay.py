"""Reading instead of computing: what is kept, when it is trusted, and what happens when it cannot be."""

import errno
import shutil

import numpy as np
import pytest
import torch

from preceptor.cohort.frozen import FixedSize
from preceptor.data.batches import Batch
from preceptor.embeddings.shards import Shard, ShardWriter, shards_of
from preceptor.networks.export import CONFIG
from preceptor.networks.outputs import Outputs
from preceptor.teacher_cache import replay as module
from preceptor.teacher_cache.folder import CacheEntry
from preceptor.teacher_cache.replay import Replay

from ..data.damage import unwritable

IMAGES = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(0))
KEYS = np.array([b"%d" % row for row in range(12)], dtype="S16")
BUDGET = 2**30


def batch(*rows, view=0):
    index = torch.tensor(rows, dtype=torch.int64)
    images = IMAGES[index] * (1 - 0.1 * view)
    return Batch(images=images, targets=index % 3, positions=index, rows=index, whole=len(rows), view=view)


EPOCH = [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9)]
OTHER = [(9, 0, 5, 2), (3, 8, 7, 1), (4, 6)]


class Stage:
    """Stages one after another on one cache, each with a teacher that counts its forward passes."""

    def __init__(self, root, tiny):
        self.root, self.tiny, self.told = root, tiny, []
        self.calls = 0

    def network(self, read=("logits", "last")):
        network = self.tiny(1)
        network.freeze()
        network.read = frozenset(read)
        network.save = lambda folder: (folder.mkdir(parents=True), (folder / CONFIG).write_text("{}"))
        network.register_forward_hook(self._count)
        return network

    def _count(self, *_):
        self.calls += 1

    def facts(self, **more):
        return {
            "network": {"weights": "w", "architecture": "tiny"},
            "pixels": {},
            "arithmetic": {"precision": "float32"},
            "dtype": "float32",
            **more,
        }

    def run(self, epochs, *, network=None, views=(0,), budget=BUDGET, rounds=False, facts=None, size=4):
        """What is said in each batch, and forward passes; ``epochs`` is a list of lists of batches."""
        network = network or self.network()
        ask = FixedSize(size, rounds=rounds)
        self.told.clear()
        self.calls = 0
        with Replay(ask, self.told.append, budget=budget) as replay, torch.no_grad():
            kept = CacheEntry(self.root, facts or self.facts(), "T", "packed")
            replay.add("T", network, kept, keys=KEYS, images=10)
            replay.plan(views)
            said = [replay("T", network, one, epoch) for epoch, batches in enumerate(epochs, 1) for one in batches]
        counted, right = self.calls, [ask.compute("T", network, one.images) for batches in epochs for one in batches]
        self.equal = all(
            torch.equal(a.at(tap), b.at(tap)) and a.at(tap).stride() == b.at(tap).stride()
            for a, b in zip(said, right, strict=True)
            for tap in network.taps_read
        )
        return counted

    @property
    def shards(self):
        return sorted(self.root.glob("*/*.shard"))


@pytest.fixture
def stage(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(module, "_SPARE", 0)
    return Stage(tmp_path / "teachers", tiny)


def batches(rows=EPOCH, view=0):
    return [batch(*some, view=view) for some in rows]


def test_a_second_stage_reads_in_another_order_what_the_first_computed(stage):
    assert stage.run([batches()]) == 4  # three batches, and one image at every place
    assert stage.equal
    assert stage.run([batches(OTHER)]) == 1  # the first batch, to compare
    assert stage.equal
    assert "10 times and computed" not in " ".join(stage.told)
    assert any("was read 6 times and computed 4 times" in line for line in stage.told)


def test_views_that_return_are_read(stage):
    epochs = [batches(view=0), batches(view=1), batches(OTHER, view=0), batches(OTHER, view=1)]
    assert stage.run(epochs, views=(0, 1)) == 1 + 3 + 3 + 1
    assert stage.equal


def test_one_view_in_every_epoch_is_computed_once(stage):
    assert stage.run([batches(), batches(OTHER), batches()]) == 1 + 3 + 1
    assert stage.equal


def test_a_stage_that_stopped_half_way_is_gone_on_with(stage):
    stage.run([batches()[:1]])
    assert stage.run([batches()]) == 1 + 2
    assert stage.equal
    assert stage.run([batches(OTHER)]) == 1


def test_taps_are_kept_apart(stage):
    """A stage that reads less reads what another kept; one that reads more adds what is missing."""
    stage.run([batches()], network=stage.network(read=("logits",)))
    assert len(stage.shards) == 1
    assert stage.run([batches()]) == 3
    assert len(stage.shards) == 2
    assert stage.run([batches()], network=stage.network(read=("last",))) == 1
    assert stage.run([batches()], network=stage.network(read=("logits", "last"))) == 1


def test_what_nobody_reads_is_empty(stage):
    stage.run([batches()], network=stage.network(read=("last",)))
    network = stage.network(read=("last",))
    with Replay(FixedSize(4), stage.told.append, budget=BUDGET) as replay, torch.no_grad():
        replay.add("T", network, CacheEntry(stage.root, stage.facts(), "T", "packed"), keys=KEYS, images=10)
        replay("T", network, batch(0, 1, 2, 3), 1)
        said = replay("T", network, batch(0, 1, 2, 3), 1)
    assert said.logits.shape == said.embedding.shape == (4, 0)


def test_stages_are_all_the_stage_maps(tiny):
    network = tiny(1)
    network.read = frozenset({"stages"})
    assert network.taps_read == ("stage1",)
    network.read = None
    assert set(network.taps_read) == {"logits", "embedding", "stage1", "last"}


def test_copies_in_a_balanced_batch_are_kept_once(stage):
    assert stage.run([[batch(0, 0, 1, 0), batch(1, 2, 2, 2)]]) == 3
    assert stage.equal
    assert stage.run([[batch(2, 1, 0, 0), batch(0, 1, 2, 2)]]) == 1
    assert stage.equal


@pytest.mark.parametrize("other", ["network", "pixels", "arithmetic", "dtype"])
def test_other_facts_share_nothing(stage, other):
    stage.run([batches()])
    facts = stage.facts()
    facts[other] = {**facts[other], "more": 1} if isinstance(facts[other], dict) else "float16"
    assert stage.run([batches()], facts=facts) == 4


def test_half_precision_rounds_whether_read_or_computed(stage):
    facts = stage.facts(dtype="float16")
    stage.run([batches()], rounds=True, facts=facts)
    assert stage.equal
    half = sum(path.stat().st_size for path in stage.shards)
    assert stage.run([batches(OTHER)], rounds=True, facts=facts) == 1
    assert stage.equal
    stage.run([batches()])
    assert sum(path.stat().st_size for path in stage.shards) > 2.5 * half


def test_a_teacher_that_rounds_by_place_is_not_kept(stage):
    class Uneven(torch.nn.Module):
        def forward(self, outputs):
            return outputs + 1e-7 * torch.arange(len(outputs))[:, None]

    network = stage.network()
    network.head = torch.nn.Sequential(network.head, Uneven())
    stage.run([batches()], network=network)
    assert stage.equal
    assert stage.shards == []
    assert any("T rounds differently at different places of a batch of 4" in line for line in stage.told)


def test_what_does_not_fit_is_computed_and_said(stage):
    """An image's logits and last map are 3 + 4 · 8 · 8 numbers; ten of them fit twice, not three times."""
    view = 10 * (3 + 256) * 4
    network = sum(t.numel() * t.element_size() for t in stage.network().state_dict().values())
    epochs = [batches(view=view) for view in range(3)]
    stage.run(epochs, views=(0, 1, 2), budget=network + 2.9 * view)
    assert stage.equal
    assert {path.name[:10] for path in stage.shards} == {"view-00000", "view-00001"}
    (line,) = [line for line in stage.told if "to be written" in line]
    assert "31.1 kB to be written and 30.0 kB are free: 1 are not kept" in line
    assert "preceptor cache prune" in line
    assert stage.run(epochs, views=(0, 1, 2), budget=network + 2.9 * view) == 1 + 3


def test_networks_that_take_least_come_first(stage):
    """Where the budget holds one of two, the one whose maps are read is computed."""
    networks = {"T1": stage.network(read=("last",)), "T2": stage.network(read=("logits",))}
    own = sum(t.numel() * t.element_size() for t in stage.network().state_dict().values())
    with Replay(FixedSize(4), stage.told.append, budget=2 * own + 1000) as replay, torch.no_grad():
        for name, network in networks.items():
            facts = stage.facts(pixels={"of": name})
            replay.add(name, network, CacheEntry(stage.root, facts, name, "packed"), keys=KEYS, images=10)
        replay.plan([0])
        for name, network in networks.items():
            replay(name, network, batch(0, 1, 2, 3), 1)
    assert {path.name.split(".")[1] for path in stage.shards} == {"logits"}


def test_what_others_wrote_meanwhile_counts(stage):
    network = stage.network()
    with Replay(FixedSize(4), stage.told.append, budget=10**6) as replay, torch.no_grad():
        replay.add("T", network, CacheEntry(stage.root, stage.facts(), "T", "packed"), keys=KEYS, images=10)
        replay.plan([0])
        stage.root.mkdir(exist_ok=True)
        (stage.root / "others").write_bytes(bytes(10**6))
        replay("T", network, batch(0, 1, 2, 3), 1)
    assert stage.shards == []
    assert any("no room is left for what T says" in line for line in stage.told)


def corrupt(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("place", [3, -3, None])
def test_a_damaged_shard_is_made_anew(stage, place):
    """A changed record, a changed index, and a file cut short."""
    stage.run([batches()])
    before = [path.read_bytes() for path in stage.shards]
    path = stage.shards[0]
    if place is None:
        path.write_bytes(before[0][:100])
    else:
        corrupt(path, place)
    stage.run([batches()])
    assert stage.equal
    assert any(str(path) in line and "made anew" in line for line in stage.told)
    stage.run([batches()])
    assert stage.equal
    assert not any("made anew" in line for line in stage.told)
    assert [path.read_bytes() for path in stage.shards] == before


def test_whole_shards_of_wrong_numbers_are_found_by_comparing(stage):
    stage.run([batches()])
    (path,) = [path for path in stage.shards if ".logits." in path.name]
    folder, form = path.parent, Shard(path).form
    path.unlink()
    writer = ShardWriter(folder, 0, "logits", form)
    wrong = torch.zeros(10, 3).view(torch.uint8).numpy()
    writer.add(KEYS[:10], wrong)
    writer.finish()
    stage.run([batches()])
    assert stage.equal
    assert any("what was kept of T (logits) is not what it says" in line for line in stage.told)
    assert stage.run([batches()]) == 1 + 1  # the batch that was compared was not kept in the stage before
    assert stage.equal


def test_a_full_disk_does_not_stop_training(stage, monkeypatch):
    def full(self, rows, records):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ShardWriter, "add", full)
    assert stage.run([batches()]) == 4
    assert stage.equal
    assert any("kept no longer" in line and "No space left" in line for line in stage.told)
    assert stage.shards == []
    assert list(stage.root.glob("*/.*.part")) == []


def test_a_folder_that_is_removed_meanwhile_does_not_stop_training(stage):
    stage.run([batches()])
    network = stage.network()
    with Replay(FixedSize(4), stage.told.append, budget=BUDGET) as replay, torch.no_grad():
        kept = CacheEntry(stage.root, stage.facts(), "T", "packed")
        replay.add("T", network, kept, keys=KEYS, images=10)
        replay.plan([0, 1])
        replay("T", network, batch(0, 1, 2, 3), 1)
        shutil.rmtree(stage.root)
        assert isinstance(replay("T", network, batch(4, 5, 6, 7), 1), Outputs)
        replay("T", network, batch(0, 1, 2, 3, view=1), 2)
    assert any("kept no longer" in line for line in stage.told)


def test_what_is_kept_serves_where_nothing_can_be_written(stage):
    stage.run([batches()])
    with unwritable(stage.root):
        assert stage.run([batches(OTHER)]) == 1
    assert stage.equal
    assert stage.told == ["what T says was read 6 times and computed 4 times"] or len(stage.told) == 1


@pytest.mark.parametrize("place", [3, -3])
def test_a_damaged_shard_is_passed_over_where_nothing_can_be_written(stage, place):
    stage.run([batches()])
    corrupt(stage.shards[0], place)
    with unwritable(stage.root):
        assert stage.run([batches(), batches()]) == 6
        assert stage.equal
        assert sum(str(stage.shards[0]) in line for line in stage.told) == 1
        assert sum("kept no longer: [Errno 13] Permission denied" in line for line in stage.told) == 1


def test_wrong_numbers_are_passed_over_where_nothing_can_be_written(stage):
    stage.run([batches()])
    (path,) = [path for path in stage.shards if ".logits." in path.name]
    form = Shard(path).form
    path.unlink()
    writer = ShardWriter(path.parent, 0, "logits", form)
    writer.add(KEYS[:10], torch.zeros(10, 3).view(torch.uint8).numpy())
    writer.finish()
    with unwritable(stage.root):
        stage.run([batches(), batches()])
    assert stage.equal


def test_two_stages_at_once_leave_each_others_shards_whole(stage):
    """Both compute the same; the rename decides."""
    networks = [stage.network(), stage.network()]
    replays = [Replay(FixedSize(4), stage.told.append, budget=BUDGET) for _ in networks]
    for replay, network in zip(replays, networks, strict=True):
        replay.add("T", network, CacheEntry(stage.root, stage.facts(), "T", "packed"), keys=KEYS, images=10)
        replay.plan([0])
    with torch.no_grad(), replays[0], replays[1]:
        for one in batches():
            for replay, network in zip(replays, networks, strict=True):
                replay("T", network, one, 1)
    assert len(stage.shards) == 2
    assert stage.run([batches()]) == 1
    assert stage.equal


def test_an_unknown_about_is_written_again(stage):
    stage.run([batches()])
    (about,) = stage.root.glob("*/about.json")
    about.write_text("{")
    assert stage.run([batches()]) == 1
    assert CacheEntry.read(about.parent).name == "T"
    assert shards_of(about.parent)


def test_images_as_they_are_are_asked_about_by_the_size_of_every_call(stage):
    network, ask = stage.network(), FixedSize(4)
    replay = Replay(ask, stage.told.append, budget=BUDGET)
    with torch.no_grad():
        said = replay.unchanged("T", network, batch(*range(10)))
        parts = [ask.compute("T", network, IMAGES[first : first + 4]) for first in (0, 4)]
    assert torch.equal(said.logits[:8], torch.cat([part.logits for part in parts]))
    assert len(said.at("last")) == 10
