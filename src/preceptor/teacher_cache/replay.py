"""Answering for the frozen networks of a stage: from disk where their outputs are kept, else by computing them."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from preceptor.cohort.frozen import FixedSize
from preceptor.data.batches import Batch
from preceptor.data.order import RowNumbers
from preceptor.embeddings.keys import Keys
from preceptor.embeddings.shards import ITEM_BYTES, DamagedShardError
from preceptor.networks.export import CONFIG
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs, joined
from preceptor.notes import Note
from preceptor.teacher_cache.folder import CacheEntry, size_of
from preceptor.teacher_cache.reader import CacheReader, record_bytes
from preceptor.teacher_cache.stored import StoredTeacher

_SPARE = 2**30  # bytes that are left free on the disk


class Replay:
    """Gets what frozen networks say, as a :class:`~preceptor.cohort.frozen.FrozenOutputs`.

    It is a context that lasts as the stage.
    It watches the training too: what an epoch wrote is in place before any process begins the next one.

    Attributes:
        say: says a line to the user, as the cache's.

    Args:
        ask: computes.
        note: says a line to the user.
        budget: bytes that the folder may hold.
    """

    def __init__(self, ask: FixedSize, note: Note, *, budget: float) -> None:
        self._ask, self._budget = ask, int(budget)
        self.say: Note = lambda line: note(f"teacher cache: {line}")
        self._teachers: dict[str, _Teacher | StoredTeacher] = {}

    def add(self, name: str, network: Network, kept: CacheEntry, *, keys: Keys, images: int) -> None:
        """Keep what ``network`` says, of ``images`` in each view; ``keys`` are those of all packed rows."""
        if taps := network.taps_read:
            item = ITEM_BYTES["float16" if self._ask.rounds else kept.facts["arithmetic"]["precision"]]
            size = images * record_bytes(network.shapes, taps, item)
            reader = CacheReader(kept, taps, keys=keys, half=self._ask.rounds)
            self._teachers[name] = _Teacher(name, network, reader, size, self._ask, self.say, self._budget)

    def read(self, teacher: StoredTeacher) -> None:
        """Let a folder answer for a network."""
        self._teachers[teacher.name] = teacher

    def unchanged(self, name: str, network: Network, batch: Batch) -> Outputs:
        """What ``network`` says of a batch of images as they are, of which nothing is kept."""
        teacher = self._teachers.get(name)
        if isinstance(teacher, StoredTeacher):
            return teacher.says(network, batch, 0)
        images, size = batch.images, self._ask.size(name)  # several processes each see whole batches here
        return joined([self._ask.compute(name, network, images[at : at + size]) for at in range(0, len(images), size)])

    def plan(self, views: Sequence[int]) -> None:
        """Estimate what ``views`` will take and decide which are kept: networks that take least come first."""
        promised = 0
        for teacher in sorted(self._teachers.values(), key=lambda one: one.view_bytes):
            promised += teacher.plan(views, promised)

    def __call__(self, name: str, network: Network, batch: Batch, epoch: int) -> Outputs:
        teacher = self._teachers.get(name)
        if teacher is None or not len(batch.images):
            return self._ask(name, network, batch, epoch)
        return teacher.says(network, batch, epoch)

    def stage(self, *given: object, **named: object) -> None: ...
    def step(self, *given: object, **named: object) -> None: ...
    def epoch(self, *given: object, **named: object) -> None:
        for teacher in self._teachers.values():
            teacher.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for teacher in self._teachers.values():
            teacher.close()


class _Teacher:
    """One frozen network and what is kept of it.

    What is read is what would be computed, bit for bit. Before anything is kept, one image is shown to the network at
    every place of a batch, and where the answers differ nothing is kept. The first batch of a stage that is read is
    computed too; where that differs, all that was kept is dropped.
    """

    def __init__(
        self, name: str, network: Network, reader: CacheReader, view_bytes: int, ask: FixedSize, note: Note, budget: int
    ) -> None:
        self.name, self.view_bytes = name, view_bytes
        self._network, self._reader, self._ask, self._say_note, self._budget = network, reader, ask, note, budget
        self._kept = reader.kept
        self._has_begun = self._kept.has_begun
        self._has_network = (self._kept.network_folder / CONFIG).exists()
        self._views: set[int] = set()  # that may be written
        self._at = (-1, -1)  # view and epoch that are open
        self._is_trusted = False
        self._read = self._computed = 0
        if self._has_begun:
            self._writing(self._kept.begin)

    def plan(self, views: Sequence[int], promised: int) -> int:
        """Decide which of ``views`` may be written, ``promised`` bytes being taken; the bytes that they will take."""
        own = 0 if self._has_network else sum(t.numel() * t.element_size() for t in self._network.state_dict().values())
        free = self._free() - promised - own
        missing = {view: self._missing(view) for view in views}
        needed = taken = 0
        for view, size in missing.items():
            needed += max(size, 0)
            if size <= free - taken:
                taken += max(size, 0)
                self._views.add(view)
        if needed > 0.02 * len(views) * self.view_bytes:
            short = len(views) - len(self._views)
            what = f"{self.name}'s {', '.join(self._reader.taps)} in {len(views)} view{'s' * (len(views) > 1)}"
            room = f" and {_size(max(free, 0))} are free: {short} are not kept but computed in every step. {_ROOM}"
            self._say_note(f"{what}: about {_size(needed)} to be written{room if short else f' in {self._kept.root}'}")
        return taken + own

    def says(self, network: Network, batch: Batch, epoch: int) -> Outputs:
        """What ``network``, the teacher as it is asked, says of ``batch``."""
        rows = batch.rows.numpy()
        if self._at != (batch.view, epoch):
            self._open(batch.view, epoch)
        found = self._find(rows, batch)
        if found is not None and self._is_trusted:
            self._read += len(rows)
            return found
        live = self._ask(self.name, network, batch, epoch)
        self._computed += len(rows)
        if found is not None:
            self._compare(found, live)
        elif batch.view in self._views:
            self._writing(lambda: self._keep(network, batch, rows, live))
        return live

    def finish(self) -> None:
        """Put what was written in place."""
        self._writing(self._reader.finish)

    def close(self) -> None:
        """The same, and say how much was read."""
        self.finish()
        if self._read:
            self._say_note(f"what {self.name} says was read {self._read} times and computed {self._computed} times")

    def _missing(self, view: int) -> int:
        """Open a view; bytes that are not kept of it."""
        self.finish()
        for problem in self._reader.open_view(view):
            self._say_note(f"{problem}; it is removed and made anew")
        return self.view_bytes - self._reader.kept_bytes

    def _open(self, view: int, epoch: int) -> None:
        self._at = (view, epoch)
        missing = self._missing(view)
        if view in self._views and self._free() < missing:
            self._views.clear()  # others have written meanwhile
            self._say_note(f"no room is left for what {self.name} says; it is computed in every step. {_ROOM}")

    def _find(self, rows: RowNumbers, batch: Batch) -> Outputs | None:
        try:
            return self._reader.find(rows, batch.images.device)
        except DamagedShardError as error:
            self._say_note(f"{error}; it is removed and made anew")
            self._open(*self._at)
            return None

    def _compare(self, found: Outputs, live: Outputs) -> None:
        self._is_trusted = True
        wrong = [tap for tap in self._reader.taps if not _same(found.at(tap), live.at(tap))]
        if wrong:
            self._say_note(
                f"what was kept of {self.name} ({', '.join(wrong)}) is not what it says; all of it is made anew"
            )
            self._reader.remove_all()
            self._open(*self._at)

    def _keep(self, network: Network, batch: Batch, rows: RowNumbers, live: Outputs) -> None:
        if not self._has_begun and not self._is_steady(network, batch.images[:1]):
            self._views.clear()
            size = self._ask.size(self.name)
            self._say_note(
                f"{self.name} rounds differently at different places of a batch of {size}, so what it "
                "says cannot be kept; a training.batch_size that is a multiple of 8 may help"
            )
            return
        if not self._has_begun:
            self._kept.begin()
            self._has_begun = True
        if not self._has_network:
            self._network.save(self._kept.network_folder)
            self._has_network = True
        self._reader.keep(rows, live)

    def _is_steady(self, network: Network, image: Tensor) -> bool:
        """Whether an image gets the same answer at every place of a batch."""
        said = self._ask.compute(self.name, network, image.repeat(self._ask.size(self.name), 1, 1, 1))
        tensors = [said.at(tap) for tap in self._reader.taps]
        return all(torch.equal(t, t[:1].expand_as(t)) for t in tensors if isinstance(t, Tensor))

    def _free(self) -> int:
        with suppress(OSError):
            self._kept.root.mkdir(parents=True, exist_ok=True)
            return min(self._budget - size_of(self._kept.root), shutil.disk_usage(self._kept.root).free - _SPARE)
        return 0

    def _writing(self, write: Callable[[], object]) -> None:
        """Do it; where the disk refuses, training goes on without."""
        try:
            write()
        except OSError as error:
            self._reader.drop()
            self._views.clear()
            self._say_note(f"what {self.name} says is kept no longer: {error}")


_ROOM = (
    "`preceptor cache prune`, a higher training.teacher_cache.budget, dtype float16 or fewer augment.views make room"
)


def _size(count: int) -> str:
    unit, name = next((pair for pair in ((1e9, "GB"), (1e6, "MB")) if count >= pair[0]), (1e3, "kB"))
    return f"{count / unit:.1f} {name}"


def _same(one: object, other: object) -> bool:
    assert isinstance(one, Tensor), "taps are read one by one"
    assert isinstance(other, Tensor), "taps are read one by one"
    return one.dtype == other.dtype and one.stride() == other.stride() and torch.equal(one, other)
