"""The first part of a model: what it takes to make one of its maps, and nothing else."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.networks.blueprint import Blueprint


class Trunk(nn.Module):
    """The first part of a timm model, up to the map at position ``index`` of its intermediate maps.

    Args:
        model: is copied.
        images: prepared ones, on which the copy is compared with the model.

    Raises:
        UserError: the model cannot be stopped at that map.
    """

    model: Any  # timm is untyped

    def __init__(self, model: nn.Module, index: int, images: Tensor, blueprint: Blueprint) -> None:
        super().__init__()
        self.index = index
        self.model = copy.deepcopy(model).requires_grad_(True).eval()
        with torch.enable_grad():
            keep_what_makes(self(images), self.model)
        with torch.no_grad():
            whole: Any = model
            training = whole.training
            _, maps = whole.eval().forward_intermediates(images, indices=[index])
            whole.train(training)
            if not torch.allclose(self(images), maps[0], rtol=1e-4, atol=1e-5):
                raise UserError(
                    f"architecture {blueprint.spec.architecture!r} cannot be stopped at one of its stages, so nothing "
                    "can end there; choose another architecture"
                )

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) prepared images -> (N, C, H', W')."""
        maps: list[Tensor] = self.model.forward_intermediates(
            images, indices=[self.index], stop_early=True, intermediates_only=True
        )
        return maps[0]


def keep_what_makes(output: Tensor, model: nn.Module) -> None:
    """Put identities where parameters of ``model`` play no part in ``output``, which it made just now."""
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(output.sum(), parameters, allow_unused=True)
    used = {id(parameter) for parameter, gradient in zip(parameters, gradients, strict=True) if gradient is not None}
    _replace_unused(model, used)


def _replace_unused(parent: nn.Module, used: set[int]) -> None:
    for name, child in parent.named_children():
        parameters = {id(parameter) for parameter in child.parameters()}
        if parameters and not parameters & used:
            setattr(parent, name, nn.Identity())
        else:
            _replace_unused(child, used)
