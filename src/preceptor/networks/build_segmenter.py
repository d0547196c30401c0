"""segmentation-models-pytorch models from a specification: names, sizes, normalisation and weights settled."""

from dataclasses import replace
from typing import Any, cast

from torch import nn

from preceptor.errors import UserError
from preceptor.files import expand
from preceptor.hub import file_at_hand
from preceptor.networks.blueprint import IMAGENET_MEAN, Blueprint
from preceptor.networks.export import OWN_KEY
from preceptor.networks.hub import no_weights, require_hub
from preceptor.networks.libraries import smp, timm
from preceptor.networks.names import encoder_name, require_segmenter
from preceptor.networks.segmenter import Segmenter
from preceptor.networks.shapes_only import NothingDrawn, shapes_only
from preceptor.networks.weights import SavedWeights, read_config, read_weights, reason_of, weights_do_not_fit
from preceptor.specs import NetworkSpec

_OURS = ("encoder_name", "encoder_weights", "in_channels", "classes", "activation", "aux_params")
_HEADS = ("fc.", "classifier.", "head.", "last_linear.", "conv_head.", "bn2.", "norm_head.", "pre_logits.")

_TIMM_ENCODERS = (smp.encoders.TimmUniversalEncoder, smp.encoders.TimmViTEncoder)


def build_segmenter(blueprint: Blueprint) -> Segmenter:
    """Raises UserError as :func:`preceptor.networks.build.build_network` does."""
    spec = blueprint.spec
    require_segmenter(spec.architecture)
    _refuse_adapter(blueprint)
    encoder = encoder_name(spec.architecture, spec.encoder)
    if spec.weights == "imagenet" and (found := file_at_hand(_of_timm(encoder) or encoder)):
        spec = spec.model_copy(update={"weights": found})
    weights = (
        None
        if spec.weights in ("imagenet", "none")
        else read_weights(spec.weights, lambda: _names(spec, encoder), _of_timm(encoder))
    )
    if weights is not None:
        weights.require_plain()
        weights.require_classes(blueprint.classes)
        spec = _settle_normalisation(_settle_saved(spec, encoder, weights), encoder)
    blueprint = replace(blueprint, spec=spec.model_copy(update={"encoder": encoder}))
    if spec.weights == "imagenet":
        model = _with_imagenet(blueprint, encoder)
        blueprint = replace(blueprint, spec=_settle_normalisation(blueprint.spec, encoder))
    else:
        model = _create(blueprint, encoder_weights=None)
    _require_divisible(blueprint, model)
    if weights is not None:
        _load(model, blueprint, weights)
    network = _wrap(model, blueprint)
    network.has_new_head = weights is None or not _is_whole(weights)
    network.notes = weights.notes if weights else ()
    return network


def mean_of_segmenter(spec: NetworkSpec) -> tuple[float, ...]:
    """The mean by which such a segmenter normalises, known before it is built."""
    require_segmenter(spec.architecture)
    encoder = encoder_name(spec.architecture, spec.encoder)
    if spec.weights not in ("imagenet", "none") and (folder := expand(spec.weights)).is_dir():
        spec = spec.model_copy(update={"mean": spec.mean or read_config(folder).get(OWN_KEY, {}).get("mean")})
    if spec.weights != "none":
        spec = _settle_normalisation(spec, encoder)
    return spec.mean or IMAGENET_MEAN


def _names(spec: NetworkSpec, encoder: str) -> set[str]:
    """Names of a whole segmenter's tensors, and of its encoder's alone; none where it cannot be built."""
    try:
        with shapes_only():
            model: Any = smp.create_model(spec.architecture, encoder_name=encoder, encoder_weights=None, **spec.options)
    except Exception:  # whatever wrong options make a library raise, which is said when the network is built
        return set()
    return {*model.state_dict(), *_encoder_target(model.encoder).state_dict()}


def _of_timm(encoder: str) -> str | None:
    """timm's name of an encoder, where it is one of timm's."""
    return encoder.removeprefix("tu-") if encoder.startswith("tu-") else None


def _encoder_target(encoder: nn.Module) -> nn.Module:
    """What files of encoders are of: the library's model, where one is wrapped."""
    return cast(nn.Module, encoder.model) if isinstance(encoder, _TIMM_ENCODERS) else encoder


def _refuse_adapter(blueprint: Blueprint) -> None:
    if blueprint.adapter is not None:
        raise UserError(
            f"architecture {blueprint.spec.architecture!r}: a segmenter takes no inline adapter (of "
            f"{blueprint.adapter} channels).\nTeacher and students must agree in channels at the shared tap: give "
            "them the same `options: {decoder_channels: [256, 128, 64, 32, 16]}`, or share predictions only."
        )


def _settle_saved(spec: NetworkSpec, encoder: str, weights: SavedWeights) -> NetworkSpec:
    """Saved options and normalisation where the recipe gives none."""
    config = weights.config
    if not config:
        return spec
    saved = (str(config.get("_model_class")), str(config.get("encoder_name")))
    if (saved[0].lower(), saved[1]) != (spec.architecture.lower(), encoder):
        raise UserError(
            f"weights {weights.path!r}: saved from {saved[0]} with encoder {saved[1]}, not from "
            f"{spec.architecture} with encoder {encoder}"
        )
    options = {key: value for key, value in config.items() if key not in _OURS and not key.startswith("_")}
    mean, std = (tuple(weights.own[key]) if weights.own.get(key) else None for key in ("mean", "std"))
    return spec.model_copy(
        update={"options": {**options, **spec.options}, "mean": spec.mean or mean, "std": spec.std or std}
    )


def _settle_normalisation(spec: NetworkSpec, encoder: str) -> NetworkSpec:
    """What the encoder's ImageNet weights were trained with, unless that is settled; some count pixels to 255.

    Files say nothing of it: of timm's encoders timm knows, of the library's own only who fetches their weights.
    """
    if spec.weights != "imagenet" and _of_timm(encoder) is None:
        return spec
    found = smp.encoders.get_preprocessing_params(encoder)
    top = max(found["input_range"])
    mean, std = (tuple(value / top for value in found[key]) for key in ("mean", "std"))
    return spec.model_copy(update={"mean": spec.mean or mean, "std": spec.std or std})


def _with_imagenet(blueprint: Blueprint, encoder: str) -> nn.Module:
    """A pretrained encoder, a new decoder."""
    if encoder.startswith("tu-"):
        name, _, tag = encoder.removeprefix("tu-").partition(".")
        repository, revision = timm.models.resolve_pretrained_cfg(name, pretrained_cfg=tag or None).hf_hub_id, None
        encoder_weights: str | bool = True
    else:
        known = smp.encoders.encoders[encoder]["pretrained_settings"]
        encoder_weights = "imagenet"
        if encoder_weights not in known:
            raise no_weights(encoder, f"there are only {', '.join(known)}")
        repository, revision = known[encoder_weights]["repo_id"], known[encoder_weights]["revision"]
    if repository:
        require_hub(encoder, repository, revision)
    try:
        return _create(blueprint, encoder_weights=encoder_weights)
    except UserError:
        raise
    except Exception as error:  # the hub's client raises what its transport raises
        raise no_weights(encoder, reason_of(error)) from error


def _create(blueprint: Blueprint, encoder_weights: str | bool | None) -> nn.Module:
    spec = blueprint.spec
    for key in _OURS:
        if key in spec.options:
            raise UserError(f"options of {spec.architecture!r}: {key!r} is set by preceptor; leave it out")
    try:
        with NothingDrawn():  # smp makes encoders of timm twice, once without numbers
            return cast(
                nn.Module,
                smp.create_model(
                    spec.architecture,
                    encoder_name=spec.encoder,
                    encoder_weights=encoder_weights,
                    in_channels=blueprint.channels,
                    classes=blueprint.logit_channels,
                    **spec.options,
                ),
            )
    except (TypeError, ValueError, AssertionError, KeyError) as error:
        raise UserError(
            f"architecture {spec.architecture!r} with encoder {spec.encoder!r} cannot be built with options "
            f"{spec.options}: {reason_of(error)}"
        ) from error


def _require_divisible(blueprint: Blueprint, model: nn.Module) -> None:
    """Decoders double sizes step by step, so each side must be a multiple of the encoder's total stride."""
    stride = cast(Any, model.encoder).output_stride
    size = blueprint.network_size
    if all(side % stride == 0 for side in size):
        return
    below, above = (tuple(max(stride, (side + up) // stride * stride) for side in size) for up in (0, stride - 1))
    works = dict.fromkeys(f"{height}×{width}" for height, width in (below, above))
    raise UserError(
        f"architecture {blueprint.spec.architecture!r} with encoder {blueprint.spec.encoder!r} cannot take images of "
        f"{size[0]}×{size[1]} px: both sides must be multiples of {stride}.\n"
        f"Set data.image_size to {' or '.join(works)}, or the network's `input_size` to such a number."
    )


def _load(model: nn.Module, blueprint: Blueprint, weights: SavedWeights) -> None:
    """A whole segmenter, or an encoder alone as timm and torchvision save it."""
    architecture = f"{blueprint.spec.architecture} with encoder {blueprint.spec.encoder}"
    if not _is_whole(weights):
        _load_encoder(cast(nn.Module, model.encoder), weights, architecture)
        return
    head = weights.state.get("segmentation_head.0.weight")
    if head is not None and head.shape[0] != blueprint.logit_channels:
        raise UserError(
            f"weights {weights.path!r}: their head has {head.shape[0]} channels, {len(blueprint.classes)} classes "
            f"({', '.join(blueprint.classes)}) need {blueprint.logit_channels}"
        )
    try:
        model.load_state_dict(dict(weights.state))
    except RuntimeError as error:
        raise weights_do_not_fit(weights, architecture, error) from error


def _load_encoder(encoder: nn.Module, weights: SavedWeights, architecture: str) -> None:
    target = _encoder_target(encoder)
    wanted = target.state_dict()
    fitting = {name: tensor for name, tensor in weights.state.items() if name in wanted}
    missing = [name for name in wanted if name not in fitting]
    strange = [name for name in weights.state if name not in wanted and not name.startswith(_HEADS)]
    if missing or strange:
        reason = f"missing: {', '.join(missing[:4]) or 'none'}; unknown: {', '.join(strange[:4]) or 'none'}"
        raise weights_do_not_fit(weights, architecture, RuntimeError(reason))
    try:
        target.load_state_dict(fitting)
    except RuntimeError as error:
        raise weights_do_not_fit(weights, architecture, error) from error


def _wrap(model: nn.Module, blueprint: Blueprint) -> Segmenter:
    spec = blueprint.spec
    try:
        settled = spec.model_copy(update={"weights": "none", "mean": blueprint.mean, "std": blueprint.std})
        return Segmenter(model, replace(blueprint, spec=settled))
    except (RuntimeError, AssertionError, ValueError) as error:
        height, width = blueprint.network_size
        raise UserError(
            f"architecture {spec.architecture!r} with encoder {spec.encoder!r} cannot take images of "
            f"{height}×{width} px: {reason_of(error)}.\nSet the network's `input_size`, or data.image_size."
        ) from error


def _is_whole(weights: SavedWeights) -> bool:
    return any(name.startswith("segmentation_head.") for name in weights.state)
