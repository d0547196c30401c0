"""From a specification to a network, the same for the same seed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from preceptor.errors import UserError
from preceptor.networks.blueprint import Blueprint
from preceptor.networks.export import OWN_KEY
from preceptor.networks.network import Network
from preceptor.networks.weights import read_config, read_weights
from preceptor.specs import NetworkSpec, Task


def build_network(
    spec: NetworkSpec,
    *,
    task: Task,
    classes: Sequence[str],
    image_size: tuple[int, int],
    seed: int,
    adapter: int | None = None,
    channels: int = 3,
) -> Network:
    """A network for these classes and images, with its weights.

    Args:
        classes: names by label; the background first for masks.
        image_size: (height, width) of the images that it will see.
        seed: whatever starts at random depends on it alone; torch's global generator is left as it was.
        channels: of the images.
        adapter: channels of a teacher-side adapter (methods of Niyaz et al., classifiers only).

    Raises:
        UserError: unknown architecture, weights that cannot be had or do not fit, images of a wrong size.
    """
    if len(classes) < 2:
        raise UserError(f"a network needs at least 2 classes, the data has {len(classes)}: {', '.join(classes)}")
    blueprint = Blueprint(
        spec=spec, task=task, classes=tuple(classes), image_size=image_size, adapter=adapter, channels=channels
    )
    with seeded(seed):
        if task == "segmentation":
            from preceptor.networks.build_segmenter import build_segmenter

            return build_segmenter(blueprint)
        from preceptor.networks.build_classifier import build_classifier

        return build_classifier(blueprint)


def load_network(folder: Path | str) -> Network:
    """The network that :meth:`Network.save` wrote, adapters and replaced heads included, in eval mode.

    Its ``notes`` say so where the folder is older than checksums and could not be verified.

    Raises:
        UserError: not a folder that preceptor wrote.
        DamagedFileError: one that is not what was written.
    """
    own = read_config(Path(folder)).get(OWN_KEY)
    if own is None:
        raise UserError(
            f"{folder}: was not saved by preceptor. Use it as `architecture: local-dir:{folder}`, "
            f"or as `weights: {folder}` of its architecture."
        )
    blueprint = Blueprint.from_json(own)
    if own.get("chain"):
        return _load_chain(blueprint, Path(folder))
    network = build_network(
        blueprint.spec.model_copy(update={"weights": str(folder)}),
        task=blueprint.task,
        classes=blueprint.classes,
        image_size=blueprint.image_size,
        seed=0,
        adapter=blueprint.adapter,
        channels=blueprint.channels,
    )
    return network.eval()


def _load_chain(blueprint: Blueprint, folder: Path) -> Network:
    from preceptor.networks.grafted import Chain

    student = build_network(
        blueprint.spec.model_copy(update={"weights": "none"}),
        task=blueprint.task,
        classes=blueprint.classes,
        image_size=blueprint.image_size,
        seed=0,
        channels=blueprint.channels,
    )
    chain = Chain.unfilled(student)
    weights = read_weights(str(folder))
    chain.load_state_dict(weights.state)
    chain.notes = weights.notes
    return chain.eval()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Networks are made on the CPU, so its generator is the only one to seed, and to put back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
