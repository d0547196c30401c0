"""From image files to embeddings, by a network of a run, of a recipe, or by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from preceptor.data.images import read_image
from preceptor.data.samples import Pixels
from preceptor.deploy.contract import Contract
from preceptor.deploy.images import Item
from preceptor.deploy.pieces import pieces_of
from preceptor.errors import UserError
from preceptor.networks.presets import preset_of
from preceptor.quoting import one_line
from preceptor.recipe import load_recipe
from preceptor.specs import NetworkSpec

if TYPE_CHECKING:
    from torch import Tensor

    from preceptor.networks.embedding import Pooling
    from preceptor.networks.network import Network

What = Literal["embedding", "pooled", "grid"]
"""One vector an image; its token grid averaged to at most 4×4; or the whole grid."""

Stored = Literal["float16", "float32"]

POOLED = 4
_AT_ONCE = 32
_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for, as a worker on another machine is told it.

    Args:
        source: a run, ``RUN/networks/NAME``, a recipe, or the name of a network.
        network: of a recipe: ``teacher``, or a student's name.
    """

    source: str
    network: str = "teacher"
    what: What = "embedding"
    stored: Stored = "float16"
    device: str = "auto"

    def __post_init__(self) -> None:
        for value, known, option in ((self.what, get_args(What), "what"), (self.stored, get_args(Stored), "dtype")):
            if value not in known:
                raise UserError(f"--{option} {value!r}: it is one of {', '.join(known)}")


class Embedder:
    """Makes the records of images.

    Args:
        contract: from an image file to what the network is called with.
        pooling: how its tokens become one vector, and how many of them stand ``prefix`` before the patches.

    Attributes:
        shape: of one record.
    """

    def __init__(
        self, network: "Network", contract: Contract, wanted: Wanted, pooling: "Pooling", prefix: int | None
    ) -> None:
        import torch

        from preceptor.deploy.engines import TorchEngine

        if contract.tile is not None:
            raise UserError(
                f"{wanted.source}: this network sees tiles, and an embedding is of a whole image; cut the images into "
                "tiles first and embed these by a network that sees whole images"
            )
        self.contract = contract
        self.wanted = wanted
        self._pooling = pooling
        self._prefix = prefix
        engine = TorchEngine(network, wanted.device)
        self.network, self._device = engine.network, engine.device
        self.shape = tuple(self._of(torch.zeros(1, contract.reading.channels, *contract.image_size)).shape[1:])

    @property
    def record_bytes(self) -> int:
        """Bytes of one image."""
        return int(np.prod(self.shape)) * np.dtype(self.wanted.stored).itemsize

    @property
    def identity(self) -> str:
        """What tells the network, and what is done with images before, from any other."""
        from preceptor.teacher_cache.facts import network_facts
        from preceptor.teacher_cache.folder import key_of

        spec = self.contract.to_json()
        return key_of({"network": network_facts(self.network), "images": spec, "pooling": self._pooling})

    def records(self, items: Sequence[Item]) -> tuple[NDArray[np.floating], dict[int, str]]:
        """(n, …) a record for each item, NaN where there is none, and why by place.

        Raises:
            UserError: the network says numbers that the type cannot hold.
        """
        found = np.full((len(items), *self.shape), np.nan, dtype=self.wanted.stored)
        sound, errors = [], {}
        for place, item in enumerate(items):
            try:
                sound.append((place, self.pixels_of(item)))
            except UserError as error:
                errors[place] = one_line(str(error).splitlines()[0]).replace(f"{item.path!r} ", "")
        for first in range(0, len(sound), _AT_ONCE):
            batch = sound[first : first + _AT_ONCE]
            said = self._asked(np.stack([pixels for _, pixels in batch]))
            found[[place for place, _ in batch]] = self._storable(said)
        return found, errors

    def pixels_of(self, item: Item) -> Pixels:
        """(H, W, C) of an image as the network is called with it.

        Raises:
            UserError: it cannot be read.
        """
        image = read_image(item.path, self.contract.reading, place=item.place)
        return pieces_of(item.name, image, self.contract).pixels[0]

    def _asked(self, pixels: Pixels) -> NDArray[np.float32]:
        from preceptor.data.augment import as_tensor, to_float

        said: NDArray[np.float32] = self._of(to_float(as_tensor(pixels).to(self._device))).cpu().numpy()
        return said

    def _of(self, images: "Tensor") -> "Tensor":
        from torch.nn import functional as F

        from preceptor.networks.embedding import embed, token_grid

        images = images.to(self._device)
        if self.wanted.what == "embedding":
            return embed(self.network, images, self._pooling, prefix=self._prefix)
        grid = token_grid(self.network, images)
        if self.wanted.what == "grid" or max(grid.shape[-2:]) <= POOLED:
            return grid
        height, width = (min(side, POOLED) for side in grid.shape[-2:])
        return F.adaptive_avg_pool2d(grid, (height, width))

    def _storable(self, said: NDArray[np.float32]) -> NDArray[np.float32]:
        if not np.isfinite(said).all():
            raise UserError(f"{self.wanted.source}: the network says numbers that are not finite; give other weights")
        if self.wanted.stored == "float16" and np.abs(said).max(initial=0) > _LARGEST:
            raise UserError(f"{self.wanted.source}: values beyond {_LARGEST:.0f} fit no float16; give --dtype float32")
        return said


def open_embedder(wanted: Wanted, *, note: Callable[[str], object] = lambda note: None) -> Embedder:
    """What makes the embeddings that are wanted.

    Raises:
        UserError: no such run, recipe or network, or one without embedding.
    """
    path = Path(wanted.source)
    if path.suffix in (".yaml", ".yml"):
        return _of_recipe(path, wanted, note)
    if path.is_dir():
        from preceptor.deploy.student import open_student

        student = open_student(path, note=note, answers=False)
        return _made(student.network, student.contract, wanted, student.network.blueprint.spec)
    if path.exists() or len(path.parts) > 1:
        raise UserError(f"{wanted.source} is no finished run, no recipe (.yaml) and no name of a network")
    return _by_name(wanted, note)


def _of_recipe(path: Path, wanted: Wanted, note: Callable[[str], object]) -> Embedder:
    recipe, _ = load_recipe(path)
    known = {**recipe.networks.peers}
    if recipe.networks.teacher is not None:
        known["teacher"] = recipe.networks.teacher
    if wanted.network not in known:
        raise UserError(f"{path} has no network {wanted.network!r}; it has {', '.join(known)} (--network)")
    spec, data = known[wanted.network], recipe.data
    from preceptor.data.pixels import PixelRules

    contract = Contract(
        task=recipe.task,
        classes=("a", "b"),
        image_size=data.size,
        resize=data.resize,
        tile=data.tile,
        reading=PixelRules(channels=data.channels, depth=data.depth),
    )
    return _built(spec, contract, wanted, note)


def _by_name(wanted: Wanted, note: Callable[[str], object]) -> Embedder:
    """A network by timm's name, or a foundation model's, with its weights, at its own size."""
    spec = NetworkSpec(architecture=wanted.source)
    preset = preset_of(spec.architecture)
    size = preset.size if preset else _own_size(wanted.source)
    contract = Contract(task="classification", classes=("a", "b"), image_size=(size, size))
    return _built(spec, contract, wanted, note)


def _own_size(architecture: str) -> int:
    import timm

    if not timm.is_model(architecture):
        raise UserError(
            f"{architecture!r} is no run, no recipe and no network that is known by this name; "
            "`preceptor teachers` lists foundation models, timm.list_models() the others"
        )
    found = timm.get_pretrained_cfg(architecture)
    return int(found.input_size[-1]) if found else 224


def _built(spec: NetworkSpec, contract: Contract, wanted: Wanted, note: Callable[[str], object]) -> Embedder:
    from preceptor.networks.build import build_network

    network = build_network(
        spec,
        task=contract.task,
        classes=contract.classes,
        image_size=contract.image_size,
        seed=0,
        channels=contract.reading.channels,
    )
    for line in network.notes:
        note(line)
    return _made(network, contract, wanted, spec)


def _made(network: "Network", contract: Contract, wanted: Wanted, spec: NetworkSpec) -> Embedder:
    preset = preset_of(spec.architecture)
    network.freeze()
    return Embedder(
        network, contract, wanted, preset.pooling if preset else "own", preset.prefix_tokens if preset else None
    )
