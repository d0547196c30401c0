"""In what order the samples of a part are used: a pure function of (seed, stream, epoch)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from preceptor.randomness import key, permutation

Balance = Literal["over", "under", "both"]
RowNumbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOrder:
    """How the samples of a part follow one another.

    Args:
        seed: of the run.
        stream: what the order is for, such as the stage's name; another stream, another order.
        shuffle: whether each epoch has an order of its own.
        balance: ``over`` repeats samples of small classes up to the biggest, ``under`` takes as many of each
            class as the smallest has, ``both`` as a class has on average; drawn anew in each epoch. Copies of a
            sample in an epoch are alike. Samples without a label, -1, are shown once each.
        drop_last: leave out the last batch if it is smaller.
        smallest: leave out a last batch of fewer images than this, over all ranks.
    """

    seed: int = 0
    stream: str = ""
    shuffle: bool = False
    balance: Balance | None = None
    drop_last: bool = False
    smallest: int = 1

    def __post_init__(self) -> None:
        if self.balance and not self.shuffle:
            raise ValueError("SampleOrder: balance wants shuffle, or every batch would hold one class only.")

    def positions(self, labels: NDArray[np.int64], epoch: int) -> RowNumbers:
        """Positions in the order of an epoch, of samples with these labels."""
        if self.balance:
            with_label, without = np.flatnonzero(labels >= 0), np.flatnonzero(labels < 0)
            chosen = balanced(labels[with_label], self.balance, key(self.seed, "balance", self.stream, epoch))
            chosen = np.concatenate([with_label[chosen], without])
        else:
            chosen = np.arange(len(labels), dtype=np.int64)
        if not self.shuffle:
            return chosen
        return chosen[permutation(key(self.seed, "order", self.stream, epoch), len(chosen))]

    def batches(self, count: int, batch_size: int) -> int:
        """Batches of an epoch of ``count`` samples."""
        whole, rest = divmod(count, batch_size)
        return whole if self.drop_last or rest < self.smallest else whole + 1


@dataclass(frozen=True, slots=True)
class Share:
    """This process and how many there are.

    Each gets one of ``world`` near-equal runs of every batch, which is empty where the last batch is smaller than
    ``world``.
    """

    rank: int = 0
    world: int = 1

    def of(self, batch: RowNumbers) -> RowNumbers:
        """What this process has of a batch."""
        size = len(batch)
        return batch[self.rank * size // self.world : (self.rank + 1) * size // self.world]


def balanced(labels: NDArray[np.int64], balance: Balance, stream: int) -> RowNumbers:
    """Positions such that each class that occurs does so equally often, class after class.

    ``over``: as often as the most frequent, each sample floor or ceil of its class's ratio times.
    ``under``: as often as the rarest, no sample twice.
    ``both``: as often as a class does on average: small classes as in ``over``, big ones as in ``under``.
    """
    found, counts = np.unique(labels, return_counts=True)
    wanted = {"over": int(counts.max()), "under": int(counts.min()), "both": round(float(counts.mean()))}[balance]
    chosen = []
    for label, count in zip(found.tolist(), counts.tolist(), strict=True):
        members = np.flatnonzero(labels == label)
        copies, rest = divmod(wanted, count)
        some = permutation(key(stream, label), count)[:rest]
        chosen.append(np.concatenate([np.tile(members, copies), members[some]]))
    return np.concatenate(chosen)
