import torch

from preceptor.knowledge.maps import attention_map, to_common_size, unit


def test_to_common_size_pools_each_side_to_the_smaller() -> None:
    first, second = to_common_size(torch.rand(2, 3, 8, 4), torch.rand(2, 5, 4, 6))
    assert first.shape == (2, 3, 4, 4)
    assert second.shape == (2, 5, 4, 4)
    embedding = torch.rand(2, 3)
    assert to_common_size(embedding, embedding) == (embedding, embedding)


def test_unit_keeps_zero_at_zero_without_gradient() -> None:
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    found = unit(vectors)
    assert found.tolist() == [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    (found * torch.tensor([[1.0, 0.0], [5.0, 7.0]])).sum().backward()
    assert vectors.grad is not None
    assert vectors.grad[1].tolist() == [0.0, 0.0]


def test_attention_map_by_hand() -> None:
    """Two channels (1, 0) and (3, 4): means of squares (5, 8)."""
    found = attention_map(torch.tensor([[[[1.0, 0.0]], [[3.0, 4.0]]]]), exponent=2)
    torch.testing.assert_close(found, torch.tensor([[5.0, 8.0]]) / 89**0.5)
