"""The records of numbered images, wherever in whichever shard they lie."""

import numpy as np
from numpy.typing import NDArray

from preceptor.embeddings.shards import Bytes, Form, Shard

Numbers = NDArray[np.int64]

_ABSENT, _PENDING = -1, -2


class Records:
    """What is kept of ``count`` images at one tap, in one view.

    Records are copied out of the files as they are asked for, and each is compared with its checksum.
    """

    def __init__(self, count: int) -> None:
        self.shards: list[Shard] = []
        self._shard = np.full(count, _ABSENT, dtype=np.int32)
        self._place = np.zeros(count, dtype=np.int32)

    def __len__(self) -> int:
        return len(self._shard)

    @property
    def form(self) -> Form:
        """Of every record."""
        return self.shards[0].form

    @property
    def found(self) -> int:
        """How many images have a record."""
        return int((self._shard >= 0).sum())

    def take(self, shard: Shard, numbers: Numbers) -> None:
        """Know the records of ``shard``, of the image with each of these ``numbers``; -1 is nobody's, the first of
        several of one image counts."""
        places = np.flatnonzero(numbers >= 0)
        new = places[self._shard[numbers[places]] == _ABSENT][::-1]  # of several, what is written last stays
        self._shard[numbers[new]] = len(self.shards)
        self._place[numbers[new]] = new
        self.shards.append(shard)

    def lacks(self, numbers: Numbers) -> bool:
        """Whether an image has no record that can be read."""
        return bool((self._shard[numbers] < 0).any())

    def unknown(self, numbers: Numbers) -> NDArray[np.bool_]:
        """Of which images there is no record, nor one in the making."""
        found: NDArray[np.bool_] = self._shard[numbers] == _ABSENT
        return found

    def expect(self, numbers: Numbers) -> None:
        """Records of these images are in the making."""
        self._shard[numbers] = _PENDING

    def read(self, numbers: Numbers, out: Bytes) -> None:
        """Copy the records of these images, in their order, to ``out`` (n, record bytes).

        Raises:
            DamagedShardError: a record is not what was written; it bears the path of its shard.
        """
        where = self._shard[numbers]
        for shard in np.unique(where).tolist():
            into = np.flatnonzero(where == shard)
            self.shards[shard].read(self._place[numbers[into]].astype(np.int64), out, into)
