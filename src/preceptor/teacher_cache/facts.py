"""Everything on which the bits of a frozen network's outputs depend."""

import importlib.metadata
import re
from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import nn

from preceptor.data.packed import PackedSet
from preceptor.embeddings.keys import KEY_BYTES, Keys, as_keys
from preceptor.machine.processor import processor_name
from preceptor.networks.network import Network
from preceptor.specs import AugmentSpec

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
UNCHANGED = AugmentSpec(flip_horizontal=False, flip_vertical=False)
"""Images as they are."""

_LIBRARIES = ("torch", "timm", "segmentation-models-pytorch")


def network_facts(network: Network, *, whole: bool = True) -> dict[str, Any]:
    """Weights by content, structure, and what is done with images before; not where the weights came from.

    Args:
        whole: with what makes logits alone, on which no other tap depends.
    """
    but: Collection[nn.Module] = () if whole else head_of(network)
    left_out = {"weights"} if network.blueprint.spec.taps else {"weights", "taps"}
    spec = network.blueprint.spec.model_dump(mode="json", exclude=left_out)
    structure = f"{type(network).__qualname__} {spec} {_structure(network, but)}"
    structure += network.blueprint.code_sha256 or ""  # what a module does is not told by its parts
    structure += network.blueprint.pooling or ""
    return {
        "architecture": " ".join(filter(None, (spec["architecture"], spec["encoder"]))),
        "weights": weights_digest(network, but),
        "structure": blake2b(structure.encode(), digest_size=16).hexdigest(),
        "image_size": list(network.image_size),
        "network_size": list(network.network_size),
    }


def asked_facts(network: Network) -> dict[str, Any]:
    """Those of a network at the taps that are read of it: a head that began at random, whatever it has learned since,
    belongs to them where logits are read alone."""
    return network_facts(network, whole="logits" in network.taps_read or not network.has_new_head)


def head_of(network: Network) -> set[nn.Module]:
    """The modules that only logits depend on."""
    return set() if network.decides is None else set(network.decides.modules())


def weights_digest(network: Network, but: Collection[nn.Module] = ()) -> str:
    """Hash of every parameter and buffer, normalisation included, without those of the modules ``but``."""
    digest = blake2b(digest_size=16)
    tensors = {
        f"{path}.{name}": tensor
        for path, module in network.named_modules()
        if module not in but
        for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    }
    for name, tensor in sorted(tensors.items()):
        value = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _structure(network: Network, but: Collection[nn.Module]) -> str:
    """Every module by its place, kind and options."""
    parts = [
        f"{path} {type(module).__qualname__} {module.extra_repr()}"
        for path, module in network.named_modules()
        if module not in but
    ]
    return _ADDRESS.sub("", "\n".join(parts))


def image_keys(packed: PackedSet, augment: AugmentSpec) -> Keys:
    """(N,) key of each packed row: equal where, under equal :func:`pixel_facts`, its pixels are.

    That of a whole image as it is, is the hash of its pixels before resizing. Where it is cut its place counts too, and
    where it is changed at random its name, by which the changes are drawn.
    """
    parts = [packed.content_hashes()]
    if packed.tile is not None:
        corners = np.ascontiguousarray(packed.frame[["y", "x"]].to_numpy(dtype="<i8"))
        parts.append(corners.view(np.uint8).reshape(len(packed), -1))
    if augment.changes:
        parts.append(packed.keys.astype("<u8").view(np.uint8).reshape(len(packed), -1))
    if len(parts) == 1:
        return as_keys(parts[0])
    joined = np.ascontiguousarray(np.hstack(parts))
    digests = b"".join(blake2b(row.data, digest_size=KEY_BYTES).digest() for row in joined)
    return as_keys(np.frombuffer(digests, dtype=np.uint8).reshape(-1, KEY_BYTES))


def pixel_facts(placing: Mapping[str, Any], augment: AugmentSpec, seed: int) -> dict[str, Any]:
    """What decides the pixels of (image, view) beside the image. Without augmentation no seed does.

    Args:
        placing: how images come to the size of packed ones.
    """
    changes = augment.model_dump(mode="json", exclude={"views", "seed"}) if augment.changes else None
    return {**placing, "augment": changes, "seed": augment.seed_of(seed) if changes else None}


def arithmetic_facts(
    device: torch.device,
    *,
    batch: int,
    precision: torch.dtype | None,
    channels_last: bool,
    folded: bool = False,
    compiled: bool = False,
) -> dict[str, Any]:
    """What decides how sums are rounded. Measured on CPUs: the batch size does, and the number of threads does."""
    facts: dict[str, Any] = {
        "batch": batch,
        "precision": str(precision or torch.float32).removeprefix("torch."),
        "channels_last": channels_last,
        "folded": folded,
        "compiled": compiled,
        "threads": torch.get_num_threads(),
        "matmul": torch.get_float32_matmul_precision(),
        "device": f"{device.type} {processor_name()} {torch.backends.cpu.get_cpu_capability()}",
        **{name: importlib.metadata.version(name) for name in _LIBRARIES},
    }
    if device.type == "cuda":
        facts["gpu"] = [
            torch.cuda.get_device_name(device),
            str(torch.version.cuda),
            torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]  # torch's is untyped
            torch.backends.cudnn.allow_tf32,
        ]
    return facts
