"""The table of foundation models says of each what timm makes of it."""

import subprocess
import sys

import pytest
import timm
import torch

from preceptor.errors import UserError
from preceptor.networks.preset import LAYER_OPTIONS, LAYERS, check_layers
from preceptor.networks.presets import PRESETS, Preset, preset_of


def test_the_table_is_read_without_torch():
    code = "import sys; import preceptor.networks.presets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda one: one.name)
def test_width_prefix_and_patch_are_those_of_the_architecture(preset: Preset):
    plain = {key: value for key, value in preset.options.items() if key not in LAYER_OPTIONS}
    with torch.device("meta"):
        model = timm.create_model(preset.architecture, num_classes=0, img_size=preset.size, **{**plain, "depth": 1})
    assert (model.embed_dim, model.num_prefix_tokens) == (preset.width, preset.prefix_tokens)
    assert model.patch_embed.patch_size == (preset.patch, preset.patch)
    assert preset.size % preset.patch == 0


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda one: one.name)
def test_rows_are_complete_and_consistent(preset: Preset):
    assert preset.prefix_tokens == 1 + preset.registers
    assert preset.embedding_width == preset.width * (2 if preset.pooling == "cls+mean" else 1)
    assert all((preset.repository, preset.file, preset.licence, preset.source))
    check_layers(preset.options, preset.name)


def test_names_are_found_in_any_case():
    assert preset_of("UNI2-h") is PRESETS["uni2-h"]
    assert preset_of("resnet18") is None


def test_layers_are_of_a_closed_list():
    with pytest.raises(UserError, match=f"mlp_layer should be one of {', '.join(LAYERS)}, got 'os.system'"):
        check_layers({"mlp_layer": "os.system"}, "mine")
