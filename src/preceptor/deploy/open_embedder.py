"""Which network makes embeddings: of a run, of a recipe, or by name."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.data.prepare import Prepared, padding_of, prepare
from preceptor.data.samples import Pixels
from preceptor.deploy.contract import Contract
from preceptor.deploy.embedder import Embedder, Training
from preceptor.deploy.held_out import spread_evenly
from preceptor.deploy.wanted import Wanted
from preceptor.errors import UserError
from preceptor.networks.presets import preset_of
from preceptor.plan.cast import TEACHER
from preceptor.plan.network import NetworkUse
from preceptor.recipe import Recipe, load_recipe
from preceptor.specs import NetworkSpec

if TYPE_CHECKING:
    from preceptor.networks.network import Network

_SAMPLE = 256  # images of training on which axes are fitted


def open_embedder(wanted: Wanted, *, note: Callable[[str], object] = lambda note: None) -> Embedder:
    """What makes the embeddings that are wanted.

    Raises:
        UserError: no such run, recipe or network, or one without embedding.
    """
    path = Path(wanted.source)
    if path.suffix in (".yaml", ".yml"):
        return _of_recipe(path, wanted, note)
    if path.is_dir():
        from preceptor.deploy.space import space_of
        from preceptor.deploy.student import open_student

        student = open_student(path, note=note, answers=False)
        asked = wanted.as_trained(student.run.recipe.training)
        space = space_of(student, wanted.space) if wanted.space else None
        return Embedder(student.network, student.contract, asked, lambda: _sample(student.run.data()), space)
    if path.exists() or len(path.parts) > 1:
        raise UserError(f"{wanted.source} is no finished run, no recipe (.yaml) and no name of a network")
    return _by_name(wanted, note)


def _of_recipe(path: Path, wanted: Wanted, note: Callable[[str], object]) -> Embedder:
    """The network as it is when the recipe's training begins, from the same weights or random numbers."""
    from preceptor.cohort.instantiate import Workshop

    recipe, _ = load_recipe(path)
    contract = contract_of(recipe)
    workshop = Workshop(
        task=recipe.task,
        classes=contract.classes,
        image_size=contract.image_size,
        channels=contract.reading.channels,
        seed=recipe.seed,
    )
    network = workshop.network(_use_in(recipe, path, wanted))
    return _made(network, contract, wanted.as_trained(recipe.training), note, lambda: _sample(prepare(recipe)))


def _sample(prepared: Prepared) -> Pixels:
    """Images of training, evenly spread, as they are packed."""
    return prepared.packed.read(spread_evenly(prepared.every("train"), _SAMPLE))[0]


def _use_in(recipe: Recipe, path: Path, wanted: Wanted) -> NetworkUse:
    """The network that is meant, where it is as it will be asked."""
    members = [pair for stage in recipe.plan().stages for pair in stage.members.items()]
    known = {name: member for name, member in members if isinstance(member.network, NetworkUse)}
    name = TEACHER if wanted.network == "teacher" else wanted.network
    if name not in known:
        raise UserError(f"{path} has no network {wanted.network!r}; it has {', '.join(known)} (--network)")
    if not known[name].trains and known[name].starts:
        raise UserError(
            f"{path}: {name} is trained by the recipe before it teaches; train it, and embed by RUN/networks/{name}"
        )
    use = known[name].network
    assert isinstance(use, NetworkUse), "those alone are known"
    return use


def contract_of(recipe: Recipe) -> Contract:
    """From an image file to what the recipe's networks are called with, to the bit as in its training.

    Raises:
        UserError: its levels are drawn from all its images.
    """
    from preceptor.data.sources import open_source, rules_of_files

    data = recipe.data
    reading = rules_of_files(data.source, data.options, data)
    if reading.percentiles is not None:
        raise UserError(
            f"data.options.percentiles {list(reading.percentiles)} are of all images of the recipe together; embed by "
            "a finished run, which knows what they came to, or give data.options.range"
        )
    return Contract(
        task=recipe.task,
        classes=open_source(data.source, data.path, data.options, data).classes,
        image_size=data.size,
        resize=data.resize,
        fill=padding_of(recipe),
        tile=data.tile,
        reading=reading,
    )


def _by_name(wanted: Wanted, note: Callable[[str], object]) -> Embedder:
    """A network by timm's name, or a foundation model's, with its weights, at its own size."""
    from preceptor.networks.build import build_network
    from preceptor.networks.prefix import require_prefix

    spec = NetworkSpec(architecture=wanted.source)
    preset = preset_of(spec.architecture)
    size = preset.size if preset else _own_size(wanted.source)
    contract = Contract(task="classification", classes=("a", "b"), image_size=(size, size))  # of a head nobody asks
    network = build_network(
        spec, task=contract.task, classes=contract.classes, image_size=contract.image_size, seed=0, channels=3
    )
    if preset is not None:
        require_prefix(network, preset.prefix_tokens)
    return _made(network, contract, wanted, note)


def _own_size(architecture: str) -> int:
    from preceptor.networks.libraries import timm

    if not timm.is_model(architecture):
        raise UserError(
            f"{architecture!r} is no run, no recipe and no network that is known by this name; "
            "`preceptor teachers` lists foundation models, timm.list_models() the others"
        )
    found = timm.get_pretrained_cfg(architecture)
    return int(found.input_size[-1]) if found else 224


def _made(
    network: "Network",
    contract: Contract,
    wanted: Wanted,
    note: Callable[[str], object],
    training: Training | None = None,
) -> Embedder:
    for line in network.notes:
        note(line)
    return Embedder(network, contract, wanted, training)
