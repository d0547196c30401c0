"""Random changes of training images, a pure function of (seed, view, sample id).

All of it is batched tensor operations on the device the images are on. A sample's pixels depend on
nothing but its own numbers, bit for bit: only operations are used whose result for one sample cannot
depend on its place in the batch, its neighbours or the number of threads (so no matrix products over
the batch, and tables in place of vectorised logarithms and exponentials).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from preceptor.data.samples import Pixels
from preceptor.data.stains import stain_basis
from preceptor.errors import UserError
from preceptor.randomness import key, uniforms
from preceptor.specs import AugmentSpec

Numbers = NDArray[np.float64]
_LUMA = np.array([0.299, 0.587, 0.114])  # weights of red, green, blue in brightness, ITU-R BT.601
_DRAWS = 16


@dataclass(frozen=True)
class Changes:
    """What happens to each of N samples.

    Args:
        turn: (N,) of 0 to 7: 1 mirrors left and right, 2 top and bottom, 4 transposes first.
        angle: (N,) rotation in radians.
        shift: (N, 2) move down and right as a share of the side.
        scale: (N,) factor of size.
        stain: (N, 6) factor and offset of the amount of haematoxylin, eosin and the rest, around 0.
        colour: (N, 3) change of brightness, contrast and saturation, around 0.
    """

    turn: NDArray[np.int64]
    angle: Numbers
    shift: Numbers
    scale: Numbers
    stain: Numbers
    colour: Numbers


def draw_changes(spec: AugmentSpec, *, seed: int, view: int, ids: NDArray[np.uint64]) -> Changes:
    """The changes of the samples with these keys in this view; each kind has draws of its own.

    Args:
        ids: (N,) keys of the sample ids, see :func:`preceptor.randomness.keys`.
    """
    unit = uniforms(key(seed, "augment", view), ids, _DRAWS)
    signed = 2 * unit - 1
    turn = (unit[:, 0] < 0.5 * spec.flip_horizontal) * 1
    turn += (unit[:, 1] < 0.5 * spec.flip_vertical) * 2
    turn += (unit[:, 2] < 0.5 * spec.transpose) * 4
    return Changes(
        turn=turn,
        angle=signed[:, 3] * np.deg2rad(spec.rotate),
        shift=signed[:, 4:6] * spec.shift,
        scale=1 + signed[:, 6] * spec.scale,
        stain=signed[:, 7:13] * spec.stain,
        colour=signed[:, 13:16] * spec.colour,
    )


def check_augment(spec: AugmentSpec, size: tuple[int, int]) -> None:
    """Refuse changes that images of ``size`` (height, width) cannot go through.

    Raises:
        UserError: a transpose of images that are not square.
    """
    if spec.transpose and size[0] != size[1]:
        raise UserError(
            f"augment.transpose swaps height and width, but the images are {size[0]} × {size[1]}.\n"
            "Choose a square data.image_size, or set augment.transpose to false."
        )


def to_float(images: Tensor, *, channels_last: bool = False) -> Tensor:
    """(N, H, W, C) bytes, or 16 bits as :func:`as_tensor` gives them, as (N, C, H, W) float32 in [0, 1]."""
    planes = images.permute(0, 3, 1, 2)
    return _unit(planes if channels_last else planes.contiguous())


def as_tensor(pixels: Pixels) -> Tensor:
    """The same memory as a tensor; 16 bits as int16, which torch can move about, the highest values being negative."""
    return torch.from_numpy(pixels.view(np.int16) if pixels.dtype == np.uint16 else pixels)


def _unit(planes: Tensor) -> Tensor:
    if planes.dtype == torch.int16:
        return planes.to(torch.int32).bitwise_and_(0xFFFF).to(torch.float32).div_(65535)
    return planes.to(torch.float32).div_(255)


def augment(
    images: Tensor,
    masks: Tensor | None,
    spec: AugmentSpec,
    *,
    seed: int,
    view: int,
    ids: NDArray[np.uint64],
    channels_last: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Change each image, and its mask along with it.

    In this order: flips and transpose (exact), stain, rotation with shift and scale (one bilinear
    resampling, nearest for masks, mirrored beyond the border), colour.

    Shapes:
        images: (N, H, W, C), as for :func:`to_float`
        masks: (N, H, W) uint8 or None
        returns: (N, C, H, W) float32 in [0, 1], and (N, H, W) uint8 or None

    Raises:
        UserError: see :func:`check_augment`.
    """
    height, width = images.shape[1:3]
    check_augment(spec, (height, width))
    changes = draw_changes(spec, seed=seed, view=view, ids=ids)
    planes = turned(images, changes.turn)  # (N, C, H, W)
    if masks is not None:
        masks = turned(masks[..., None], changes.turn)[:, 0]

    pixels = stained(planes, changes.stain) if spec.stain else _unit(planes)
    if spec.rotate or spec.shift or spec.scale:
        grid = affine_grid(changes, height, width, images.device)
        pixels = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        if masks is not None:
            moved = F.grid_sample(
                masks[:, None].to(torch.float32), grid, mode="nearest", padding_mode="reflection", align_corners=False
            )
            masks = moved[:, 0].to(torch.uint8)
    if spec.colour:
        pixels = recoloured(pixels, changes.colour)
    if channels_last:
        pixels = pixels.contiguous(memory_format=torch.channels_last)
    return pixels, masks


def turned(images: Tensor, turn: NDArray[np.int64]) -> Tensor:
    """Flip and transpose each image exactly, (N, H, W, C) → (N, C, H, W); ``turn`` as in :class:`Changes`."""
    if not len(images):
        return images.permute(0, 3, 1, 2)
    order = np.argsort(turn, kind="stable")
    edges = np.searchsorted(turn[order], np.arange(9))
    sorted_images = images.index_select(0, _index(order, images.device))
    pieces = []
    for code in range(8):
        piece = sorted_images[edges[code] : edges[code + 1]]
        if not len(piece):
            continue
        piece = piece.permute(0, 3, 2, 1) if code & 4 else piece.permute(0, 3, 1, 2)
        piece = piece.contiguous()  # one image's rows side by side: mirroring is then a fast copy
        flips = [axis for axis, bit in ((3, 1), (2, 2)) if code & bit]
        pieces.append(piece.flip(flips) if flips else piece)
    return torch.cat(pieces).index_select(0, _index(np.argsort(order, kind="stable"), images.device))


def affine_grid(changes: Changes, height: int, width: int, device: torch.device) -> Tensor:
    """Where each output pixel is read, (N, H, W, 2) as (x, y) in [-1, 1] like ``torch.nn.functional.grid_sample``.

    Content is scaled and rotated (counter-clockwise) about the centre and then shifted, without changing its shape:
    angles are true also where height and width differ.
    """
    cosine, sine = np.cos(changes.angle) / changes.scale, np.sin(changes.angle) / changes.scale
    down, right = 2 * changes.shift[:, 0], 2 * changes.shift[:, 1]  # in units of [-1, 1]
    ratio = height / width
    x_from_x, x_from_y = cosine, -sine * ratio
    y_from_x, y_from_y = sine / ratio, cosine
    numbers = np.stack(
        [
            x_from_x, x_from_y, -x_from_x * right - x_from_y * down,
            y_from_x, y_from_y, -y_from_x * right - y_from_y * down,
        ],
        axis=1,
    )  # fmt: skip
    factor = _upload(numbers, device)[:, :, None, None]  # (N, 6, 1, 1)
    x = ((torch.arange(width, device=device, dtype=torch.float32) * 2 + 1) / width - 1)[None, None, :]
    y = ((torch.arange(height, device=device, dtype=torch.float32) * 2 + 1) / height - 1)[None, :, None]
    grid = torch.empty(len(numbers), height, width, 2, device=device)
    torch.add(x * factor[:, 0], y * factor[:, 1] + factor[:, 2], out=grid[..., 0])
    torch.add(x * factor[:, 3], y * factor[:, 4] + factor[:, 5], out=grid[..., 1])
    return grid


def stained(planes: Tensor, stain: Numbers) -> Tensor:
    r"""Change the amounts of haematoxylin, eosin and the rest, (N, 3, H, W) uint8 → float32 in [0, 1].

    Each amount a becomes a·(1 + f) + 0.2·o. In optical density that is an affine map of the channels,
    :math:`d' = M d + b`, so in light it is a product of powers, :math:`t'_c = e^{-b_c} \prod_k t_k^{M_{ck}}`,
    and the power of a byte comes from a table of 256.

    Source: Tellez et al. 2018, IEEE Trans. Med. Imaging 37:2126, section III-C. Differs: the vectors are
    the published ones, not estimated per image.
    """
    basis = stain_basis()
    density = -np.log((np.arange(256) + 1) / 256)  # (256,)
    mix = np.einsum("kc,nk,dk->ncd", basis, 1 + stain[:, :3], np.linalg.inv(basis))  # (N, 3 to, 3 from)
    offset = 0.2 * stain[:, 3:] @ basis  # (N, 3)
    powers = np.exp(-mix[..., None] * density)  # (N, 3 to, 3 from, 256)
    powers[:, :, 0] *= np.exp(-offset)[..., None]
    table = _upload(powers, planes.device)

    count, _, height, width = planes.shape
    first = torch.arange(count, device=planes.device, dtype=torch.int32)[:, None, None, None] * 256
    entry = planes.to(torch.int32) + first  # (N, 3, H, W), into (N, 256)
    out = torch.empty(planes.shape, device=planes.device)
    for to in range(3):
        light = None
        for source in range(3):
            values = table[:, to, source].reshape(-1).index_select(0, entry[:, source].reshape(-1))
            light = values if light is None else light.mul_(values)
        assert light is not None
        out[:, to] = light.view(count, height, width)
    # a byte v stands for the light (v + 1) / 256, so that black has a density: back to v / 255
    return out.mul_(256).sub_(1).div_(255).clamp_(0, 1)


def recoloured(pixels: Tensor, colour: Numbers) -> Tensor:
    """Change brightness, contrast (about middle grey) and saturation of (N, 3, H, W) in [0, 1]."""
    brightness, contrast, saturation = (1 + colour).T[:, :, None, None]
    mix = saturation * np.eye(3) + (1 - saturation) * _LUMA  # (N, 3, 3)
    numbers = np.concatenate(
        [brightness * contrast * mix, np.broadcast_to(0.5 * (1 - contrast), (len(colour), 3, 1))], axis=2
    )
    factor = _upload(numbers, pixels.device)[..., None, None]  # (N, 3, 4, 1, 1)
    out = torch.empty_like(pixels)
    for to in range(3):
        mixed = pixels[:, 0] * factor[:, to, 0]
        mixed += pixels[:, 1] * factor[:, to, 1]
        mixed += pixels[:, 2] * factor[:, to, 2]
        out[:, to] = mixed.add_(factor[:, to, 3])
    return out.clamp_(0, 1)


def _index(order: NDArray[np.int64], device: torch.device) -> Tensor:
    return torch.from_numpy(order).to(device, non_blocking=True)


def _upload(numbers: Numbers, device: torch.device) -> Tensor:
    return torch.from_numpy(numbers.astype(np.float32)).to(device, non_blocking=True)
