"""What is kept of one network, one view at a time: finding it, and adding what is missing."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from preceptor.cohort.frozen import lies_channels_last
from preceptor.data.order import RowNumbers
from preceptor.embeddings.keys import Keys, number_of
from preceptor.embeddings.records import Records
from preceptor.embeddings.shards import SHARD_BYTES, DamagedShardError, Form, Shard, ShardWriter, shards_of
from preceptor.networks.outputs import Outputs
from preceptor.teacher_cache.folder import CacheEntry


class CacheReader:
    """One network's outputs at ``taps``, on disk.

    Args:
        keys: the key of each packed row, by which its records are found.
        half: float32 outputs, already rounded, are stored as float16.
    """

    def __init__(self, kept: CacheEntry, taps: Sequence[str], *, keys: Keys, half: bool) -> None:
        self.kept = kept
        self.taps = tuple(taps)
        self._half = half
        self._known, self._number = np.unique(keys, return_inverse=True)
        self._view = -1
        self._open: dict[str, Records] = {}
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
        self._open = {tap: Records(len(self._known)) for tap in self.taps}
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
                self._open[shard.tap].take(shard, number_of(shard.keys, self._known))
        return damaged

    @property
    def kept_bytes(self) -> int:
        """Bytes of the records that there are of these images, in the view that is open."""
        return sum(one.found * one.form.record_bytes for one in self._open.values() if one.found)

    def lacks(self, rows: RowNumbers) -> bool:
        """Whether something of these rows would have to be computed in the view that is open."""
        return any(one.lacks(self._number[rows]) for one in self._open.values())

    def find(self, rows: RowNumbers, device: torch.device) -> Outputs | None:
        """What is kept of these rows, None where something is missing. Taps that nobody reads are empty.

        Raises:
            DamagedShardError: a record is not what was written; its shard is removed.
        """
        if self.lacks(rows):
            return None
        try:
            found = {tap: read_tensor(one, self._number[rows]).to(device) for tap, one in self._open.items()}
        except DamagedShardError as error:
            self._remove(error.path)
            raise
        return as_outputs(found, len(rows), device)

    def keep(self, rows: RowNumbers, said: Outputs) -> None:
        """Add what is missing of these rows."""
        numbers = self._number[rows]
        for tap in self.taps:
            new = np.unique(numbers, return_index=True)[1]  # a balanced batch may hold an image twice
            new = new[self._open[tap].unknown(numbers[new])]
            if not len(new):
                continue
            tensor = said.at(tap)
            assert isinstance(tensor, Tensor)
            form = form_of(tensor, half=self._half)
            records = packed(tensor[torch.from_numpy(new).to(tensor.device)], form)
            if tap not in self._writers:
                self._writers[tap] = ShardWriter(self.kept.folder, self._view, tap, form)
            writer = self._writers[tap]
            assert writer.form == form, (tap, writer.form, form)
            writer.add(self._known[numbers[new]], records.numpy())
            self._open[tap].expect(numbers[new])
            if writer.bytes >= SHARD_BYTES:
                self._writers.pop(tap).finish()

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


def read_tensor(kept: Records, numbers: NDArray[np.int64]) -> Tensor:
    """What is kept of these images, as it was said.

    Raises:
        DamagedShardError: a record is not what was written.
    """
    records = torch.empty(len(numbers), kept.form.record_bytes, dtype=torch.uint8)
    kept.read(numbers, records.numpy())
    return unpacked(records, kept.form)


def as_outputs(found: Mapping[str, Tensor], count: int, device: torch.device) -> Outputs:
    """What a network said of ``count`` images, by tap; what is not there is empty."""
    nothing = torch.empty(count, 0, device=device)
    maps = {tap: tensor for tap, tensor in found.items() if tap not in ("logits", "embedding")}
    return Outputs(found.get("logits", nothing), found.get("embedding", nothing), maps)


def record_bytes(shapes: Mapping[str, tuple[int, ...]], taps: Sequence[str], item: int) -> int:
    """Bytes of one image's outputs at ``taps``."""
    return sum(item * int(np.prod(shapes[tap])) for tap in taps)


def form_of(tensor: Tensor, *, half: bool) -> Form:
    """What a record of an image is, of what a network said of some; ``half`` stores float32 as float16."""
    said = str(tensor.dtype).removeprefix("torch.")
    stored = "float16" if half and said == "float32" else said
    return Form(tuple(tensor.shape[1:]), said, stored, lies_channels_last(tensor))


def packed(tensor: Tensor, form: Form) -> Tensor:
    """(n, record bytes) uint8 on the CPU."""
    ordered = (tensor.permute(0, 2, 3, 1) if form.channels_last else tensor).to("cpu", getattr(torch, form.stored))
    return ordered.contiguous().view(len(tensor), -1).view(torch.uint8)


def unpacked(records: Tensor, form: Form) -> Tensor:
    """The reverse of :func:`packed`."""
    flat = records.view(getattr(torch, form.stored)).to(getattr(torch, form.dtype))
    if form.channels_last:
        channels, height, width = form.shape
        return flat.view(len(records), height, width, channels).permute(0, 3, 1, 2)
    return flat.view(len(records), *form.shape)
