"""Tokens before the patches: counted, and a wrong number refused."""

import pytest

from preceptor.errors import UserError
from preceptor.networks.build import build_network
from preceptor.networks.prefix import prefix_tokens, require_prefix
from preceptor.specs import NetworkSpec

VIT = {"depth": 1, "embed_dim": 24, "num_heads": 2, "patch_size": 8, "reg_tokens": 4, "no_embed_class": True}


def test_a_wrong_number_of_prefix_tokens_is_refused():
    spec = NetworkSpec(architecture="vit_tiny_patch16_224", weights="none", options=VIT)
    network = build_network(spec, task="classification", classes=["a", "b"], image_size=(32, 32), seed=3)
    assert prefix_tokens(network) == 5
    require_prefix(network, 5)
    with pytest.raises(UserError, match=r"puts 5 tokens .* 1 were expected"):
        require_prefix(network, 1)
