import torch

from preceptor.knowledge.feature.grafting import GraftingLoss, normalised_logit_distance


def test_orthogonal_logits_are_two_apart_each_whatever_their_scale() -> None:
    grafted, teacher = torch.tensor([[3.0, 0.0], [0.0, 5.0]]), torch.tensor([[0.0, 0.1], [7.0, 0.0]])
    assert normalised_logit_distance(grafted, teacher).item() == 4.0
    assert normalised_logit_distance(grafted, 9.0 * grafted).item() < 1e-12


def test_the_loss_adds_up_over_the_batch() -> None:
    """As published: twice the images, twice the loss."""
    grafted, teacher = torch.randn(4, 3), torch.randn(4, 3)
    once = GraftingLoss()(grafted, teacher, torch.zeros(4, dtype=torch.int64))
    twice = GraftingLoss()(grafted.repeat(2, 1), teacher.repeat(2, 1), torch.zeros(8, dtype=torch.int64))
    torch.testing.assert_close(twice, 2.0 * once)
