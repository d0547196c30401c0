"""Everything on which the bits of a frozen network's outputs depend."""

import importlib.metadata
import re
from hashlib import blake2b
from typing import Any

import torch

from preceptor.data.packed import PackedSet
from preceptor.machine.processor import processor_name
from preceptor.networks.network import Network
from preceptor.specs import AugmentSpec

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_LIBRARIES = ("torch", "timm", "segmentation-models-pytorch")


def network_facts(network: Network) -> dict[str, Any]:
    """Weights by content, structure, and what is done with images before; not where the weights came from."""
    left_out = {"weights"} if network.blueprint.spec.taps else {"weights", "taps"}  # older keys know no taps
    spec = network.blueprint.spec.model_dump(mode="json", exclude=left_out)
    structure = f"{type(network).__qualname__} {spec} {_ADDRESS.sub('', repr(network))}"
    structure += network.blueprint.code_sha256 or ""  # what a module does is not told by its parts
    return {
        "architecture": " ".join(filter(None, (spec["architecture"], spec["encoder"]))),
        "weights": weights_digest(network),
        "structure": blake2b(structure.encode(), digest_size=16).hexdigest(),
        "image_size": list(network.image_size),
        "network_size": list(network.network_size),
    }


def weights_digest(network: Network) -> str:
    """Hash of every parameter and buffer, normalisation of the images included."""
    digest = blake2b(digest_size=16)
    for name, tensor in sorted((*network.named_parameters(), *network.named_buffers())):
        value = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def pixel_facts(packed: PackedSet, augment: AugmentSpec, seed: int) -> dict[str, Any]:
    """What decides the pixels of (row, view). Without augmentation no seed does."""
    changes = augment.model_dump(mode="json", exclude={"views", "seed"}) if augment.changes else None
    return {
        "fingerprint": packed.fingerprint,
        "reading": packed.reading,
        "augment": changes,
        "seed": augment.seed_of(seed) if changes else None,
    }


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
            torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
            torch.backends.cudnn.allow_tf32,
        ]
    return facts
