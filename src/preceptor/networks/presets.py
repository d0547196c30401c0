"""Foundation models by name: one row of facts each, without torch.

Licences and access are facts as the hosts declare them, collected in November 2026; what they allow is the user's to
decide.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from preceptor.networks.preset import Access, Pooling, Preset

__all__ = ["PRESETS", "Preset", "preset_of"]

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_OPTIMUS = ((0.707223, 0.578729, 0.703617), (0.211883, 0.230117, 0.177517))
_HIBOU = ((0.7068, 0.5755, 0.722), (0.195, 0.2316, 0.1816))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))

_NO_DERIVATIVES = "CC-BY-NC-ND-4.0"


def _row(
    name: str,
    architecture: str,
    width: int,
    patch: int,
    *,
    registers: int = 0,
    pooling: Pooling = "cls",
    colours: tuple[tuple[float, ...], tuple[float, ...]] = _IMAGENET,
    size: int = 224,
    fetch: tuple[str, str],
    terms: tuple[str, Access],
    parameters: int,
    source: str,
    remark: str = "",
    **options: Any,
) -> Preset:
    return Preset(
        name=name,
        architecture=architecture,
        options=MappingProxyType(options),
        width=width,
        prefix_tokens=1 + registers,
        registers=registers,
        patch=patch,
        pooling=pooling,
        mean=colours[0],
        std=colours[1],
        size=size,
        repository=fetch[0],
        file=fetch[1],
        licence=terms[0],
        access=terms[1],
        parameters=parameters,
        source=source,
        remark=remark,
    )


_SWIGLU: Mapping[str, Any] = MappingProxyType({"mlp_layer": "SwiGLUPacked", "act_layer": "silu"})


def _kaiko(name: str, architecture: str, width: int, patch: int, parameters: int, **more: Any) -> Preset:
    return _row(
        name,
        architecture,
        width,
        patch,
        colours=_HALF,
        fetch=(f"1aurent/{architecture}.kaiko_ai_towards_large_pathology_fms", "model.safetensors"),
        terms=("Kaiko non-commercial", "open"),
        parameters=parameters,
        source="Aben et al. 2024, arXiv:2404.15217",
        dynamic_img_size=True,
        **more,
    )


def _dinov2(letter: str, word: str, width: int, parameters: int) -> Preset:
    architecture = f"vit_{word}_patch14_dinov2"
    return _row(
        f"dinov2-{letter}",
        architecture,
        width,
        14,
        fetch=(f"timm/{architecture}.lvd142m", "model.safetensors"),
        terms=("Apache-2.0", "open"),
        parameters=parameters,
        source="Oquab et al. 2023, arXiv:2304.07193",
        dynamic_img_size=True,
    )


def _dinov3(letter: str, word: str, width: int, parameters: int) -> Preset:
    architecture = f"vit_{word}_patch16_dinov3"
    return _row(
        f"dinov3-{letter}",
        architecture,
        width,
        16,
        registers=4,
        fetch=(f"timm/{architecture}.lvd1689m", "model.safetensors"),
        terms=("DINOv3 License", "open"),
        parameters=parameters,
        source="Siméoni et al. 2025, arXiv:2508.10104",
        remark="timm's layout only: Meta's own files are gated and named otherwise",
        dynamic_img_size=True,
    )


_ROWS = (
    _row(
        "uni",
        "vit_large_patch16_224",
        1024,
        16,
        fetch=("MahmoodLab/UNI", "pytorch_model.bin"),
        terms=(_NO_DERIVATIVES, "gated"),
        parameters=303,
        source="Chen et al. 2024, doi:10.1038/s41591-024-02857-3",
        init_values=1e-5,
        dynamic_img_size=True,
    ),
    _row(
        "uni2-h",
        "vit_giant_patch14_224",
        1536,
        14,
        registers=8,
        fetch=("MahmoodLab/UNI2-h", "pytorch_model.bin"),
        terms=(_NO_DERIVATIVES, "gated"),
        parameters=681,
        source="https://huggingface.co/MahmoodLab/UNI2-h",
        depth=24,
        num_heads=24,
        embed_dim=1536,
        mlp_ratio=2.66667 * 2,
        init_values=1e-5,
        no_embed_class=True,
        reg_tokens=8,
        dynamic_img_size=True,
        **_SWIGLU,
    ),
    _row(
        "virchow",
        "vit_huge_patch14_224",
        1280,
        14,
        pooling="cls+mean",
        fetch=("paige-ai/Virchow", "pytorch_model.bin"),
        terms=("Apache-2.0", "gated"),
        parameters=631,
        source="Vorontsov et al. 2024, doi:10.1038/s41591-024-03141-0",
        init_values=1e-5,
        mlp_ratio=5.3375,
        dynamic_img_size=True,
        **_SWIGLU,
    ),
    _row(
        "virchow2",
        "vit_huge_patch14_224",
        1280,
        14,
        registers=4,
        pooling="cls+mean",
        fetch=("paige-ai/Virchow2", "pytorch_model.bin"),
        terms=(_NO_DERIVATIVES, "gated"),
        parameters=631,
        source="Zimmermann et al. 2024, arXiv:2408.00738",
        init_values=1e-5,
        mlp_ratio=5.3375,
        reg_tokens=4,
        dynamic_img_size=True,
        **_SWIGLU,
    ),
    *(
        _row(
            f"h-optimus-{number}",
            "vit_giant_patch14_reg4_dinov2",
            1536,
            14,
            registers=4,
            colours=_OPTIMUS,
            fetch=(f"bioptimus/H-optimus-{number}", "pytorch_model.bin"),
            terms=(licence, "gated"),
            parameters=1135,
            source=f"https://huggingface.co/bioptimus/H-optimus-{number}",
            init_values=1e-5,
        )
        for number, licence in enumerate(("Apache-2.0", _NO_DERIVATIVES))
    ),
    _row(
        "h0-mini",
        "vit_base_patch14_reg4_dinov2",
        768,
        14,
        registers=4,
        colours=_OPTIMUS,
        fetch=("bioptimus/H0-mini", "pytorch_model.bin"),
        terms=(_NO_DERIVATIVES, "gated"),
        parameters=86,
        source="Filiot et al. 2025, arXiv:2501.16239",
        init_values=1e-5,
        mlp_ratio=2.66667 * 2,
        **_SWIGLU,
    ),
    _row(
        "prov-gigapath",
        "vit_giant_patch14_dinov2",
        1536,
        16,
        fetch=("prov-gigapath/prov-gigapath", "pytorch_model.bin"),
        terms=("Apache-2.0", "gated"),
        parameters=1135,
        source="Xu et al. 2024, doi:10.1038/s41586-024-07441-w",
        remark="published embeddings are of images of 256 px of which the middle 224 px are cut out",
        patch_size=16,
        depth=40,
        num_heads=24,
        init_values=1e-5,
        mlp_ratio=5.33334,
    ),
    _row(
        "gpfm",
        "vit_large_patch14_dinov2",
        1024,
        14,
        fetch=("majiabo/GPFM", "GPFM.pth"),
        terms=("MIT", "open"),
        parameters=303,
        source="Ma et al. 2025, doi:10.1038/s41551-025-01488-4",
        init_values=1e-5,
    ),
    _kaiko("kaiko-s8", "vit_small_patch8_224", 384, 8, 22),
    _kaiko("kaiko-s16", "vit_small_patch16_224", 384, 16, 22),
    _kaiko("kaiko-b8", "vit_base_patch8_224", 768, 8, 86),
    _kaiko("kaiko-b16", "vit_base_patch16_224", 768, 16, 86),
    _kaiko("kaiko-l14", "vit_large_patch14_reg4_dinov2", 1024, 14, 304, registers=4),
    _row(
        "phikon-v2",
        "vit_large_patch16_224",
        1024,
        16,
        fetch=("owkin/phikon-v2", "model.safetensors"),
        terms=("Owkin non-commercial", "open"),
        parameters=303,
        source="Filiot et al. 2024, arXiv:2409.09173",
        init_values=1.0,
        dynamic_img_size=True,
    ),
    _row(
        "midnight-12k",
        "vit_giant_patch14_dinov2",
        1536,
        14,
        pooling="cls+mean",
        colours=_HALF,
        fetch=("kaiko-ai/midnight", "model.safetensors"),
        terms=("MIT", "open"),
        parameters=1136,
        source="Karasikov et al. 2025, arXiv:2504.05186",
    ),
    *(
        _row(
            f"hibou-{letter.lower()}",
            f"vit_{word}_patch14_reg4_dinov2",
            width,
            14,
            registers=4,
            colours=_HIBOU,
            fetch=(f"histai/hibou-{letter}", "model.safetensors"),
            terms=("Apache-2.0", "gated"),
            parameters=parameters,
            source="Nechaev et al. 2024, arXiv:2406.05074",
        )
        for letter, word, width, parameters in (("b", "base", 768, 86), ("L", "large", 1024, 304))
    ),
    _row(
        "conch",
        "vit_base_patch16_224",
        768,
        16,
        colours=_CLIP,
        size=448,
        fetch=("MahmoodLab/CONCH", "pytorch_model.bin"),
        terms=(_NO_DERIVATIVES, "gated"),
        parameters=86,
        source="Lu et al. 2024, doi:10.1038/s41591-024-02856-4",
        remark="the visual tower's tokens; CONCH's own image embedding adds an attention pooling, which is not built",
        dynamic_img_size=True,
    ),
    _dinov2("s", "small", 384, 22),
    _dinov2("b", "base", 768, 86),
    _dinov2("l", "large", 1024, 304),
    _dinov2("g", "giant", 1536, 1136),
    _dinov3("s", "small", 384, 22),
    _dinov3("b", "base", 768, 86),
    _dinov3("l", "large", 1024, 303),
)

PRESETS: Mapping[str, Preset] = MappingProxyType({row.name: row for row in _ROWS})
"""Every foundation model that a recipe can name."""


def preset_of(name: str) -> Preset | None:
    """The row of that name, if there is one; upper and lower case are the same."""
    return PRESETS.get(name.lower())
