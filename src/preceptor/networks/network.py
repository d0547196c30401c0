"""What every network of a cohort is: images in, logits and named taps out.

What it is called with (sizes, normalisation) and what it says is one thing; how it is made again, and so exported, is
another, its blueprint, which a module that was only wrapped does not have.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from preceptor.errors import UserError
from preceptor.networks.blueprint import Blueprint, Sight
from preceptor.networks.outputs import Outputs, is_stage
from preceptor.networks.preprocessing import STRETCHED, Preprocessing


class Network(nn.Module, ABC):
    """A model with named taps that takes raw images and prepares them itself.

    Args:
        blueprint: what it is built from: specification, task, class names, sizes; None of a module that has none.
        prepares: to whose size and normalisation images are brought, if not its own.

    Attributes:
        image_size: (height, width) of the images it is called with.
        network_size: (height, width) that the model wants, to which it resizes them.
        mean, std: of each channel, for pixels in [0, 1].
        read: names of the taps that somebody reads, ``stages`` for all stage maps; None for all. Other maps
            are left out of the outputs and need no memory.
        shapes: shape of each tap without the batch, at ``image_size``.
        channels_last: whether images are brought into this memory layout first, for weights that lie so.
        notes: what the user should know of where its weights came from, one sentence each.
        has_new_head: True when the head started from random numbers, so that the network cannot teach yet.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, blueprint: Blueprint | None, *, prepares: Sight | None = None) -> None:
        super().__init__()
        prepares = prepares or blueprint
        assert prepares is not None, "a network without a blueprint is told how it sees images"
        self._blueprint = blueprint
        self.image_size = (blueprint or prepares).image_size
        self.network_size = prepares.network_size
        self.read: frozenset[str] | None = None
        self.shapes: Mapping[str, tuple[int, ...]] = {}
        self.channels_last = False
        self.notes: tuple[str, ...] = ()
        self.has_new_head = True
        self.is_frozen = False
        _require_normalisation(prepares, self.called)
        self.register_buffer("mean", torch.tensor(prepares.mean).reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(prepares.std).reshape(1, -1, 1, 1), persistent=False)

    @property
    def blueprint(self) -> Blueprint:
        """From what it is made again.

        Raises:
            UserError: it is a module that was wrapped as it is.
        """
        if self._blueprint is None:
            raise UserError(
                "a module that was wrapped as it is has no blueprint: nothing says how to make it again, so it is "
                "saved by its own state_dict() only; name its class in a recipe to have it exported"
            )
        return self._blueprint

    @blueprint.setter
    def blueprint(self, blueprint: Blueprint) -> None:
        self._blueprint = blueprint

    @property
    def called(self) -> str:
        """What it is, for messages: its architecture where a recipe names one."""
        return type(self).__name__ if self._blueprint is None else self._blueprint.spec.architecture

    @abstractmethod
    def forward(self, images: Tensor) -> Outputs:
        """``images``: (N, C, H, W) float32 in [0, 1], without any normalisation."""

    @abstractmethod
    def save(self, folder: Path, images: Preprocessing = STRETCHED) -> None:
        """Write ``config.json`` and ``model.safetensors`` into ``folder``, atomically, file by file.

        Args:
            images: how images came to its ``image_size``, for whoever is to use it.
        """

    @property
    def classifier(self) -> nn.Module | None:
        """The module from the embedding to the logits, where there is one."""
        return None

    @property
    def decides(self) -> nn.Module | None:
        """The module on which logits alone depend, where there is one apart from the rest."""
        return self.classifier

    def deployed(self) -> "Network":
        """The network that is reported and exported once training is over: it says what this one says."""
        return self

    def replace_head(self, head: nn.Module) -> None:
        """Let ``head``, from the last map to the logits, take the place of the network's own."""
        raise UserError(f"{type(self).__name__.lower()}s keep their own head; this method is for classifiers only")

    def prepare(self, images: Tensor) -> Tensor:
        """Resize to the model's size (bilinear, antialiased) and normalise.

        Raises:
            UserError: images of another size than it was made for; what it would say of them was never measured.
        """
        if images.shape[-2:] != self.image_size:
            given, made = ("×".join(map(str, size)) for size in (images.shape[-2:], self.image_size))
            raise UserError(
                f"images of {given} px (height × width) for a network that was made for {made} px.\nBring them to that "
                "size first, as `_preceptor.preprocessing` in its config.json says (docs/exported.md)."
            )
        if images.shape[-2:] != self.network_size:
            images = F.interpolate(images, size=self.network_size, mode="bilinear", antialias=True)
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return (images - self.mean) / self.std

    def wants(self, tap: str) -> bool:
        """Whether somebody reads the map ``tap``."""
        return self.read is None or tap in self.read or (is_stage(tap) and "stages" in self.read)

    @property
    def taps(self) -> tuple[str, ...]:
        """Every tap that the network has, whether read or not."""
        return tuple(self.shapes)

    @property
    def taps_read(self) -> tuple[str, ...]:
        """The taps that somebody reads, each by its own name."""
        read = self.read
        if read is None:
            return self.taps
        return tuple(tap for tap in self.taps if tap in read or (is_stage(tap) and "stages" in read))

    def freeze(self) -> None:
        """No parameter learns any more, and the network stays in eval mode whatever is called later."""
        self.requires_grad_(False)
        self.is_frozen = True
        self.eval()

    def train(self, mode: bool = True) -> Self:
        return super().train(mode and not self.is_frozen)

    @property
    def is_stochastic(self) -> bool:
        """Whether a forward pass in training mode draws random numbers (dropout, drop path, ...)."""
        return not self.is_frozen and any(_draws(module) for module in self.modules())

    @property
    def needs_pairs(self) -> bool:
        """Whether it normalises maps of one position over the batch, for which one image is too few."""
        is_one = self.shapes.get("last", ())[1:] == (1, 1)
        return is_one and any(isinstance(part, _BatchNorm) for part in self.modules())

    def parameters_count(self) -> int:
        """Number of parameters of the inference graph."""
        return sum(parameter.numel() for parameter in self.parameters())

    def measure_shapes(self) -> None:
        """Fill :attr:`shapes` from one image; the mode stays as it was."""
        self._note_shapes(self.glance())

    def _note_shapes(self, outputs: Outputs) -> None:
        found = {"logits": outputs.logits, "embedding": outputs.embedding, **outputs.maps}
        self.shapes = {tap: tuple(tensor.shape[1:]) for tap, tensor in found.items() if tap in outputs.taps}

    @torch.no_grad()
    def glance(self) -> Outputs:
        """All taps of one made-up image, in eval mode; the mode stays as it was."""
        training, read = self.training, self.read
        self.eval()
        self.read = None
        try:
            outputs: Outputs = self(self.made_up_image())
        finally:
            self.read = read
            self.train(training)
        return outputs

    def made_up_image(self) -> Tensor:
        """(1, C, H, W) noise in [0, 1], the same in every call; as many channels as it normalises."""
        generator = torch.Generator().manual_seed(0)
        return torch.rand(1, self.mean.shape[1], *self.image_size, generator=generator).to(self.mean)


def _require_normalisation(sight: Sight, called: str) -> None:
    """Refuse what turns every pixel into infinity or NaN, also where a saved network's config says it."""
    mean, std = torch.tensor(sight.mean), torch.tensor(sight.std)
    if not (torch.isfinite(mean).all() and torch.isfinite(std).all() and (std > 0).all()):
        raise UserError(
            f"architecture {called!r}: cannot normalise with mean {list(sight.mean)} and std "
            f"{list(sight.std)}: finite numbers were wanted, std above 0.\nGive the network's `mean` and `std`, or "
            "repair the config.json that they come from."
        )


def _draws(module: nn.Module) -> bool:
    """timm's layers name their rates ``drop_prob`` and ``drop_rate``; asked in every step, so without ``getattr``."""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p > 0
    rates = (module.__dict__.get(name, 0) for name in ("drop_prob", "drop_rate"))
    return any(isinstance(rate, int | float) and rate > 0 for rate in rates)
