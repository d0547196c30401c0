import torch

from preceptor.knowledge.feature.exits import active_feature_distance


def test_places_where_both_are_inactive_do_not_count() -> None:
    exit_features, last = torch.tensor([[1.0, -1.0, -2.0]]), torch.tensor([[0.0, 2.0, -5.0]])
    assert active_feature_distance(exit_features, last).item() == 1.0 + 9.0
