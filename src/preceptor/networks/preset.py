"""What is known of a foundation model, and the layers that its row may name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from preceptor.errors import UserError

Pooling = Literal["cls", "cls+mean"]
"""What an embedding is made of: the class token, or the class token and then the mean of the patch tokens."""

Access = Literal["open", "gated"]
"""Whether the host gives the file to everybody, or to those who have agreed to its terms."""

LAYERS = ("SwiGLUPacked", "SwiGLU", "GluMlp", "Mlp", "silu", "gelu")
"""Classes of layers that a row, a recipe or a folder's config may name."""

LAYER_OPTIONS = ("mlp_layer", "act_layer")
"""Options of ``timm.create_model`` whose value is one of :data:`LAYERS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A foundation model.

    Args:
        name: by which recipes ask for it.
        architecture: timm's name of the nearest registered model.
        options: of ``timm.create_model`` that make it this one; layer classes are names, of :data:`LAYERS`.
        width: of a token.
        prefix_tokens: how many tokens stand before the patches: the class token and the registers.
        registers: how many of them are registers, which belong to no embedding and to no map.
        patch: side of a patch in pixels.
        pooling: what its embedding is made of.
        mean, std: of each channel, for pixels in [0, 1].
        size: side in pixels of the images that it was made for.
        repository: of the Hugging Face hub.
        file: to fetch there.
        licence: as its host states it.
        access: whether the host gives it to everybody.
        parameters: in millions.
        source: paper or page.
        remark: what else a user should know, or "".
    """

    name: str
    architecture: str
    options: Mapping[str, Any]
    width: int
    prefix_tokens: int
    registers: int
    patch: int
    pooling: Pooling
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    repository: str
    file: str
    licence: str
    access: Access
    parameters: int
    source: str
    remark: str = ""

    @property
    def embedding_width(self) -> int:
        """Numbers in an embedding."""
        return 2 * self.width if self.pooling == "cls+mean" else self.width


def check_layers(options: Mapping[str, Any], named: str) -> None:
    """Refuse classes of layers that are not of the closed list.

    Args:
        named: what the options belong to, for the message.
    """
    for key in LAYER_OPTIONS:
        value = options.get(key)
        if value is not None and value not in LAYERS:
            raise UserError(f"options of {named}: {key} should be one of {', '.join(LAYERS)}, got {value!r}")
