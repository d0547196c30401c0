"""Computing kept outputs again and comparing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from preceptor.cohort.frozen import FixedSize
from preceptor.composed import load_network
from preceptor.data.augment import as_tensor, augment, to_float
from preceptor.data.packed import open_packed
from preceptor.data.rows import DamagedRowError
from preceptor.embeddings.keys import number_of
from preceptor.embeddings.records import Numbers
from preceptor.embeddings.shards import DamagedShardError, Shard
from preceptor.errors import UserError
from preceptor.machine.compiled import compiled
from preceptor.machine.fold import with_folded_norms
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs
from preceptor.specs import AugmentSpec
from preceptor.teacher_cache.facts import UNCHANGED, arithmetic_facts, head_of, image_keys, weights_digest
from preceptor.teacher_cache.folder import CacheEntry
from preceptor.teacher_cache.reader import unpacked


@dataclass(frozen=True, slots=True)
class CacheCheck:
    """What :func:`verify` found.

    Args:
        compared: outputs that were computed again and are equal.
        wrong: what was removed, a line for each shard.
        unable: why nothing could be computed again, if so; checksums are compared in any case.
    """

    compared: int
    wrong: tuple[str, ...]
    unable: str | None


def verify(kept: CacheEntry, *, entries: int, device: str = "cpu") -> CacheCheck:
    """Compare every checksum, and ``entries`` random outputs with what the network says now; remove what is wrong."""
    shards, wrong = [], []
    for path in kept.shards:
        try:
            shard = Shard(path)
            _compare_checksums(shard)
        except FileNotFoundError:  # pruned meanwhile
            continue
        except DamagedShardError as error:
            wrong.append(_removed(path, str(error)))
        else:
            shards.append(shard)
    try:
        again = _Again(kept, device)
    except UserError as error:
        return CacheCheck(0, tuple(wrong), str(error))
    compared = 0
    random = np.random.default_rng()
    if shards and not any(len(again.known(shard)) for shard in shards):
        return CacheCheck(0, tuple(wrong), f"{kept.packed} holds other images by now")
    shards = [shard for shard in shards if len(again.known(shard))]
    while shards and compared < entries:
        shard = shards[random.integers(len(shards))]
        places = random.permutation(again.known(shard))[: min(again.size, entries - compared)]
        try:
            agrees = again.agrees(shard, places)
        except DamagedRowError as error:
            return CacheCheck(compared, tuple(wrong), f"{error.path}: {error.reason}")
        if agrees:
            compared += len(places)
        else:
            shards.remove(shard)
            wrong.append(_removed(shard.path, f"{shard.path}: is not what {kept.name} says"))
    return CacheCheck(compared, tuple(wrong), None)


def _compare_checksums(shard: Shard) -> None:
    out = np.empty((1, shard.form.record_bytes), dtype=np.uint8)
    for place in range(len(shard.keys)):
        shard.read(np.array([place]), out, np.zeros(1, dtype=np.int64))


def _removed(path: Path, why: str) -> str:
    path.unlink(missing_ok=True)
    return why


class _Again:
    """Computes outputs as they were computed when they were kept.

    Raises:
        UserError: the network, the images or this machine are not those of then.
    """

    def __init__(self, kept: CacheEntry, device: str) -> None:
        self._name = kept.name
        self._pixels, arithmetic = kept.facts["pixels"], kept.facts["arithmetic"]
        self.size: int = arithmetic["batch"]
        self._ask = FixedSize(self.size, rounds=kept.facts["dtype"] == "float16")
        self._packed = open_packed(Path(kept.packed))
        self._augment = AugmentSpec(**self._pixels["augment"]) if self._pixels["augment"] else None
        keys = image_keys(self._packed, self._augment or UNCHANGED)
        self._known, self._row = np.unique(keys, return_index=True)
        self._channels_last: bool = arithmetic["channels_last"]
        self._device = torch.device(device)
        dtype: torch.dtype = getattr(torch, arithmetic["precision"])
        self._precision = None if dtype == torch.float32 else dtype
        torch.set_num_threads(arithmetic["threads"])
        now = arithmetic_facts(
            self._device,
            batch=self.size,
            precision=self._precision,
            channels_last=self._channels_last,
            folded=arithmetic["folded"],
            compiled=arithmetic["compiled"],
        )
        if now != arithmetic:
            other = next(name for name in arithmetic if now.get(name) != arithmetic[name])
            raise UserError(f"computed elsewhere: {other} was {arithmetic[other]}, here it is {now.get(other)}")
        self._network = _network(kept).to(self._device)
        if self._channels_last:
            self._network.to(memory_format=torch.channels_last)
        if arithmetic["folded"]:
            self._network = with_folded_norms(self._network)
        if arithmetic["compiled"]:
            self._network = compiled(self._network)

    def known(self, shard: Shard) -> Numbers:
        """Places of the records whose images are at hand."""
        return np.flatnonzero(number_of(shard.keys, self._known) >= 0)

    def agrees(self, shard: Shard, places: Numbers) -> bool:
        """Whether the records at ``places``, no more than ``size``, are what the network says."""
        records = torch.empty(len(places), shard.form.record_bytes, dtype=torch.uint8)
        shard.read(places, records.numpy(), np.arange(len(places)))
        rows = self._row[number_of(shard.keys[places], self._known)]
        said = self._says(rows, shard.view).at(shard.tap)
        assert isinstance(said, torch.Tensor), "taps are kept one by one"
        return torch.equal(said.cpu(), unpacked(records, shard.form))

    @torch.no_grad()
    def _says(self, rows: Numbers, view: int) -> Outputs:
        images = as_tensor(self._packed.read(rows)[0]).to(self._device)
        if self._augment is None:
            pixels = to_float(images, channels_last=self._channels_last)
        else:
            spec, seed, keys = self._augment, self._pixels["seed"], self._packed.keys[rows]
            pixels, _ = augment(images, None, spec, seed=seed, view=view, ids=keys, channels_last=self._channels_last)
        with torch.autocast(self._device.type, dtype=self._precision, enabled=self._precision is not None):
            return self._ask.compute(self._name, self._network, pixels)


def _network(kept: CacheEntry) -> Network:
    network = load_network(kept.network_folder)
    network.freeze()
    if kept.facts["network"]["weights"] not in (weights_digest(network), weights_digest(network, head_of(network))):
        raise UserError(f"{kept.network_folder} is not the network that was kept")
    return network
