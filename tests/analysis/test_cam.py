import torch

from preceptor.analysis.cam import cam_tap, grad_cam
from preceptor.networks.build import build_network
from preceptor.specs import NetworkSpec


def test_what_speaks_for_the_class_by_hand(tiny):
    """Logits are linear in the pooled map, so the gradient is the class's weights over the number of places."""
    network = tiny(1).eval()
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = grad_cam(network, images, torch.tensor([0, 2]), "last")
    maps = network(images).maps["last"].detach()
    for sample, label in enumerate((0, 2)):
        expected = (network.head.weight[label].detach()[:, None, None] * maps[sample]).sum(0).relu()
        torch.testing.assert_close(found[sample], expected / expected.max())


def test_nothing_that_speaks_for_the_class_is_all_zero(tiny):
    network = tiny(1).eval()
    torch.nn.init.constant_(network.head.weight, -1.0)
    found = grad_cam(network, torch.rand(1, 3, 8, 8), torch.tensor([0]), "last")
    assert found.shape == (1, 8, 8)
    assert not found.any()


def test_the_deepest_tap_that_shows_places():
    build = {"task": "classification", "classes": ("a", "b"), "seed": 0}
    spec = NetworkSpec(architecture="test_resnet", weights="none")
    small = build_network(spec, image_size=(32, 32), **build)
    sizes = {tap: shape[1] for tap, shape in small.shapes.items() if tap.startswith("stage")}
    assert sizes[cam_tap(small)] >= 4
    assert all(size < 4 for tap, size in sizes.items() if tap > cam_tap(small))


def test_a_transformer_has_no_map_behind_its_logits():
    spec = NetworkSpec(architecture="test_vit", weights="none")
    build = {"task": "classification", "classes": ("a", "b"), "seed": 0}
    network = build_network(spec, image_size=(160, 160), **build).eval()
    assert grad_cam(network, torch.rand(1, 3, 160, 160), torch.tensor([1]), cam_tap(network)) is None
