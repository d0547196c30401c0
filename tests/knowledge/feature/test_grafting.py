import torch

from preceptor.knowledge.feature.grafting import normalised_logit_distance


def test_orthogonal_logits_are_two_apart_each_whatever_their_scale() -> None:
    grafted, teacher = torch.tensor([[3.0, 0.0], [0.0, 5.0]]), torch.tensor([[0.0, 0.1], [7.0, 0.0]])
    assert normalised_logit_distance(grafted, teacher).item() == 4.0
    assert normalised_logit_distance(grafted, 9.0 * grafted).item() < 1e-12
