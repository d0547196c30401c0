"""Networks of a user's own: a class or function in a file of theirs, or in an installed module."""

import inspect
from dataclasses import replace

from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.files import expand
from preceptor.networks.blueprint import IMAGENET_MEAN, Blueprint
from preceptor.networks.export import OWN_KEY
from preceptor.networks.weights import SavedWeights, read_config, read_weights, reason_of, weights_do_not_fit
from preceptor.networks.wrap import Wrapped
from preceptor.own_code import OwnCode, load_code
from preceptor.refusals import refusal
from preceptor.specs import NetworkSpec

_OUTPUTS = "num_classes"
_PREFIXES = ("", "model.", "module.")
"""What reading weights takes for somebody's wrapper, and may be the network's own name of a part."""


def build_own(blueprint: Blueprint) -> Wrapped:
    """Raises UserError as :func:`preceptor.networks.build.build_network` does."""
    spec = blueprint.spec
    if blueprint.adapter is not None:
        raise UserError(
            f"architecture {spec.architecture!r} is your own, and no convolution (of {blueprint.adapter} channels) can "
            "be put inside it.\nGive it the width of the students at its last tap, share predictions only "
            "(technique.strategy=predictions), or say technique.adapter=never."
        )
    weights = None if spec.weights == "none" else read_weights(spec.weights)
    if weights is not None:
        weights.require_plain()
        weights.require_classes(blueprint.classes)
        spec = _settle_saved(spec, weights)
    code = load_code(spec.architecture, "architecture")
    settled = spec.model_copy(
        update={"weights": "none", "mean": spec.mean or blueprint.mean, "std": spec.std or blueprint.std}
    )
    blueprint = replace(blueprint, spec=settled, code_sha256=code.sha256)
    module = _made(code, blueprint)
    try:
        network = Wrapped(module, spec.taps, blueprint=blueprint, code=code)
    except UserError:
        raise
    except Exception as error:  # the user's own code may raise anything
        height, width = blueprint.network_size
        raise UserError(
            f"architecture {spec.architecture!r} cannot take images of {height}×{width} px: "
            f"{refusal(error) or reason_of(error)}"
        ) from error
    _require_logits(network, blueprint)
    network.has_new_head = weights is None or _load(network, weights)
    network.notes = weights.notes if weights else ()
    return network


def mean_of_own(spec: NetworkSpec) -> tuple[float, ...]:
    """The mean by which such a network normalises, known before it is built."""
    if spec.weights != "none" and (folder := expand(spec.weights)).is_dir():
        spec = spec.model_copy(update={"mean": spec.mean or read_config(folder).get(OWN_KEY, {}).get("mean")})
    return spec.mean or IMAGENET_MEAN


def _settle_saved(spec: NetworkSpec, weights: SavedWeights) -> NetworkSpec:
    """Saved normalisation where the recipe gives none."""
    mean, std = (tuple(weights.own[key]) if weights.own.get(key) else None for key in ("mean", "std"))
    return spec.model_copy(update={"mean": spec.mean or mean, "std": spec.std or std})


def _made(code: OwnCode, blueprint: Blueprint) -> nn.Module:
    spec, options = blueprint.spec, dict(blueprint.spec.options)
    if _takes_outputs(code):
        options[_OUTPUTS] = blueprint.logit_channels
    try:
        module = code.target(**options)
    except Exception as error:  # the user's own code may raise anything
        raise UserError(
            f"architecture {code.name!r} cannot be made with options {spec.options}: "
            f"{refusal(error) or f'{type(error).__name__}: {reason_of(error)}'}"
        ) from error
    if not isinstance(module, nn.Module):
        raise UserError(f"architecture {code.name!r} makes {type(module).__name__}; a torch.nn.Module was wanted")
    return module


def _takes_outputs(code: OwnCode) -> bool:
    try:
        parameters = inspect.signature(code.target).parameters.values()
    except ValueError:  # built in
        return False
    return any(one.name == _OUTPUTS or one.kind is one.VAR_KEYWORD for one in parameters)


def _require_logits(network: Wrapped, blueprint: Blueprint) -> None:
    """Refuse answers to another question than the data's."""
    shape, wanted = network.shapes["logits"], blueprint.logit_channels
    is_masks = blueprint.task == "segmentation"
    if shape[0] == wanted and len(shape) == (3 if is_masks else 1):
        return
    came = ("N", *map(str, shape))
    form = f"(N, {wanted}, height, width)" if is_masks else f"(N, {wanted})"
    raise UserError(
        f"architecture {blueprint.spec.architecture!r}: its logits have the shape ({', '.join(came)}), "
        f"{form} was wanted for {len(blueprint.classes)} classes ({', '.join(blueprint.classes)}).\n"
        f"preceptor tells the number by the parameter `{_OUTPUTS}`; let your class or function take it."
    )


def _load(network: Wrapped, weights: SavedWeights) -> bool:
    """Take over weights; whether the head alone did not fit, and stays as it was made."""
    wanted = network.module.state_dict()
    state = _named_alike(weights, wanted)
    others = {name for name, tensor in state.items() if name in wanted and tensor.shape != wanted[name].shape}
    is_other_head = network.head is not None and others == {
        name for name in wanted if name.startswith(f"{network.head}.")
    }
    if is_other_head and weights.classes is None:
        state = {name: wanted[name] if name in others else tensor for name, tensor in state.items()}
    try:
        network.module.load_state_dict(state)
    except RuntimeError as error:
        raise weights_do_not_fit(weights, network.called, error) from error
    return is_other_head


def _named_alike(weights: SavedWeights, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        named = {f"{prefix}{name}": tensor for name, tensor in weights.state.items()}
        if named.keys() == wanted.keys():
            return named
    return dict(weights.state)
