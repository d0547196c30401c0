"""What is kept of one network, one view at a time: finding it, and adding what is missing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from preceptor.cohort.frozen import lies_channels_last
from preceptor.data.order import RowNumbers
from preceptor.networks.outputs import Outputs
from preceptor.teacher_cache.folder import CacheEntry
from preceptor.teacher_cache.shards import DamagedShardError, Form, Shard, ShardWriter, shards_of

_SHARD_BYTES = 256 * 2**20  # a shard is finished at this size, so that little is lost by a kill
_ABSENT, _PENDING = -1, -2


class CacheReader:
    """One network's outputs at ``taps``, on disk.

    Args:
        rows: how many packed rows there are.
        half: float32 outputs, already rounded, are stored as float16.
    """

    def __init__(self, kept: CacheEntry, taps: Sequence[str], *, rows: int, half: bool) -> None:
        self.kept = kept
        self.taps = tuple(taps)
        self._half = half
        self._count = rows
        self._view = -1
        self._open: dict[str, list[Shard]] = {}
        self._shard: dict[str, NDArray[np.int32]] = {}
        self._place: dict[str, NDArray[np.int32]] = {}
        self._writers: dict[str, ShardWriter] = {}
        self._refused: set[Path] = set()  # damaged or wrong, where nothing can be removed

    def open_view(self, view: int) -> list[str]:
        """Finish what is being written and look up what there is of ``view``; shards that are damaged are removed, or
        passed over where nothing can be removed.

        Returns:
            what was wrong with those.
        """
        self.finish()
        self._view = view
        self._open = {tap: [] for tap in self.taps}
        self._shard = {tap: np.full(self._count, _ABSENT, dtype=np.int32) for tap in self.taps}
        self._place = {tap: np.zeros(self._count, dtype=np.int32) for tap in self.taps}
        damaged = []
        for path in shards_of(self.kept.folder, view):
            if path in self._refused:
                continue
            try:
                shard = Shard(path)
            except FileNotFoundError:  # pruned meanwhile
                continue
            except DamagedShardError as error:
                self._remove(path)
                damaged.append(str(error))
                continue
            if shard.tap in self._open:
                self._take(shard)
        return damaged

    def _take(self, shard: Shard) -> None:
        known = self._open[shard.tap]
        new = np.flatnonzero(self._shard[shard.tap][shard.rows] == _ABSENT)
        self._shard[shard.tap][shard.rows[new]] = len(known)
        self._place[shard.tap][shard.rows[new]] = new
        known.append(shard)

    def lacks(self, rows: RowNumbers) -> bool:
        """Whether something of these rows would have to be computed in the view that is open."""
        return any((self._shard[tap][rows] < 0).any() for tap in self.taps)

    def find(self, rows: RowNumbers, device: torch.device) -> Outputs | None:
        """What is kept of these rows, None where something is missing. Taps that nobody reads are empty.

        Raises:
            DamagedError: a record is not what was written; its shard is removed.
        """
        if self.lacks(rows):
            return None
        found = {tap: self._read(tap, rows).to(device) for tap in self.taps}
        nothing = torch.empty(len(rows), 0, device=device)
        logits, embedding = found.pop("logits", nothing), found.pop("embedding", nothing)
        return Outputs(logits, embedding, found)

    def _read(self, tap: str, rows: RowNumbers) -> Tensor:
        shards = self._open[tap]
        form = shards[0].form
        records = torch.empty(len(rows), form.record_bytes, dtype=torch.uint8)
        where = self._shard[tap][rows]
        for number in np.unique(where).tolist():
            into = np.flatnonzero(where == number)
            try:
                shards[number].read(self._place[tap][rows[into]].astype(np.int64), records.numpy(), into)
            except DamagedShardError:
                self._remove(shards[number].path)
                raise
        return unpacked(records, form)

    def keep(self, rows: RowNumbers, said: Outputs) -> None:
        """Add what is missing of these rows."""
        for tap in self.taps:
            new = np.unique(rows, return_index=True)[1]  # a balanced batch may hold an image twice
            new = new[self._shard[tap][rows[new]] == _ABSENT]
            if not len(new):
                continue
            tensor = said.at(tap)
            assert isinstance(tensor, Tensor)
            form = self._form(tensor)
            records = _packed(tensor[torch.from_numpy(new).to(tensor.device)], form)
            if tap not in self._writers:
                self._writers[tap] = ShardWriter(self.kept.folder, self._view, tap, form)
            writer = self._writers[tap]
            assert writer.form == form, (tap, writer.form, form)
            writer.add(rows[new], records.numpy())
            self._shard[tap][rows[new]] = _PENDING
            if writer.bytes >= _SHARD_BYTES:
                self._writers.pop(tap).finish()

    def _form(self, tensor: Tensor) -> Form:
        said = str(tensor.dtype).removeprefix("torch.")
        stored = "float16" if self._half and said == "float32" else said
        return Form(tuple(tensor.shape[1:]), said, stored, lies_channels_last(tensor))

    def remove_all(self) -> None:
        """Believe nothing more of what is kept."""
        for path in self.kept.shards:
            self._remove(path)

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            self._refused.add(path)

    def finish(self) -> None:
        """Put what was added in place."""
        while self._writers:
            self._writers.popitem()[1].finish()

    def drop(self) -> None:
        """Leave nothing behind of what was being added."""
        while self._writers:
            self._writers.popitem()[1].drop()


def record_bytes(shapes: Mapping[str, tuple[int, ...]], taps: Sequence[str], item: int) -> int:
    """Bytes of one image's outputs at ``taps``."""
    return sum(item * int(np.prod(shapes[tap])) for tap in taps)


def _packed(tensor: Tensor, form: Form) -> Tensor:
    """(n, record bytes) uint8 on the CPU."""
    ordered = (tensor.permute(0, 2, 3, 1) if form.channels_last else tensor).to("cpu", getattr(torch, form.stored))
    return ordered.contiguous().view(len(tensor), -1).view(torch.uint8)


def unpacked(records: Tensor, form: Form) -> Tensor:
    """The reverse of :func:`_packed`."""
    flat = records.view(getattr(torch, form.stored)).to(getattr(torch, form.dtype))
    if form.channels_last:
        channels, height, width = form.shape
        return flat.view(len(records), height, width, channels).permute(0, 3, 1, 2)
    return flat.view(len(records), *form.shape)
