"""Any module as a network of a cohort: its logits, and feature maps read where its submodules return them."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from preceptor.errors import UserError
from preceptor.files import write_with
from preceptor.networks.blueprint import Blueprint, Sight
from preceptor.networks.export import OWN_KEY, save_network
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs, is_stage
from preceptor.networks.preprocessing import STRETCHED, Preprocessing
from preceptor.networks.taps import mean_over_positions
from preceptor.own_code import OwnCode

_LOGITS = ("logits", "out")
"""Where the logits are in the mapping that a module may return; torchvision's segmenters say ``out``."""


class Wrapped(Network):
    """A module with its logits, (N, C) or (N, C, H, W), and with feature maps at submodules of it.

    Taps: ``stage1``, ``stage2``, … are the outputs of the submodules named as taps, in their order, each also by the
    submodule's own name, and ``last`` is the last of them; submodules that are called ``stage1`` … themselves keep
    their names. ``embedding`` is what the linear layer gets that gives the logits; without one, the last map, pooled;
    without that either there is none. Everything is found by passing one image through.

    Args:
        module: takes (N, 3, H, W) images, normalised, and returns logits, or a mapping with ``logits`` or ``out``.
        taps: names of submodules as in ``module.named_modules()``, the finest map first.
        code: from what the module was made, for export.

    Raises:
        UserError: a tap that is no submodule, does not run once, or gives no map.
    """

    def __init__(
        self,
        module: nn.Module,
        taps: Sequence[str] = (),
        *,
        blueprint: Blueprint | None = None,
        sight: Sight | None = None,
        code: OwnCode | None = None,
    ) -> None:
        super().__init__(blueprint, prepares=sight)
        if (weight := next(module.parameters(), None)) is not None:
            self.to(weight.device, weight.dtype)  # what normalises images is where the module is, and of its kind
        self.module = module
        self.code = code
        self._paths = tuple(taps)
        self._names = _names_of(self._paths)
        self._caught: dict[str, Any] = {}
        found = _Probe(self)
        self._head = found.head
        self._draws, self._wants_pairs = found.draws, found.wants_pairs
        for path in self._paths:
            module.get_submodule(path).register_forward_hook(partial(self._catch_map, path))
        if self._head is not None:
            module.get_submodule(self._head).register_forward_pre_hook(self._catch_embedding)
        self.measure_shapes()

    def forward(self, images: Tensor) -> Outputs:
        logits = logits_in(self.module(self.prepare(images)), self.called)
        caught, self._caught = self._caught, {}
        if logits.ndim == 4 and logits.shape[-2:] != images.shape[-2:]:
            logits = F.interpolate(logits, size=images.shape[-2:], mode="bilinear")
        maps = {name: caught[path] for name, path in self._names.items() if self.wants(name)}
        if "embedding" in caught:
            embedding = caught["embedding"]
        elif self._paths:
            embedding = mean_over_positions(caught[self._paths[-1]])
        else:
            embedding = logits.new_zeros(len(logits), 0)
        return Outputs(logits, embedding, maps)

    @property
    def classifier(self) -> nn.Module | None:
        return None if self._head is None else self.module.get_submodule(self._head)

    @property
    def head(self) -> str | None:
        """Name of the linear layer that gives the logits, where one does."""
        return self._head

    @property
    def is_stochastic(self) -> bool:
        return not self.is_frozen and (self._draws or super().is_stochastic)

    @property
    def needs_pairs(self) -> bool:
        return self._wants_pairs

    def replace_head(self, head: nn.Module) -> None:
        raise UserError(
            f"architecture {self.called!r} is your own and keeps its head; a loss that brings another one (such as "
            "simkd) wants a timm classifier as student"
        )

    def save(self, folder: Path, images: Preprocessing = STRETCHED) -> None:
        """Write the module's own state dict, what images it wants, and the file that it was made by.

        :func:`preceptor.composed.load_network` loads it; without preceptor the class in the file takes the state dict.
        """
        blueprint, code = self.blueprint, self.code
        assert code is not None, "what has a blueprint was made by code that a recipe names"
        spec = blueprint.spec.model_copy(update={"architecture": code.portable})
        arguments = ", ".join(f"{key}={value!r}" for key, value in spec.options.items())
        file, _, name = code.portable.rpartition(":")
        note = (
            f"{name}(num_classes={blueprint.logit_channels}{', ' if arguments else ''}{arguments}) of {file} takes "
            "model.safetensors as its state dict; or load it with preceptor.composed.load_network(folder, trust=True)"
        )
        own = {**replace(blueprint, spec=spec).to_json(), **images.described(blueprint), "note": note, "head": None}
        config = {"architecture": note, "label_names": list(blueprint.classes), OWN_KEY: own}
        if code.content is not None:
            content = code.content
            write_with(folder / file, lambda path: path.write_bytes(content))
        save_network(folder, self.module, config, blueprint.classes)

    def _catch_map(self, path: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self._caught[path] = output

    def _catch_embedding(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._caught["embedding"] = inputs[0]


def logits_in(returned: object, called: str) -> Tensor:
    """The logits in what a module returns.

    Raises:
        UserError: there are none.
    """
    if isinstance(returned, Mapping):
        returned = next((returned[key] for key in _LOGITS if key in returned), returned)
    if not isinstance(returned, Tensor) or returned.ndim not in (2, 4):
        what = f"a tensor of shape {tuple(returned.shape)}" if isinstance(returned, Tensor) else type(returned).__name__
        raise UserError(
            f"architecture {called!r}: its forward returned {what}; logits of shape (N, C), or (N, C, H, W) for "
            "masks, were wanted, or a mapping that has them as `logits` or `out`"
        )
    return returned


def _names_of(paths: Sequence[str]) -> dict[str, str]:
    """Tap -> submodule."""
    if all(map(is_stage, paths)):
        names = {path: path for path in paths}
    else:
        names = {f"stage{number}": path for number, path in enumerate(paths, start=1)}
        names |= {path: path for path in paths if path not in names}
    return names | ({"last": paths[-1]} if paths else {})


class _Probe:
    """What passing an image through a module tells of it.

    Attributes:
        head: name of the linear layer that gives the logits.
        draws: whether it draws random numbers in training.
        wants_pairs: whether it normalises single values over the batch, for which one image is too few.
    """

    def __init__(self, network: Wrapped) -> None:
        self.head: str | None = None
        self.wants_pairs = False
        self._called = network.called
        self._runs: dict[str, list[tuple[Any, Any]]] = {}
        self._linear: dict[str, Tensor] = {}
        twin = deepcopy(network.module).requires_grad_(False)
        self._watch(twin, network)
        images = network.prepare(network.made_up_image())
        with torch.no_grad():
            logits = logits_in(twin.eval()(images), self._called)
            self._require_maps(network)
            self.head = self._head_of(logits, twin)
            self.draws = _draws(twin.train(), images.repeat(2, 1, 1, 1))

    def _watch(self, twin: nn.Module, network: Wrapped) -> None:
        modules = dict(twin.named_modules())
        for path in network._paths:
            if path not in modules or not path:
                known = [name for name in modules if name]
                raise UserError(
                    f"architecture {self._called!r}: no module {path!r} to tap; it has {', '.join(known[:30])}"
                    + (" …" if len(known) > 30 else "")
                )
            self._runs[path] = []
            modules[path].register_forward_hook(partial(self._note_map, path))
        for name, module in modules.items():
            if isinstance(module, nn.Linear):
                module.register_forward_hook(partial(self._note_linear, name))
            elif isinstance(module, _BatchNorm):
                module.register_forward_pre_hook(self._note_norm)

    def _note_map(self, path: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self._runs[path].append((output, output.clone() if isinstance(output, Tensor) else None))

    def _note_linear(self, name: str, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        if inputs[0].ndim == 2:
            self._linear[name] = output

    def _note_norm(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.wants_pairs |= inputs[0].numel() == inputs[0].shape[0] * inputs[0].shape[1]

    def _require_maps(self, network: Wrapped) -> None:
        for path, runs in self._runs.items():
            where = f"architecture {self._called!r}: the tap {path!r}"
            if len(runs) != 1:
                raise UserError(f"{where} ran {len(runs)} times for one batch; choose a module that runs once")
            output, copy = runs[0]
            if not isinstance(output, Tensor) or output.ndim != 4:
                what = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
                raise UserError(f"{where} gives {what}; a feature map of shape (N, C, H, W) was wanted")
            if not torch.equal(output, copy):
                raise UserError(
                    f"{where} is overwritten by the module after it (inplace=True); tap that one, or set inplace=False"
                )

    def _head_of(self, logits: Tensor, twin: nn.Module) -> str | None:
        return next((name for name, output in self._linear.items() if output is logits), None)


def _draws(module: nn.Module, images: Tensor) -> bool:
    """Whether a pass in training mode moves torch's generator, which is put back."""
    with torch.random.fork_rng(devices=[]):
        before = torch.get_rng_state()
        module(images)
        return not torch.equal(before, torch.get_rng_state())
