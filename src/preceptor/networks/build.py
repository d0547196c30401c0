"""From a specification to a network, the same for the same seed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from preceptor.errors import DamagedFileError, UserError
from preceptor.inside import inside
from preceptor.networks.blueprint import Blueprint
from preceptor.networks.export import CONFIG, OWN_KEY
from preceptor.networks.network import Network
from preceptor.networks.preset import Pooling
from preceptor.networks.presets import preset_of
from preceptor.networks.verify import REMEDY
from preceptor.networks.weights import read_config
from preceptor.own_code import is_code, is_own
from preceptor.sealed import file_sha256
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
    pooling: Pooling | None = None,
) -> Network:
    """A network for these classes and images, with its weights.

    A foundation model of the table sees whole images, also where the task is one of masks: its features can be shared.

    Args:
        classes: names by label; the background first for masks. None make a network that ends in its embedding.
        image_size: (height, width) of the images that it will see.
        seed: whatever starts at random depends on it alone; torch's global generator is left as it was.
        channels: of the images.
        pooling: of a foundation model that was saved under timm's name: what its embedding is made of.
        adapter: channels of a teacher-side adapter (methods of Niyaz et al., classifiers only).

    Raises:
        UserError: unknown architecture, weights that cannot be had or do not fit, images of a wrong size.
    """
    if len(classes) == 1 or (not classes and task == "segmentation"):
        raise UserError(f"a network needs at least 2 classes, the data has {len(classes)}: {', '.join(classes)}")
    blueprint = Blueprint(
        spec=spec,
        task=task,
        classes=tuple(classes),
        image_size=image_size,
        adapter=adapter,
        channels=channels,
        pooling=pooling,
    )
    with seeded(seed):
        if is_code(spec.architecture):
            from preceptor.networks.build_own import build_own

            return build_own(blueprint)
        if task == "segmentation" and not preset_of(spec.architecture):
            from preceptor.networks.build_segmenter import build_segmenter

            return build_segmenter(blueprint)
        from preceptor.networks.build_classifier import build_classifier

        return build_classifier(blueprint)


def mean_of(spec: NetworkSpec, task: Task) -> tuple[float, ...]:
    """The mean of each channel, for pixels in [0, 1], of the network that ``spec`` will become.

    Raises:
        UserError: unknown architecture, or a saved network that cannot be read.
    """
    if is_code(spec.architecture):
        from preceptor.networks.build_own import mean_of_own

        return mean_of_own(spec)
    if task == "segmentation" and not preset_of(spec.architecture):
        from preceptor.networks.build_segmenter import mean_of_segmenter

        return mean_of_segmenter(spec)
    from preceptor.networks.build_classifier import mean_of_classifier

    return mean_of_classifier(spec)


def load_plain_network(folder: Path | str, *, trust: bool = False) -> Network:
    """A network that stands on no other, as :meth:`Network.save` wrote it, in eval mode.

    Adapters and replaced heads are there. :func:`preceptor.composed.load_network` loads every kind.

    Its ``notes`` say so where the folder is older than checksums and could not be verified.

    Args:
        trust: run the Python code by which a network of somebody's own was made.

    Raises:
        UserError: not a folder that preceptor wrote, or one whose code is not trusted.
        DamagedFileError: one that is not what was written.
    """
    folder = Path(folder)
    own = read_config(folder).get(OWN_KEY)
    if own is None:
        raise UserError(
            f"{folder}: was not saved by preceptor. Use it as `architecture: local-dir:{folder}`, "
            f"or as `weights: {folder}` of its architecture."
        )
    blueprint = Blueprint.from_json(own)
    spec = blueprint.spec.model_copy(update={"weights": str(folder)})
    if is_code(spec.architecture):
        spec = spec.model_copy(update={"architecture": _code_in(folder, blueprint, trust=trust)})
    network = build_network(
        spec,
        task=blueprint.task,
        classes=blueprint.classes,
        image_size=blueprint.image_size,
        seed=0,
        adapter=blueprint.adapter,
        channels=blueprint.channels,
        pooling=blueprint.pooling,
    )
    return network.eval()


def _code_in(folder: Path, blueprint: Blueprint, *, trust: bool) -> str:
    """The name by which the code of a saved network is run: of the file beside it, where it came from one."""
    name = blueprint.spec.architecture
    is_file = is_own(name)
    file = inside(folder, name.rpartition(":")[0], said_by=folder / CONFIG) if is_file else Path(name)
    if not trust:
        raise UserError(
            f"{folder}: the network was made by Python code, {file if is_file else name}, which is run only where you "
            "trust it.\nRead it, and give --trust (in Python: trust=True) if you would run it yourself."
        )
    if is_file and (not file.is_file() or file_sha256(file) != blueprint.code_sha256):
        raise DamagedFileError(file, "is missing, or is not the file by which the network was made", REMEDY)
    return f"{file}:{name.rpartition(':')[2]}" if is_file else name


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Networks are made on the CPU, so its generator is the only one to seed, and to put back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
