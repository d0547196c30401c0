"""Segmenters: any segmentation-models-pytorch model, with its taps."""

from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from preceptor.networks.blueprint import Blueprint
from preceptor.networks.export import save_network, smp_config
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs
from preceptor.networks.preprocessing import STRETCHED, Preprocessing
from preceptor.networks.taps import mean_over_positions, stage_indices


class Segmenter(Network):
    """An smp model with its taps; the logits are exactly the model's own, at the size of the images.

    Taps: ``stage1`` to ``stage4`` (encoder maps, see :func:`~preceptor.networks.taps.stage_indices`), ``last``
    (the deepest encoder map), ``decoder1`` (the first decoder block, where the decoder is a chain of blocks as
    in U-Net, U-Net++, MA-Net and LinkNet), ``decoder`` (what the segmentation head sees) and ``embedding``
    (``last``, pooled).

    Args:
        model: made by ``segmentation_models_pytorch.create_model`` with ``blueprint.logit_channels`` classes.
    """

    def __init__(self, model: nn.Module, blueprint: Blueprint) -> None:
        super().__init__(blueprint)
        self.model = model
        self._caught: dict[str, Any] = {}
        for name, module in _watched(model).items():
            module.register_forward_hook(partial(self._catch, name))
        self._stages = self._find_stages()
        self.measure_shapes()

    def forward(self, images: Tensor) -> Outputs:
        logits = self.model(self.prepare(images))
        if logits.shape[-2:] != images.shape[-2:]:
            logits = F.interpolate(logits, size=images.shape[-2:], mode="bilinear")
        caught, self._caught = self._caught, {}
        features = _encoder_maps(caught["encoder"])
        found = {name: features[index] for name, index in self._stages.items()}
        found["last"] = features[-1]
        found |= {name: caught[name] for name in ("decoder1", "decoder") if name in caught}
        maps = {name: feature_map for name, feature_map in found.items() if self.wants(name)}
        return Outputs(logits, mean_over_positions(features[-1]), maps)

    def save(self, folder: Path, images: Preprocessing = STRETCHED) -> None:
        """Write what ``segmentation_models_pytorch.from_pretrained(FOLDER)`` loads."""
        save_network(folder, self.model, smp_config(self.model, self.blueprint, images), self.blueprint.classes)

    def _catch(self, name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self._caught[name] = output

    @torch.no_grad()
    def _find_stages(self) -> dict[str, int]:
        images = self.prepare(self.made_up_image())
        self.model.eval()(images)
        self.model.train(self.training)
        features = _encoder_maps(self._caught.pop("encoder"))
        self._caught = {}
        own = [
            position
            for position, feature_map in enumerate(features)
            if feature_map.shape[1] > 0 and feature_map is not images
        ]  # encoders also list the image itself, and a map without channels where they skip a size
        reductions = [images.shape[-2] // features[position].shape[-2] for position in own]
        return {f"stage{number}": own[index] for number, index in enumerate(stage_indices(reductions), start=1)}


def _watched(model: nn.Module) -> dict[str, nn.Module]:
    decoder = cast(nn.Module, model.decoder)
    watched = {"encoder": cast(nn.Module, model.encoder), "decoder": decoder}
    blocks = getattr(decoder, "blocks", None)
    if isinstance(blocks, nn.ModuleList):
        watched["decoder1"] = blocks[0]
    elif isinstance(blocks, nn.ModuleDict):
        watched["decoder1"] = blocks["x_0_0"]
    return watched


def _encoder_maps(output: Any) -> list[Tensor]:
    """DPT's encoders return (maps, class tokens), all others the maps."""
    return list(output[0] if isinstance(output, tuple) else output)
