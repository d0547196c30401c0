"""A network as an ONNX graph: logits and embeddings of images, the normalisation inside, the resize outside.

torch's older exporter is used: it takes seconds where the newer one takes a minute, and leaves no paths of this machine
in the file. Networks are traced, so whatever they decide by the size of an image is decided for ever; what follows
makes sure that nothing is.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from preceptor.composed.base import ComposedNetwork
from preceptor.deploy.engines import EMBEDDING, IMAGES, LOGITS, OnnxEngine
from preceptor.errors import UserError
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs

OPSET = 18
_CLOSE = 1e-2  # of logits at another size; a branch that was frozen is off by whole units


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """An exported network.

    Args:
        content: the ONNX file.
        size: (height, width) of the images that it takes; where that is not the network's ``image_size``, pieces are
            resized to it as floats.
        any_size: whether height and width may be others.
    """

    content: bytes
    size: tuple[int, int]
    any_size: bool

    @property
    def dynamic(self) -> list[str]:
        """Axes of the images whose length is free."""
        return ["batch", "height", "width"] if self.any_size else ["batch"]


class _Said(nn.Module):
    """What a network says of images: logits, at ``size`` where that is given, and embeddings where it has them."""

    def __init__(self, network: Network, size: tuple[int, int] | None) -> None:
        super().__init__()
        self.network, self.size = network, size

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        said: Outputs = self.network(images)
        logits = said.logits if self.size is None else F.interpolate(said.logits, size=self.size, mode="bilinear")
        return (logits, said.embedding) if said.has_embedding else (logits,)


def graph_of(network: Network) -> OnnxGraph:
    """``network``, which is changed and of no other use afterwards, as a graph.

    Raises:
        UserError: it holds what ONNX has no words for.
    """
    network = network.cpu().eval()
    size, image_size = network.image_size, network.image_size
    parts = list(_leaves(network))
    if isinstance(network, ComposedNetwork):
        _read_only_what_is_wanted(network)
        if any(part.network_size != image_size for part in parts):
            for part in parts:  # each has a size of its own, so all resize inside
                _resize_inside(part)
    else:
        network.read = frozenset()
        size = network.network_size
        network.image_size = size
    is_map = network.blueprint.task == "segmentation"
    module = _Said(network, image_size if is_map and size != image_size else None)
    module.eval()
    if is_map and size == image_size and (free := _any_size(module, parts, size)) is not None:
        return OnnxGraph(free, size, any_size=True)
    return OnnxGraph(_traced(module, size, any_size=False), size, any_size=False)


def _any_size(module: _Said, parts: list[Network], size: tuple[int, int]) -> bytes | None:
    """The graph with free height and width where it is right at another size too, else None."""
    if any("prepare" in part.__dict__ for part in parts):
        return None
    larger = (2 * size[0], size[1])
    images = torch.rand(1, parts[0].blueprint.channels, *larger, generator=torch.Generator().manual_seed(0))
    try:
        content = _traced(module, size, any_size=True)
        said = OnnxEngine(content, larger).of_floats(images.numpy())
    except (UserError, RuntimeError):
        return None
    except Exception:  # onnxruntime's own kinds: sizes that do not fit
        return None
    for part in parts:
        part.image_size = part.network_size = larger
    with torch.no_grad():
        wanted, *_ = module(images)
    for part in parts:
        part.image_size = part.network_size = size
    is_right = said.shape == tuple(wanted.shape) and float((torch.from_numpy(said) - wanted).abs().max()) <= _CLOSE
    return content if is_right else None


def _traced(module: _Said, size: tuple[int, int], *, any_size: bool) -> bytes:
    buffer = io.BytesIO()
    axes = {0: "batch", **({2: "height", 3: "width"} if any_size else {})}
    channels = module.network.blueprint.channels
    example = torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(0))  # one would fix the batch
    with torch.no_grad():
        outputs = [LOGITS, EMBEDDING][: len(module(example))]
    try:
        with _quietly(), _PoolingByMatrices():
            torch.onnx.export(
                module,
                (example,),
                buffer,  # type: ignore[arg-type]  # the older exporter takes it, the newer one does not
                dynamo=False,
                opset_version=OPSET,
                input_names=[IMAGES],
                output_names=outputs,
                dynamic_axes={IMAGES: axes, LOGITS: axes, **{name: {0: "batch"} for name in outputs[1:]}},
            )
    except Exception as error:  # torch raises many kinds, some with pages of text
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"this network cannot be written as ONNX: {first}") from None
    return _with_positive_axes(buffer.getvalue())


class _PoolingByMatrices(TorchFunctionMode):
    """Adaptive average pooling to several positions as two products of matrices: the exporter knows few sizes of it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.adaptive_avg_pool2d:
            return func(*args, **(kwargs or {}))
        maps, sizes = args
        given = [int(side) for side in maps.shape[-2:]]
        pair = sizes if isinstance(sizes, (tuple, list, torch.Size)) else (sizes, sizes)
        wanted = [side if size is None else int(size) for side, size in zip(given, pair, strict=True)]
        if wanted == [1, 1]:
            return func(maps, (1, 1))
        rows, columns = (_averages(a, b) for a, b in zip(given, wanted, strict=True))
        return rows @ maps @ columns.T


def _averages(given: int, wanted: int) -> Tensor:
    """(wanted, given): each position of a side as the mean of those it is pooled from."""
    found = np.zeros((wanted, given), dtype=np.float32)
    for place in range(wanted):
        first, last = place * given // wanted, -(-(place + 1) * given // wanted)
        found[place, first:last] = 1 / (last - first)
    return torch.from_numpy(found)


def _with_positive_axes(content: bytes) -> bytes:
    """Transpositions count axes from the front: the exporter writes ``movedim(-1, …)`` in a way that is none."""
    import onnx

    model = onnx.load_from_string(content)
    orders = [one.ints for node in model.graph.node if node.op_type == "Transpose" for one in node.attribute]
    wrong = [axes for axes in orders if any(axis < 0 for axis in axes)]
    for axes in wrong:
        axes[:] = [axis % len(axes) for axis in axes]
    return model.SerializeToString() if wrong else content


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the exporter's remarks on itself, and the whole graph that it prints where it fails."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _leaves(network: Network) -> Iterator[Network]:
    """The networks that take images themselves."""
    if isinstance(network, ComposedNetwork):
        for source in network.sources.children():
            yield from _leaves(cast(Network, source))
    else:
        yield network


def _read_only_what_is_wanted(network: ComposedNetwork) -> None:
    for name, taps in network.inlets.items():
        source = cast(Network, network.sources[name])
        if not isinstance(source, ComposedNetwork):
            source.read = frozenset(taps) - {"logits", "embedding"}


def _resize_inside(part: Network) -> None:
    """Let a network resize by two products of matrices, which ONNX knows: antialiased interpolation is linear."""
    rows, columns = (_weights(a, b) for a, b in zip(part.image_size, part.network_size, strict=True))
    mean, std = part.mean, part.std
    part.__dict__["prepare"] = lambda images: (rows @ images @ columns.T - mean) / std


def _weights(given: int, wanted: int) -> Tensor:
    """(wanted, given): what each pixel of a side counts in each of the resized one."""
    identity = torch.eye(given)[None, None]
    return F.interpolate(identity, size=(wanted, given), mode="bilinear", antialias=True)[0, 0]
