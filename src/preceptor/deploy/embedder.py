"""From image files to embeddings."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from preceptor.data.decoded import pixel_hash
from preceptor.data.images import read_image
from preceptor.data.packed import placing_of
from preceptor.data.resize import rules_of
from preceptor.data.samples import Pixels
from preceptor.deploy.contract import Contract
from preceptor.deploy.images import Item
from preceptor.deploy.pieces import pieces_of
from preceptor.deploy.wanted import Wanted
from preceptor.embeddings.keys import NO_IMAGE, Keys
from preceptor.embeddings.shards import Bytes
from preceptor.errors import UserError
from preceptor.quoting import one_line
from preceptor.teacher_cache.folder import key_of

if TYPE_CHECKING:
    from torch import Tensor

    from preceptor.deploy.space import Space
    from preceptor.networks.network import Network
    from preceptor.networks.outputs import Outputs

_AT_ONCE = 32
_LARGEST = float(np.finfo(np.float16).max)

Training = Callable[[], Pixels]
"""Gets some images of training, as they are packed."""


@dataclass(frozen=True, slots=True)
class Made:
    """The records of some images.

    Args:
        records: (n, record bytes), NaN where there is none.
        keys: (n,) hash of each image's pixels.
        errors: why there is none, by place.
    """

    records: Bytes
    keys: Keys
    errors: dict[int, str]


class Embedder:
    """Makes the records of images, to the bit as a run would compute what its frozen teacher says of them.

    Args:
        contract: from an image file to what the network is called with.
        training: gets packed images on which axes are fitted, where any are known.
        space: in which a student answers, if not its own.

    Attributes:
        form: of a record.
        batch: images that are asked about at once.
        facts: everything that records depend on beside the image.
    """

    def __init__(
        self,
        network: "Network",
        contract: Contract,
        wanted: Wanted,
        training: Training | None,
        space: "Space | None" = None,
    ) -> None:
        import torch

        from preceptor.cohort.frozen import FixedSize
        from preceptor.deploy.engines import TorchEngine
        from preceptor.teacher_cache.compress import Compression
        from preceptor.teacher_cache.reader import form_of

        if contract.tile is not None:
            raise UserError(
                f"{wanted.source}: this network sees tiles, and an embedding is of a whole image; cut the images into "
                "tiles first and embed these by a network that sees whole images"
            )
        self.contract = contract
        self.tap = "embedding" if wanted.what == "embedding" else "last"
        self._training, self._space = training, space
        if space is not None and space.is_of_maps != (self.tap == "last"):
            what = "maps; give --what grid" if space.is_of_maps else "vectors; give --what embedding"
            raise UserError(f"--space {space.of}: is of {what}")
        self.batch = wanted.batch or _AT_ONCE
        if wanted.threads:
            torch.set_num_threads(wanted.threads)
        self.wanted = replace(wanted, batch=self.batch, threads=torch.get_num_threads())
        network.freeze()
        if self.tap not in network.taps:
            lacking = {"embedding": "vector before its logits", "last": "last map, of which a grid could be made"}
            raise UserError(f"{network.called!r} has no {lacking[self.tap]}, so there is nothing to embed with")
        network.read = frozenset({self.tap})
        engine = TorchEngine(network, wanted.device)
        self.network, self._device = engine.network, engine.device
        self._ask = FixedSize(self.batch)
        self.compression: Compression | None = None
        self.grid: tuple[int, int] | None = None
        few = min(2, self.batch)  # which lie in memory as a whole batch does
        images = self.network.made_up_image().repeat(few, 1, 1, 1).to(self._device)
        with torch.no_grad():
            seen = self._wanted_of(FixedSize(few).compute(wanted.network, self.network, images))
        self._half = wanted.stored == "float16"
        self.form = form_of(seen, half=self._half)
        if wanted.compressed:
            dims, side = wanted.compressed.get("dims"), wanted.compressed.get("side")
            self.grid = (self.form.shape[-2], self.form.shape[-1])
            places = Compression(self.grid, side).places
            self.form = replace(self.form, shape=(dims or self.form.shape[0], *places), channels_last=False)
        self.facts = self._facts()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one record."""
        return self.form.shape

    @property
    def record_bytes(self) -> int:
        """Bytes of one image."""
        return self.form.record_bytes

    @property
    def identity(self) -> str:
        """What tells the network, and what is done with images before, from any other."""
        return key_of(self.facts)

    def _facts(self) -> dict[str, Any]:
        from preceptor.teacher_cache.facts import UNCHANGED, arithmetic_facts, network_facts, pixel_facts

        contract = self.contract
        rules = rules_of(contract.resize, contract.fill)
        reading = contract.reading
        placing = placing_of(contract.image_size, rules, channels=reading.channels, depth=reading.depth)
        return {
            "network": network_facts(self.network, whole=False),
            "pixels": pixel_facts(placing, UNCHANGED, 0),
            "arithmetic": arithmetic_facts(self._device, batch=self.batch, precision=None, channels_last=False),
            "dtype": self.wanted.stored,
            "what": self.wanted.what,
            **self.wanted.compressed,
            **({"space": {"of": self._space.of, "projector": self._space.digest}} if self._space else {}),
        }

    def settle(self, folder: Path) -> None:
        """Let grids be made small, along axes that lie in ``folder`` or are fitted now.

        Raises:
            UserError: no images of training are known on which to fit them.
        """
        from preceptor.embeddings.store import AXES
        from preceptor.teacher_cache.compress import Axes, Compression

        if self.grid is None:
            return
        assert self.grid is not None, "of what is compressed"
        dims = self.wanted.compressed.get("dims")
        if dims and not (folder / AXES).exists():
            if self._training is None:
                raise UserError(
                    "--what pca: its axes are fitted on images of training, and a network's name has none; give a "
                    "recipe or a run, or --what pooled"
                )
            self.compression = Compression(self.grid, self.wanted.side)
            Axes.fitted(self._grids(self._training()), dims).save(folder)
        axes = Axes.load(folder) if dims else None
        self.compression = Compression(self.grid, self.wanted.compressed.get("side"), axes)

    def _grids(self, pixels: Pixels) -> Iterator["Tensor"]:
        for first in range(0, len(pixels), self.batch):
            yield self._asked(pixels[first : first + self.batch])

    def records(self, items: Sequence[Item]) -> Made:
        """A record for each item.

        Raises:
            UserError: the network says numbers that the type cannot hold.
        """
        nothing = np.full(int(np.prod(self.shape)), np.nan, dtype=self.form.stored).view(np.uint8)
        found = np.tile(nothing, (len(items), 1))
        keys, sound, errors = np.full(len(items), NO_IMAGE), [], {}
        for place, item in enumerate(items):
            try:
                image = read_image(item.path, self.contract.reading, place=item.place)
            except UserError as error:
                errors[place] = one_line(str(error).splitlines()[0]).replace(f"{item.path!r} ", "")
                continue
            keys[place] = bytes.fromhex(pixel_hash(image))
            sound.append((place, pieces_of(item.name, image, self.contract).pixels[0]))
        for first in range(0, len(sound), self.batch):
            batch = sound[first : first + self.batch]
            found[[place for place, _ in batch]] = self._said(np.stack([pixels for _, pixels in batch]))
        return Made(found, keys, errors)

    def _said(self, pixels: Pixels) -> Bytes:
        """(n, record bytes) of (n, H, W, C) pixels, no more than a batch."""
        from preceptor.teacher_cache.reader import packed

        said = self._asked(pixels).cpu()
        if not bool(said.isfinite().all()):
            raise UserError(f"{self.wanted.source}: the network says numbers that are not finite; give other weights")
        if self.form.stored == "float16" and float(said.abs().max()) > _LARGEST:
            raise UserError(f"{self.wanted.source}: values beyond {_LARGEST:.0f} fit no float16; give --dtype float32")
        records: Bytes = packed(said, self.form).numpy()
        return records

    def _asked(self, pixels: Pixels) -> "Tensor":
        """What is wanted of (n, H, W, C) pixels, no more than a batch."""
        import torch

        from preceptor.data.augment import as_tensor, to_float

        with torch.no_grad():
            images = to_float(as_tensor(pixels).to(self._device))
            said = self._wanted_of(self._ask.compute(self.wanted.network, self.network, images))
            return said if self.compression is None else self.compression.pressed(said)

    def _wanted_of(self, said: "Outputs") -> "Tensor":
        tensor = said.at(self.tap)
        assert not isinstance(tensor, tuple), "one tap"
        return tensor if self._space is None else self._space.shown(tensor)
