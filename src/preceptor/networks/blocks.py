"""A classifier as a chain of blocks, cut after each of its stages."""

from collections.abc import Sequence
from inspect import signature

import torch
import torch.nn.functional as F
from torch import fx, nn

from preceptor.errors import UserError
from preceptor.networks.classifier import Classifier
from preceptor.networks.network import Network


def blocks_of(network: Network) -> list[nn.Sequential]:
    """The blocks of which ``network`` is the chain; they share its modules.

    Block i takes the map of stage i - 1 (the first the prepared images) to that of stage i; the last block is what
    is left, from the last stage's map to the logits: pooling and classifier, and whatever the model has before them.

    Raises:
        UserError: no classifier in stages, or one in which a block needs more than the map before it.
    """
    if not isinstance(network, Classifier):
        raise UserError("grafting: its last block is a classifier, so it is for classification only")
    name = network.blueprint.spec.architecture
    if network.adapter is not None or network.head is not None:
        what = "an adapter" if network.adapter is not None else "a head of another method"
        raise UserError(
            f"grafting: {name} has {what} before its logits, which is no block of its own.\n"
            "Give one trained without (technique.adapter=never)."
        )
    model: nn.Module = network.model
    cuts = [network.model.feature_info[index]["module"] for index in network.stages.values()]
    chain = _chain(model, cuts, name)
    names = [part for part, _ in chain]
    if set(cuts) - set(names):
        raise _unfit(name, "its stages do not follow one another")
    ends = [names.index(cut) + 1 for cut in cuts]
    parts = [chain[start:end] for start, end in zip([0, *ends], [*ends, len(chain)], strict=True)]
    blocks = [_sequential(part) for part in parts]
    _check(network, blocks)
    return blocks


class _UpTo(fx.Tracer):
    """Looks into a module only where a cut lies inside it."""

    def __init__(self, cuts: Sequence[str]) -> None:
        super().__init__()
        self._cuts = cuts

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether ``m`` is taken as a whole."""
        return not any(cut.startswith(f"{module_qualified_name}.") for cut in self._cuts)


def _chain(model: nn.Module, cuts: Sequence[str], name: str) -> list[tuple[str, nn.Module]]:
    """The modules that ``model`` applies one to another's output, by their names."""
    try:
        nodes = list(_UpTo(cuts).trace(model).nodes)
    except Exception as error:  # tracing runs the model's own code, which may raise anything
        raise _unfit(name, "its order of computation cannot be read") from error
    first, *inner, last = nodes
    found: list[tuple[str, nn.Module]] = []
    for before, node in zip([first, *inner], [*inner, last], strict=True):
        if node.all_input_nodes != [before]:
            raise _unfit(name, "a block needs more than the map before it")
        if node.op == "call_module":
            found.append((str(node.target), model.get_submodule(str(node.target))))
        elif node.op == "call_function" and node.target is F.dropout:
            # Tracing fixes whether it drops; a module drops in training only.
            given = signature(F.dropout).bind(*node.args, **node.kwargs).arguments
            found.append((node.name, nn.Dropout(given.get("p", 0.5))))
        elif node.op != "output":
            raise _unfit(name, "it computes something between its modules")
    return found


def _sequential(parts: Sequence[tuple[str, nn.Module]]) -> nn.Sequential:
    block = nn.Sequential()
    for name, part in parts:
        block.add_module(name.replace(".", "_"), part)
    return block


@torch.no_grad()
def _check(network: Classifier, blocks: Sequence[nn.Module]) -> None:
    """What comes out between the blocks, and of the last, is what the network's taps give, to the bit."""
    seen = network.glance()
    training = network.training
    network.eval()
    x = network.prepare(network.made_up_image())
    expected = [*(seen.maps[stage] for stage in network.stages), seen.logits]
    for block, tensor in zip(blocks, expected, strict=True):
        block.eval()
        x = block(x)
        if not torch.equal(x, tensor):
            raise _unfit(network.blueprint.spec.architecture, "its stages, one after another, say something else")
    network.train(training)
    for block in blocks:
        block.train(training)


def _unfit(name: str, why: str) -> UserError:
    return UserError(
        f"grafting: architecture {name!r} is no chain of blocks: {why}.\n"
        "Choose a convolutional network of stages, such as a ResNet, a MobileNet or a MixNet."
    )
