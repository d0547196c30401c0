"""Names of architectures, and the nearest ones to a name that does not exist."""

from collections.abc import Iterable
from difflib import get_close_matches

from preceptor.errors import UserError
from preceptor.networks.libraries import smp, timm
from preceptor.networks.presets import PRESETS


def require_classifier(architecture: str) -> None:
    """Refuse what timm does not know."""
    name, _, tag = architecture.partition(".")
    if timm.is_model(name):
        tags = [known.partition(".")[2] for known in timm.models.get_arch_pretrained_cfgs(name)]
        if tag and tag not in tags:
            raise UserError(f"architecture {architecture!r}: no weights {tag!r}; timm has {', '.join(tags) or 'none'}")
        return
    if architecture.lower() in smp.MODEL_ARCHITECTURES_MAPPING:
        raise UserError(f"architecture {architecture!r} is for masks, this task is classification; try `resnet18`")
    raise UserError(
        f"unknown architecture {architecture!r}{_nearest(architecture, [*PRESETS, *timm.list_models()])}.\n"
        "Give a timm name, `hf-hub:OWNER/NAME`, `local-dir:FOLDER`, or a foundation model (`preceptor teachers`)."
    )


def require_segmenter(architecture: str) -> None:
    """Refuse what segmentation-models-pytorch does not know."""
    known = smp.MODEL_ARCHITECTURES_MAPPING
    if architecture.lower() in known:
        return
    if timm.is_model(architecture):
        raise UserError(
            f"architecture {architecture!r} is a classifier, this task is segmentation. "
            f"Write `architecture: unet` and `encoder: {architecture}`."
        )
    raise UserError(
        f"unknown architecture {architecture!r}{_nearest(architecture, known)}; "
        f"for segmentation there are {', '.join(known)}"
    )


def encoder_name(architecture: str, encoder: str | None) -> str:
    """smp's name of an encoder: its own where it has one, else timm's behind ``tu-``."""
    own = smp.encoders.get_encoder_names()
    if not encoder:
        raise UserError(f"architecture {architecture!r} wants an `encoder`, for example `encoder: resnet18`")
    plain = encoder.removeprefix("tu-")
    is_timm = timm.is_model(plain)
    if is_timm and (plain != encoder or encoder not in own or architecture.lower() == "dpt"):
        return f"tu-{plain}"
    if encoder in own:
        return encoder
    raise UserError(f"unknown encoder {encoder!r}{_nearest(plain, [*own, *timm.list_models()])}")


def _nearest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(dict.fromkeys(known)), n=3, cutoff=0.5)
    return f"; nearest: {', '.join(close)}" if close else ""
