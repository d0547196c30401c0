"""timm models from a specification: names, options, normalisation and weights settled."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from torch import nn

from preceptor.errors import UserError
from preceptor.files import expand
from preceptor.hub import file_at_hand
from preceptor.networks import heads
from preceptor.networks.blueprint import Blueprint
from preceptor.networks.classifier import Classifier
from preceptor.networks.export import OWN_KEY
from preceptor.networks.foundation import fetched, layer_classes, settle_preset, shapes_of, told_by
from preceptor.networks.hub import no_weights, require_hub
from preceptor.networks.libraries import timm
from preceptor.networks.names import require_classifier
from preceptor.networks.normalisation import in_channels
from preceptor.networks.presets import Preset, preset_of
from preceptor.networks.weights import (
    SavedWeights,
    read_config,
    read_weights,
    reason_of,
    refuse_built,
    weights_do_not_fit,
)
from preceptor.specs import HUB, LOCAL, NetworkSpec

_OURS = (
    "num_classes",
    "in_chans",
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "checkpoint_path",
    "features_only",
    "global_pool",
)
_PRETRAINING_CLASSES = 1000  # heads with at least so many outputs are ImageNet's; only the features are wanted


def build_classifier(blueprint: Blueprint) -> Classifier:
    """Raises UserError as :func:`preceptor.networks.build.build_network` does."""
    hub = blueprint.spec.architecture if blueprint.spec.architecture.startswith(HUB) else None
    preset = preset_of(blueprint.spec.architecture)
    spec = _settle_name(blueprint.spec)
    require_classifier(spec.architecture)
    if spec.weights == "imagenet" and hub is None:
        found = fetched(preset) if preset is not None else file_at_hand(spec.architecture)
        spec = spec.model_copy(update={"weights": found or "imagenet"})
    weights = None if spec.weights in ("imagenet", "none") else _read(spec, preset)
    adapter = blueprint.adapter
    if weights is not None:
        weights.require_plain()
        weights.require_classes(blueprint.classes)
        spec = told_by(weights, spec if preset else _settle_saved(spec, weights.config), preset)
        adapter = _settle_adapter(adapter, weights)
    pooling = preset.pooling if preset else blueprint.pooling
    blueprint = replace(blueprint, spec=spec, adapter=adapter, pooling=pooling)
    blueprint = replace(blueprint, spec=spec.model_copy(update={"options": _options(blueprint)}))
    if weights is not None and (weights.adapter or weights.own.get("head")):
        network = _whole(blueprint, weights)
        network.notes = weights.notes
        return network
    if weights is not None:
        model, has_new_head = _from_file(blueprint, weights)
    elif spec.weights == "imagenet":
        model, has_new_head = _from_hub(blueprint, hub)
    else:
        model, has_new_head = _create(blueprint, num_classes=len(blueprint.classes)), True
    network = _wrap(model, blueprint)
    network.has_new_head = has_new_head or adapter is not None
    network.notes = weights.notes if weights else ()
    return network


def mean_of_classifier(spec: NetworkSpec) -> tuple[float, ...]:
    """The mean by which such a classifier normalises, known before it is built."""
    spec = _settle_name(spec)
    require_classifier(spec.architecture)
    if spec.weights not in ("imagenet", "none") and (folder := expand(spec.weights)).is_dir():
        spec = _settle_saved(spec, read_config(folder))
    return spec.mean or tuple(_library_config(spec.architecture)["mean"])


def _settle_name(spec: NetworkSpec) -> NetworkSpec:
    """A plain timm name for a foundation model, ``local-dir:`` and ``hf-hub:``, with its options and normalisation."""
    if spec.architecture.startswith(LOCAL):
        folder = spec.architecture.removeprefix(LOCAL)
        config = read_config(Path(folder).expanduser())
        refuse_built(folder, config.get(OWN_KEY, {}))
        name = {"architecture": _architecture_in(config, folder)}
        weights = {"weights": folder} if spec.weights == "imagenet" else {}
        return _settle_saved(spec.model_copy(update=name | weights), config)
    if spec.architecture.startswith(HUB):
        repository, _, revision = spec.architecture.removeprefix(HUB).partition("@")
        require_hub(spec.architecture, repository, revision or None, files=("config.json",))
        try:
            cfg, architecture, options = timm.models.load_model_config_from_hf(spec.architecture.removeprefix(HUB))
        except Exception as error:  # the hub's client raises what its transport raises
            raise no_weights(spec.architecture, reason_of(error)) from error
        config = {"architecture": architecture, "model_args": options, "pretrained_cfg": cfg}
        return _settle_saved(spec.model_copy(update={"architecture": architecture}), config)
    return settle_preset(spec)


def _settle_saved(spec: NetworkSpec, config: Mapping[str, Any]) -> NetworkSpec:
    """Saved options and normalisation where the recipe gives none; the input size is the recipe's own."""
    if not config:
        return spec
    saved = _architecture_in(config, spec.weights)
    if saved.partition(".")[0] != spec.architecture.partition(".")[0]:
        raise UserError(
            f"weights {spec.weights!r}: saved from architecture {saved!r}, not {spec.architecture!r}; "
            f"write `architecture: {saved}`"
        )
    options = {key: value for key, value in config.get("model_args", {}).items() if key not in (*_OURS, "img_size")}
    cfg = config.get("pretrained_cfg", {})
    mean, std = (tuple(cfg[key]) if cfg.get(key) else None for key in ("mean", "std"))
    return spec.model_copy(
        update={"options": {**options, **spec.options}, "mean": spec.mean or mean, "std": spec.std or std}
    )


def _settle_adapter(wanted: int | None, weights: SavedWeights) -> int | None:
    """The adapter that the weights hold; one that they lack may be new only where nothing was trained on it."""
    if wanted is None or wanted == weights.adapter:
        return weights.adapter
    if weights.adapter is None and weights.classes is None:
        return wanted
    held = "no teacher-side adapter" if weights.adapter is None else f"an adapter of {weights.adapter} channels"
    raise UserError(
        f"weights {weights.path!r}: hold {held}, this run wants one of {wanted} channels, trained with the teacher.\n"
        "Let this run train its teacher, give a teacher trained with that adapter, or share predictions only "
        "(technique.strategy=predictions)."
    )


def _options(blueprint: Blueprint) -> dict[str, Any]:
    """The recipe's options, and the image size for architectures that are built for one size."""
    spec = blueprint.spec
    for key in _OURS:
        if key in spec.options:
            raise UserError(f"options of {spec.architecture!r}: {key!r} is set by preceptor; leave it out")
    if spec.options.get("patch_drop_rate"):
        raise UserError(
            f"options of {spec.architecture!r}: patch_drop_rate leaves out tokens, so that maps lose their grid and "
            "cannot be compared; use drop_rate or drop_path_rate"
        )
    cfg = _library_config(spec.architecture)
    size = blueprint.network_size
    if "img_size" in spec.options or not cfg.get("fixed_input_size") or tuple(cfg["input_size"][1:]) == size:
        return spec.options
    return {**spec.options, "img_size": list(size)}


def _from_file(blueprint: Blueprint, weights: SavedWeights) -> tuple[nn.Module, bool]:
    """Through timm, which renames what older files call otherwise and resamples position embeddings."""
    classes = len(blueprint.classes)
    outputs = _outputs_in(weights, _library_config(blueprint.spec.architecture).get("classifier"))
    if classes and outputs not in (0, classes) and outputs < _PRETRAINING_CLASSES:
        raise UserError(
            f"weights {weights.path!r}: their head has {outputs} outputs, the data has {classes} classes "
            f"({', '.join(blueprint.classes)}).\nGive weights trained on these classes, or `weights: imagenet`."
        )
    overlay = {
        "state_dict": weights.state,
        "num_classes": outputs,
        "label_offset": 0,
        "custom_load": False,
        "source": "",
        **_first_convolution(blueprint, weights),
    }
    try:
        model: Any = _create(blueprint, pretrained=True, num_classes=outputs, pretrained_cfg_overlay=overlay)
    except RuntimeError as error:
        raise weights_do_not_fit(weights, blueprint.spec.architecture, error) from error
    model.pretrained_cfg.pop("state_dict")
    if outputs != classes:
        model.reset_classifier(classes)
    return model, outputs != classes


def _first_convolution(blueprint: Blueprint, weights: SavedWeights) -> dict[str, None]:
    """What keeps timm from adapting a first convolution that takes as many channels as are wanted already.

    Raises:
        UserError: it takes another number of channels, and not three, which timm can adapt.
    """
    name = _library_config(blueprint.spec.architecture).get("first_conv")
    weight = weights.state.get(f"{name}.weight") if isinstance(name, str) else None
    taken = 3 if weight is None else weight.shape[1]
    if taken == blueprint.channels != 3:
        return {"first_conv": None}
    if taken != 3:
        raise UserError(
            f"weights {weights.path!r}: they take images of {taken} channels, these have {blueprint.channels}; "
            f"set data.channels={taken}, or give weights of 3 channels, which are adapted"
        )
    return {}


def _from_hub(blueprint: Blueprint, hub: str | None) -> tuple[nn.Module, bool]:
    """ImageNet's features with a new head, or everything where the hub's classes are the data's."""
    name = hub or blueprint.spec.architecture
    repository = hub.removeprefix(HUB) if hub else _library_config(name).get("hf_hub_id")
    if repository:
        plain, _, revision = repository.partition("@")
        require_hub(name, plain, revision or None)
    try:
        model: Any = _create(blueprint, name=name, pretrained=True)
    except UserError:
        raise
    except Exception as error:  # the hub's client raises what its transport raises
        raise no_weights(name, reason_of(error)) from error
    if tuple(model.pretrained_cfg.get("label_names") or ()) == blueprint.classes:
        return model, False
    model.reset_classifier(len(blueprint.classes))
    return model, True


def _read(spec: NetworkSpec, preset: Preset | None) -> SavedWeights:
    published = preset.file if preset else None
    return read_weights(spec.weights, lambda: set(shapes_of(spec)), spec.architecture, published_as=published)


def _whole(blueprint: Blueprint, weights: SavedWeights) -> Classifier:
    """A network with an adapter or a head of its own, as preceptor saved it."""
    network = _wrap(_create(blueprint, num_classes=len(blueprint.classes)), blueprint)
    if weights.own.get("head"):
        network.replace_head(heads.rebuild(weights.own["head"]))
    try:
        network.load_state_dict(weights.state)
    except RuntimeError as error:
        raise weights_do_not_fit(weights, blueprint.spec.architecture, error) from error
    network.has_new_head = False
    return network


def _create(blueprint: Blueprint, name: str | None = None, **arguments: Any) -> nn.Module:
    spec = blueprint.spec
    options = layer_classes(spec.options, repr(spec.architecture))
    try:
        model: nn.Module = timm.create_model(
            name or spec.architecture, in_chans=blueprint.channels, **options, **arguments
        )
    except (TypeError, AssertionError) as error:
        height, width = blueprint.network_size
        raise UserError(
            f"architecture {spec.architecture!r} cannot be built for {height}×{width} px images with options "
            f"{spec.options}: {reason_of(error)}.\nChange `options`, or set `input_size` to a size that it takes."
        ) from error
    return model


def _wrap(model: nn.Module, blueprint: Blueprint) -> Classifier:
    cfg = cast(dict[str, Any], model.pretrained_cfg)
    spec = blueprint.spec
    mean, std = (in_channels(getattr(spec, key) or tuple(cfg[key]), blueprint.channels) for key in ("mean", "std"))
    normalised = spec.model_copy(update={"mean": mean, "std": std, "weights": "none"})
    try:
        return Classifier(model, replace(blueprint, spec=normalised))
    except UserError:
        raise
    except (RuntimeError, AssertionError, ValueError) as error:
        height, width = blueprint.network_size
        raise UserError(
            f"architecture {spec.architecture!r} cannot take images of {height}×{width} px: {reason_of(error)}.\n"
            "Set the network's `input_size`, or data.image_size, to a size that it takes."
        ) from error


def _outputs_in(weights: SavedWeights, classifier: str | tuple[str, ...] | None) -> int:
    """Outputs of the head in these weights, 0 where there is none."""
    names = (classifier,) if isinstance(classifier, str) else classifier or ()
    found = (weights.state.get(f"{name}.weight") for name in names)
    return next((weight.shape[0] for weight in found if weight is not None), 0)


def _library_config(architecture: str) -> dict[str, Any]:
    name, _, tag = architecture.partition(".")
    cfg: dict[str, Any] = timm.models.resolve_pretrained_cfg(name, pretrained_cfg=tag or None).to_dict()
    return cfg


def _architecture_in(config: Mapping[str, Any], where: str) -> str:
    own = config.get(OWN_KEY, {}).get("spec", {})
    name = own.get("architecture") or config.get("architecture") or config.get("pretrained_cfg", {}).get("architecture")
    if not name:
        raise UserError(f"{where}: its config.json names no architecture, so it is no classifier saved by timm")
    return str(name)
