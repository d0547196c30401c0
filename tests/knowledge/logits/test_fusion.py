import torch

from preceptor.knowledge.logits.fusion import FusionHead, fusion_terms


def test_terms_vanish_where_all_agree() -> None:
    logits = torch.randn(4, 3)
    assert abs(fusion_terms(logits, logits, logits).total.item()) < 1e-6


def test_each_target_is_constant() -> None:
    first, second, fused = (torch.randn(4, 3, requires_grad=True) for _ in range(3))
    terms = fusion_terms(first, second, fused)
    learners = {"fused_to_first": first, "fused_to_second": second, "ensemble_to_fused": fused}
    for name, learner in learners.items():
        found = torch.autograd.grad(getattr(terms, name), [first, second, fused], allow_unused=True, retain_graph=True)
        felt = [one for one, gradient in zip([first, second, fused], found, strict=True) if gradient is not None]
        assert len(felt) == 1
        assert felt[0] is learner


def test_the_head_takes_maps_of_unlike_networks() -> None:
    head = FusionHead(3, 5, 4, classes=2)
    assert head(torch.randn(2, 3, 8, 8), torch.randn(2, 5, 4, 4)).shape == (2, 2)
