"""What computes logits: torch for a run, onnxruntime for a bundle. Nothing here knows of files or of answers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from preceptor.data.samples import Pixels
from preceptor.data.tiles import Logits
from preceptor.errors import UserError
from preceptor.extras import install_command

if TYPE_CHECKING:
    from preceptor.networks.network import Network

Floats = NDArray[np.float32]

IMAGES, LOGITS, EMBEDDING, DISTANCE = "images", "logits", "embedding", "distance"
"""What the inputs and outputs of graphs are called; embeddings make place for the distance from those of training."""


class Engine(Protocol):
    """Takes a batch of pieces and says its logits."""

    def __call__(self, pixels: Pixels) -> Logits:
        """Logits (N, K) or (N, K, H, W) of (N, H, W, C) pixels."""

    def with_distance(self, pixels: Pixels) -> tuple[Logits, Floats | None]:
        """Logits, and how far each piece is from those of training (N,); None where that is not known."""


class TorchEngine:
    """A network of a run, asked as ``preceptor evaluate`` asks it: in float32, without augmentation."""

    def __init__(self, network: "Network", device: str = "auto") -> None:
        import torch

        from preceptor.machine.device import require_device

        require_device(device)
        has_gpu = torch.cuda.is_available() and device != "cpu"
        self.device = torch.device("cuda" if has_gpu else "cpu")
        self.network = network.to(self.device).eval()

    def __call__(self, pixels: Pixels) -> Logits:
        import torch

        from preceptor.data.augment import as_tensor, to_float

        with torch.no_grad():
            images = to_float(as_tensor(pixels).to(self.device))
            logits: Logits = self.network(images).logits.float().cpu().numpy()
        return logits

    def with_distance(self, pixels: Pixels) -> tuple[Logits, None]:
        """Logits; a run does not know what images of training look like."""
        return self(pixels), None


class OnnxEngine:
    """An ONNX file with the normalisation inside.

    Args:
        model: its path or its bytes.
        size: (height, width) that the graph wants, to which pieces are resized as floats.
        threads: of onnxruntime; 0 leaves the number to it.
        spins: threads without work wait by asking again and again, which answers a little sooner and costs a core.

    Raises:
        UserError: onnxruntime is not installed, or cannot read the model.
    """

    def __init__(self, model: str | bytes, size: tuple[int, int], *, threads: int = 0, spins: bool = True) -> None:
        self._session = open_session(model, threads, spins=spins)
        self._size = size
        self.says = tuple(output.name for output in self._session.get_outputs())

    def __call__(self, pixels: Pixels) -> Logits:
        return self.of_floats(graph_input(pixels, self._size))

    def with_distance(self, pixels: Pixels) -> tuple[Logits, Floats | None]:
        """Logits and distances, of graphs that have them."""
        if DISTANCE not in self.says:
            return self(pixels), None
        logits, distances = self._session.run([LOGITS, DISTANCE], {IMAGES: graph_input(pixels, self._size)})
        return np.asarray(logits, dtype=np.float32), np.asarray(distances, dtype=np.float32)

    def embeddings(self, pixels: Pixels) -> Floats | None:
        """(N, D) of (N, H, W, C) pixels; None of graphs that say none."""
        if EMBEDDING not in self.says:
            return None
        (found,) = self._session.run([EMBEDDING], {IMAGES: graph_input(pixels, self._size)})
        return np.asarray(found, dtype=np.float32)

    def of_floats(self, images: Floats) -> Logits:
        """Logits of (N, C, H, W) images at the size of the graph."""
        (logits,) = self._session.run([LOGITS], {IMAGES: images})
        return np.asarray(logits, dtype=np.float32)


def graph_input(pixels: Pixels, size: tuple[int, int]) -> Floats:
    """(N, C, H, W) float32 in [0, 1] at ``size``, as an exported graph takes it, of (N, h, w, C) pixels."""
    top = np.float32(np.iinfo(pixels.dtype).max)
    planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).astype(np.float32) / top
    return planes if planes.shape[2:] == size else resized_planes(planes, size)


def resized_planes(planes: Floats, size: tuple[int, int]) -> Floats:
    """Planes (N, C, H, W) at another size as torch's antialiased ``interpolate`` gives them, but for rounding."""
    wanted, how = (size[1], size[0]), Image.Resampling.BILINEAR
    flat = planes.reshape(-1, *planes.shape[2:])
    found = [np.asarray(Image.fromarray(plane).resize(wanted, how)) for plane in flat]
    return np.stack(found).reshape(*planes.shape[:2], *size)


def open_session(model: str | bytes, threads: int = 0, *, spins: bool = True) -> Any:
    """An onnxruntime session on the CPU.

    Raises:
        UserError: it is not installed, or cannot read the model.
    """
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f"bundles want onnxruntime, which is not installed: {install_command('export')}") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spins)))
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises kinds of its own
        where = model if isinstance(model, str) else "the exported model"
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{where}: onnxruntime {onnxruntime.__version__} cannot open it: {first}\n"
            "Have the bundle made anew, or install a newer onnxruntime."
        ) from None


def in_batches(engine: Engine, pixels: Sequence[Pixels], size: int) -> list[Logits]:
    """Logits of each of ``pixels``, at most ``size`` of them asked at once."""
    found: list[Logits] = []
    for first in range(0, len(pixels), size):
        found.extend(engine(np.stack(pixels[first : first + size])))
    return found


def in_batches_with_distance(engine: Engine, pixels: Sequence[Pixels], size: int) -> list[tuple[Logits, float | None]]:
    """As :func:`in_batches`, with how far each is from training."""
    found: list[tuple[Logits, float | None]] = []
    for first in range(0, len(pixels), size):
        logits, distances = engine.with_distance(np.stack(pixels[first : first + size]))
        found.extend(zip(logits, [None] * len(logits) if distances is None else distances.tolist(), strict=True))
    return found
