"""From image files to embeddings, by a network of a run, of a recipe, or by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np

from preceptor.data.decoded import pixel_hash
from preceptor.data.images import read_image
from preceptor.data.packed import placing_of
from preceptor.data.resize import rules_of
from preceptor.data.samples import Pixels
from preceptor.deploy.contract import Contract
from preceptor.deploy.images import Item
from preceptor.deploy.pieces import pieces_of
from preceptor.embeddings.keys import NO_IMAGE, Keys
from preceptor.embeddings.shards import Bytes
from preceptor.errors import UserError
from preceptor.networks.presets import preset_of
from preceptor.plan.cast import TEACHER
from preceptor.plan.network import NetworkUse
from preceptor.quoting import one_line
from preceptor.recipe import Recipe, load_recipe
from preceptor.specs import NetworkSpec, TrainingSpec
from preceptor.teacher_cache.folder import key_of

if TYPE_CHECKING:
    from torch import Tensor

    from preceptor.networks.network import Network
    from preceptor.networks.outputs import Outputs

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
        network: of a recipe: ``teacher``, or the name of one of its networks.
        batch: how many images are asked about at once, on which the last bits depend: where not given, as many as the
            recipe or the run trains with, and 32 of a network that is named.
        threads: that compute; where not given those of the recipe, or of this process.
    """

    source: str
    network: str = "teacher"
    what: What = "embedding"
    stored: Stored = "float16"
    device: str = "auto"
    batch: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        for value, known, option in ((self.what, get_args(What), "what"), (self.stored, get_args(Stored), "dtype")):
            if value not in known:
                raise UserError(f"--{option} {value!r}: it is one of {', '.join(known)}")

    def as_trained(self, training: TrainingSpec) -> Self:
        """The same, asked as training would ask."""
        return replace(self, batch=self.batch or training.batch_size, threads=self.threads or training.threads)


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

    Attributes:
        form: of a record.
        batch: images that are asked about at once.
        facts: everything that records depend on beside the image.
    """

    def __init__(self, network: "Network", contract: Contract, wanted: Wanted) -> None:
        import torch

        from preceptor.cohort.frozen import FixedSize
        from preceptor.deploy.engines import TorchEngine
        from preceptor.teacher_cache.reader import form_of

        if contract.tile is not None:
            raise UserError(
                f"{wanted.source}: this network sees tiles, and an embedding is of a whole image; cut the images into "
                "tiles first and embed these by a network that sees whole images"
            )
        self.contract = contract
        self.tap = "embedding" if wanted.what == "embedding" else "last"
        self.batch = wanted.batch or _AT_ONCE
        if wanted.threads:
            torch.set_num_threads(wanted.threads)
        self.wanted = replace(wanted, batch=self.batch, threads=torch.get_num_threads())
        network.freeze()
        if self.tap not in network.taps:
            what = {"embedding": "vector before its logits", "last": "last map, of which a grid could be made"}
            raise UserError(f"{network.called!r} has no {what[self.tap]}, so there is nothing to embed with")
        network.read = frozenset({self.tap})
        engine = TorchEngine(network, wanted.device)
        self.network, self._device = engine.network, engine.device
        self._ask = FixedSize(self.batch)
        few = min(2, self.batch)  # which lie in memory as a whole batch does
        images = self.network.made_up_image().repeat(few, 1, 1, 1).to(self._device)
        with torch.no_grad():
            seen = self._wanted_of(FixedSize(few).compute(wanted.network, self.network, images))
        self.form = form_of(seen, half=wanted.stored == "float16")
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
        }

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
        import torch

        from preceptor.data.augment import as_tensor, to_float
        from preceptor.teacher_cache.reader import packed

        with torch.no_grad():
            images = to_float(as_tensor(pixels).to(self._device))
            said = self._wanted_of(self._ask.compute(self.wanted.network, self.network, images)).cpu()
        if not bool(said.isfinite().all()):
            raise UserError(f"{self.wanted.source}: the network says numbers that are not finite; give other weights")
        if self.form.stored == "float16" and float(said.abs().max()) > _LARGEST:
            raise UserError(f"{self.wanted.source}: values beyond {_LARGEST:.0f} fit no float16; give --dtype float32")
        records: Bytes = packed(said, self.form).numpy()
        return records

    def _wanted_of(self, said: "Outputs") -> "Tensor":
        from torch.nn import functional as F

        tensor = said.at(self.tap)
        assert not isinstance(tensor, tuple), "one tap"
        if self.wanted.what != "pooled" or max(tensor.shape[-2:]) <= POOLED:
            return tensor
        height, width = (min(side, POOLED) for side in tensor.shape[-2:])
        return F.adaptive_avg_pool2d(tensor, (height, width))


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

        student = open_student(path, note=note)
        return Embedder(student.network, student.contract, wanted.as_trained(student.run.recipe.training))
    if path.exists() or len(path.parts) > 1:
        raise UserError(f"{wanted.source} is no finished run, no recipe (.yaml) and no name of a network")
    return _by_name(wanted, note)


def _of_recipe(path: Path, wanted: Wanted, note: Callable[[str], object]) -> Embedder:
    """The network as it is when the recipe's training begins, from the same weights or random numbers."""
    from preceptor.cohort.instantiate import Workshop

    recipe, _ = load_recipe(path)
    contract = contract_of(recipe)
    workshop = Workshop(
        task=recipe.task,
        classes=contract.classes,
        image_size=contract.image_size,
        channels=contract.reading.channels,
        seed=recipe.seed,
    )
    network = workshop.network(_use_in(recipe, path, wanted))
    return _made(network, contract, wanted.as_trained(recipe.training), note)


def _use_in(recipe: Recipe, path: Path, wanted: Wanted) -> NetworkUse:
    """The network that is meant, where it is as it will be asked."""
    members = [pair for stage in recipe.plan().stages for pair in stage.members.items()]
    known = {name: member for name, member in members if isinstance(member.network, NetworkUse)}
    name = TEACHER if wanted.network == "teacher" else wanted.network
    if name not in known:
        raise UserError(f"{path} has no network {wanted.network!r}; it has {', '.join(known)} (--network)")
    if not known[name].trains and known[name].starts:
        raise UserError(
            f"{path}: {name} is trained by the recipe before it teaches; train it, and embed by RUN/networks/{name}"
        )
    use = known[name].network
    assert isinstance(use, NetworkUse), "those alone are known"
    return use


def contract_of(recipe: Recipe) -> Contract:
    """From an image file to what the recipe's networks are called with, to the bit as in its training.

    Raises:
        UserError: its levels are drawn from all its images.
    """
    from preceptor.data.prepare import padding_of
    from preceptor.data.sources import open_source, rules_of_files

    data = recipe.data
    reading = rules_of_files(data.source, data.options, data)
    if reading.percentiles is not None:
        raise UserError(
            f"data.options.percentiles {list(reading.percentiles)} are of all images of the recipe together; embed by "
            "a finished run, which knows what they came to, or give data.options.range"
        )
    return Contract(
        task=recipe.task,
        classes=open_source(data.source, data.path, data.options, data).classes,
        image_size=data.size,
        resize=data.resize,
        fill=padding_of(recipe),
        tile=data.tile,
        reading=reading,
    )


def _by_name(wanted: Wanted, note: Callable[[str], object]) -> Embedder:
    """A network by timm's name, or a foundation model's, with its weights, at its own size."""
    from preceptor.networks.build import build_network
    from preceptor.networks.prefix import require_prefix

    spec = NetworkSpec(architecture=wanted.source)
    preset = preset_of(spec.architecture)
    size = preset.size if preset else _own_size(wanted.source)
    contract = Contract(task="classification", classes=("a", "b"), image_size=(size, size))  # of a head nobody asks
    network = build_network(
        spec, task=contract.task, classes=contract.classes, image_size=contract.image_size, seed=0, channels=3
    )
    if preset is not None:
        require_prefix(network, preset.prefix_tokens)
    return _made(network, contract, wanted, note)


def _own_size(architecture: str) -> int:
    import timm

    if not timm.is_model(architecture):
        raise UserError(
            f"{architecture!r} is no run, no recipe and no network that is known by this name; "
            "`preceptor teachers` lists foundation models, timm.list_models() the others"
        )
    found = timm.get_pretrained_cfg(architecture)
    return int(found.input_size[-1]) if found else 224


def _made(network: "Network", contract: Contract, wanted: Wanted, note: Callable[[str], object]) -> Embedder:
    for line in network.notes:
        note(line)
    return Embedder(network, contract, wanted)
