"""Forms of a model besides ONNX, for who asks for them."""

import io
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from preceptor.composed.base import ComposedNetwork
from preceptor.data.pixels import USUAL
from preceptor.deploy.contract import Contract
from preceptor.errors import UserError
from preceptor.files import write_json
from preceptor.networks.network import Network

FORMATS = ("onnx", "torchscript", "wsinfer", "openvino")


class _Logits(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images).logits
        return logits


def require_formats(formats: tuple[str, ...], contract: Contract, mpp: float | None) -> None:
    """Refuse what cannot be written, before anything is.

    Raises:
        UserError: an unknown format, one whose library is not installed, or that has no words for this network.
    """
    for name in formats:
        if name not in FORMATS:
            raise UserError(f"--formats {name}: is none; there are {', '.join(FORMATS)}")
    if "openvino" in formats and find_spec("openvino") is None:
        raise UserError("--formats openvino wants OpenVINO, which is not installed: pip install openvino")
    if "wsinfer" in formats and contract.has_masks:
        raise UserError(
            "--formats wsinfer: WSInfer and QuPath's extension classify tiles, and this network makes masks"
        )
    if "wsinfer" in formats and contract.reading != USUAL:
        raise UserError("--formats wsinfer: it reads 8-bit RGB, and this network was trained on images read otherwise")
    if "wsinfer" in formats and contract.image_size[0] != contract.image_size[1]:
        raise UserError(f"--formats wsinfer: it resizes to squares, and this network takes {contract.image_size}")
    if "wsinfer" in formats and mpp is None:
        raise UserError("--formats wsinfer: slides are read at a pixel size; give --mpp, in microns per pixel")


def write_formats(
    folder: Path, formats: tuple[str, ...], network: Network, contract: Contract, mpp: float | None
) -> None:
    """Write what was asked for besides ONNX, which is there already."""
    if "torchscript" in formats:
        _write_torchscript(folder / "model.torchscript.pt", network, contract)
    if "wsinfer" in formats:
        _write_wsinfer(folder / "wsinfer", network, contract, mpp)
    if "openvino" in formats:
        import openvino

        model = openvino.convert_model(folder / "model.onnx")
        openvino.save_model(model, folder / "model.openvino.xml", compress_to_fp16=False)


def _write_torchscript(path: Path, network: Network, contract: Contract) -> None:
    """Logits of images (N, C, H, W) from 0 to 1 at the contract's size; softmax and sigmoid are the reader's."""
    if not isinstance(network, ComposedNetwork):
        network.read = frozenset()
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch calls its own format deprecated
        noise = torch.Generator().manual_seed(0)
        example = torch.rand(2, contract.reading.channels, *contract.image_size, generator=noise)
        traced = torch.jit.trace(_Logits(network).eval(), example)  # type: ignore[no-untyped-call]
        written = io.BytesIO()  # torch's own writing to a full disk ends in an error that names no reason
        torch.jit.save(traced, written)
        path.write_bytes(written.getvalue())


def _write_wsinfer(folder: Path, network: Network, contract: Contract, mpp: float | None) -> None:
    _write_torchscript(folder / "torchscript_model.pt", network, contract)
    side = contract.image_size[0]
    inside = {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}  # the network normalises by itself
    write_json(
        folder / "config.json",
        {
            "spec_version": "1.0",
            "architecture": network.blueprint.spec.architecture,
            "num_classes": len(contract.classes),
            "patch_size_pixels": side,
            "spacing_um_px": mpp,
            "class_names": list(contract.classes),
            "transform": [
                {"name": "Resize", "arguments": {"size": side}},
                {"name": "ToTensor"},
                {"name": "Normalize", "arguments": inside},
            ],
        },
    )
