"""Classifiers: any timm model, with its taps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.networks.adapters import conv1x1_adapter
from preceptor.networks.blueprint import Blueprint
from preceptor.networks.export import save_network, timm_config
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs
from preceptor.networks.preprocessing import STRETCHED, Preprocessing
from preceptor.networks.taps import mean_over_positions, stage_indices
from preceptor.networks.trunk import Trunk, keep_what_makes


class Classifier(Network):
    """A timm model with its taps; the logits are exactly the model's own.

    Taps: ``stage1`` to ``stage4`` (see :func:`~preceptor.networks.taps.stage_indices`), ``last`` (the map that
    is pooled; a transformer's normalised tokens as a grid, without class tokens) and ``embedding``, the vector
    before the last linear layer.

    With ``blueprint.adapter`` the model's head gives way to Conv1x1-BN-ReLU, pooling and a new linear layer;
    ``last`` is then the adapter's output.

    Args:
        model: made by ``timm.create_model``, with ``len(blueprint.classes)`` outputs.

    Attributes:
        stages: position of each stage in ``model.feature_info``, by tap.

    Raises:
        UserError: the model cannot take the images, or computes its logits in a way that has no taps.
    """

    model: Any  # timm is untyped

    def __init__(self, model: nn.Module, blueprint: Blueprint) -> None:
        super().__init__(blueprint)
        self.model = model
        self.adapter: nn.Module | None = None
        self.fc: nn.Linear | None = None
        self.head: nn.Module | None = None
        indices = stage_indices([info["reduction"] for info in self.model.feature_info])
        self.stages = {f"stage{number}": index for number, index in enumerate(indices, start=1)}
        self._ends_linear = False
        self._examine()
        if blueprint.adapter:
            self._insert_adapter(blueprint.adapter)

    def forward(self, images: Tensor) -> Outputs:
        needs_last = self.wants("last") or self.fc is not None or self.head is not None
        features, stages = self._features(self.prepare(images), needs_last)
        maps = {name: stages[index] for name, index in self.stages.items() if self.wants(name)}
        if needs_last:
            last = self._last(features, stages)
            if self.wants("last"):
                maps["last"] = last
            if self.head is not None:
                return Outputs(self.head(last), mean_over_positions(last), maps)
            if self.fc is not None:
                embedding = mean_over_positions(last)
                return Outputs(self.fc(embedding), embedding, maps)
        embedding = self.model.forward_head(features, pre_logits=True)
        logits = self._own_classifier()(embedding) if self._ends_linear else self.model.forward_head(features)
        return Outputs(logits, self._pooled(features, embedding), maps)

    def _pooled(self, features: Tensor, embedding: Tensor) -> Tensor:
        """The vector that is shared: the head's own, or of a foundation model what its row says."""
        if self._shares_the_heads_own:
            return embedding.flatten(start_dim=1)
        if self.blueprint.pooling == "cls":
            return features[:, 0]
        patches = features[:, self.model.num_prefix_tokens :]  # registers belong to no mean
        return torch.cat([features[:, 0], patches.mean(dim=1)], dim=1)

    @property
    def _shares_the_heads_own(self) -> bool:
        pooling = self.blueprint.pooling
        return pooling is None or (pooling == "cls" and self.model.global_pool == "token")

    @property
    def classifier(self) -> nn.Module | None:
        if self.head is not None:
            return None
        if self.fc is not None:
            return self.fc
        return self._own_classifier() if self._ends_linear else None

    @property
    def decides(self) -> nn.Module | None:
        if self.head is not None:
            return None  # a loss brought it, and it begins with the map that is shared
        return self.fc or self._own_classifier()

    def replace_head(self, head: nn.Module) -> None:
        """Let ``head``, from ``last`` to the logits, take the place of the model's own, which is removed."""
        self._remove_own_head()
        self.fc = None
        self.head = head
        self.measure_shapes()

    def save(self, folder: Path, images: Preprocessing = STRETCHED) -> None:
        """Write what ``timm.create_model("local-dir:FOLDER", pretrained=True)`` loads.

        With an adapter or a replaced head timm has no name for the whole; the folder then loads with
        :func:`preceptor.composed.load_network` only, and its ``config.json`` says so.
        """
        plain = self.adapter is None and self.head is None
        config = timm_config(self.model, self.blueprint, images, adapter=self.adapter, head=self.head)
        save_network(folder, self.model if plain else self, config, self.blueprint.classes)

    def up_to(self, tap: str) -> Trunk:
        """What it takes to make the stage map ``tap``, as a copy.

        Raises:
            UserError: no such stage, or the model cannot be cut there.
        """
        if tap not in self.stages:
            raise UserError(
                f"architecture {self.blueprint.spec.architecture!r} has no {tap}; it has {', '.join(self.stages)}"
            )
        return Trunk(self.model, self.stages[tap], self.prepare(self.made_up_image()), self.blueprint)

    def _features(self, images: Tensor, needs_last: bool) -> tuple[Tensor, dict[int, Tensor]]:
        """The model's final features in its own layout, and the intermediate maps asked for, by index."""
        indices = {index for name, index in self.stages.items() if self.wants(name)}
        if needs_last:
            indices.add(self._final_stage)
        if not indices:
            return self.model.forward_features(images), {}
        ordered = sorted(indices)
        features, maps = self.model.forward_intermediates(images, indices=ordered)
        return features, dict(zip(ordered, maps, strict=True))

    def _last(self, features: Tensor, stages: Mapping[int, Tensor]) -> Tensor:
        """The final features as (N, C, H, W), after the adapter where there is one."""
        height_width = stages[self._final_stage].shape[-2:]
        if not isinstance(features, Tensor) or (features.ndim == 3 and features.shape[1] < height_width.numel()):
            raise UserError(
                f"architecture {self.blueprint.spec.architecture!r} ends in class tokens alone or in several branches, "
                "so it has no last map to share; choose another architecture"
            )
        if features.ndim == 3:
            features = _as_grid(features, height_width)
        elif getattr(self.model, "output_fmt", "NCHW") == "NHWC":
            features = features.permute(0, 3, 1, 2)
        return features if self.adapter is None else self.adapter(features)

    @property
    def _final_stage(self) -> int:
        return max(self.stages.values())

    def _own_classifier(self) -> nn.Module:
        return cast(nn.Module, self.model.get_classifier())

    @torch.no_grad()
    def _examine(self) -> None:
        """Check on one image that the taps belong to the model's own logits, and note how these come about."""
        outputs = self.glance()
        reference = self.model.eval()(self.prepare(self.made_up_image()))
        self.model.train(self.training)
        if not isinstance(reference, Tensor) or not torch.allclose(outputs.logits, reference, rtol=1e-4, atol=1e-5):
            raise UserError(
                f"architecture {self.blueprint.spec.architecture!r} computes its logits in a way of its own, "
                "so its taps cannot be trusted; choose another architecture"
            )
        own = self._own_classifier()
        if not self._shares_the_heads_own:
            return self._note_shapes(outputs)
        if isinstance(own, nn.Linear) and own.in_features == outputs.embedding.shape[1]:
            self._ends_linear = torch.allclose(own(outputs.embedding), reference, rtol=1e-4, atol=1e-5)
        self._note_shapes(outputs)

    def _insert_adapter(self, channels: int) -> None:
        width = self.shapes["last"][0]
        self._remove_own_head()
        self.adapter = conv1x1_adapter(width, channels)
        self.fc = nn.Linear(channels, len(self.blueprint.classes))
        self.measure_shapes()

    def _remove_own_head(self) -> None:
        """Put identities where only the model's own logits needed parameters, and not the map before pooling."""
        training = self.training
        self.eval()
        features, _ = self._features(self.prepare(self.made_up_image()), needs_last=False)
        self.train(training)
        keep_what_makes(features, self.model)


def _as_grid(tokens: Tensor, height_width: torch.Size) -> Tensor:
    """(N, class tokens + H·W, C) -> (N, C, H, W)."""
    grid = tokens[:, tokens.shape[1] - height_width.numel() :].transpose(1, 2)
    return grid.reshape(*grid.shape[:2], *height_width)
