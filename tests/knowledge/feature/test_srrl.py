import torch
from torch import nn

from preceptor.knowledge.feature.srrl import softmax_regression


def test_terms_by_hand() -> None:
    """Embeddings (1, 0) and (0, 0); a classifier that doubles the first entry: 1/2 and 4/1."""
    classify = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        classify.weight.copy_(torch.tensor([[2.0, 0.0]]))
    matching, regression = softmax_regression(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2), classify)
    assert (matching.item(), regression.item()) == (0.5, 4.0)
