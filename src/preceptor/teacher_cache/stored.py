"""Reading what a frozen network says out of a folder that ``preceptor embed`` made, instead of asking the network."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from preceptor.data.batches import Batch
from preceptor.data.order import RowNumbers
from preceptor.embeddings.keys import Keys, number_of
from preceptor.embeddings.records import Records
from preceptor.embeddings.shards import DamagedShardError
from preceptor.embeddings.store import REMEDY, Embeddings
from preceptor.errors import DamagedFileError, UserError
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs
from preceptor.notes import Note
from preceptor.teacher_cache.compress import Compression
from preceptor.teacher_cache.reader import as_outputs, read_tensor

Facts = Mapping[str, Any]
"""Everything that outputs depend on beside the image."""

_FAR = 0.05
"""Relative distance from what the network says beyond which it is another one that was stored."""


class StoredTeacher:
    """One frozen network, whose answers are those in a folder.

    They are what the network would say, bit for bit, where it was asked as it would be here: in batches of one size, by
    one number of threads, with the same rounding. Otherwise they differ by rounding, and a note says so.

    Args:
        keys: the key of each packed row.
        rows: those that will be asked for.
        live: on what the network's answers here would depend.

    Raises:
        UserError: the folder has not what is read of this network, or not of these images.
    """

    view_bytes = 0

    def __init__(
        self, name: str, network: Network, stored: Embeddings, *, keys: Keys, rows: RowNumbers, live: Facts, note: Note
    ) -> None:
        self.name, self._stored, self._live, self._say_note = name, stored, live, note
        self._require_tap(network)
        self._require_same_look()
        known, self._number = np.unique(keys, return_inverse=True)
        self._kept = Records(len(known))
        for shard in stored.shards:
            self._kept.take(shard, number_of(shard.keys, known))
        self._require_all(rows)
        self._compression = Compression.of(stored)
        self._count = 0

    def _require_tap(self, network: Network) -> None:
        if network.taps_read != (self._stored.tap,):
            raise UserError(
                f"training.teacher_cache.stored: {self._stored.folder} has {self.name}'s {self._stored.tap}, and "
                f"{', '.join(network.taps_read)} of it is read; embed that (`preceptor embed --what embedding` or "
                "`grid`), or leave the folder out"
            )

    def _require_same_look(self) -> None:
        for part, what in (("network", "sizes"), ("pixels", "preparation of images")):
            there, here = self._stored.facts[part], self._live[part]
            other = next((key for key in {**here, **there} if there.get(key) != here.get(key)), None)
            if other is not None:
                raise UserError(
                    f"training.teacher_cache.stored: {self._stored.folder} is of {self.name}, with another {what}: "
                    f"{other} was {there.get(other)}, here it is {here.get(other)}. Embed by this recipe: `preceptor "
                    "embed RECIPE FOLDER --out …`"
                )

    def _require_all(self, rows: RowNumbers) -> None:
        missing = int(self._kept.unknown(self._number[rows]).sum())
        if missing:
            raise UserError(
                f"training.teacher_cache.stored: {self._stored.folder} has nothing of {missing} of the {len(rows)} "
                f"images that {self.name} is asked about; `preceptor embed` the folder of all of them, and mend the "
                "files that it could not read (column error of files.csv)"
            )

    def plan(self, views: Sequence[int], promised: int) -> int:
        """Say what is read; nothing will be written."""
        pairs = [(self._stored.facts["arithmetic"], self._live["arithmetic"])]
        pairs += [({"dtype": self._stored.facts["dtype"]}, {"dtype": self._live["dtype"]})]
        others = [f"{key} {a.get(key)}, here {b.get(key)}" for a, b in pairs for key in b if a.get(key) != b.get(key)]
        how = f"; but for rounding, for it was computed otherwise ({'; '.join(others)})" if others else ", bit for bit"
        if self._compression is not None:
            how = f"; what was stored is not the whole grid but {self._compression}"
        self._say_note(f"what {self.name} says of each image is read from {self._stored.folder}{how}")
        return 0

    def compare(self, rows: RowNumbers, live: Outputs) -> None:
        """Look whether what is stored is what the network says of some images.

        Raises:
            UserError: it is not.
        """
        said = live.at(self._stored.tap)
        assert isinstance(said, Tensor), "one tap"
        found = self._tensor(rows).to(said)
        distance = float((found - said).norm() / said.norm().clamp_min(1e-12))
        if self._compression is not None:
            self._say_note(f"{self.name}'s grid as it was stored is {distance:.1%} away from the whole one")
        elif not distance <= _FAR:
            raise UserError(
                f"training.teacher_cache.stored: {self._stored.folder} is not what {self.name} says: it is "
                f"{distance:.0%} away on the first {len(rows)} images; embed them anew"
            )

    def says(self, network: Network, batch: Batch, epoch: int) -> Outputs:
        """What ``network`` says of ``batch``."""
        self._count += len(batch.rows)
        device = batch.images.device
        return as_outputs({self._stored.tap: self._tensor(batch.rows.numpy()).to(device)}, len(batch.rows), device)

    def _tensor(self, rows: RowNumbers) -> Tensor:
        try:
            found = read_tensor(self._kept, self._number[rows])
        except DamagedShardError as error:
            raise DamagedFileError(error.path, error.what, REMEDY) from error
        return found if self._compression is None else self._compression.restored(found)

    def finish(self) -> None:
        """Nothing is written."""

    def close(self) -> None:
        """Say how much was read."""
        self._say_note(f"what {self.name} says was read {self._count} times and computed 0 times")
