import torch

from preceptor.knowledge.logits.logit_std_kd import standardised


def test_standardised_by_hand() -> None:
    torch.testing.assert_close(standardised(torch.tensor([[1.0, 2.0, 3.0]])), torch.tensor([[-1.0, 0.0, 1.0]]))


def test_two_logits_always_become_the_same_pair() -> None:
    found = standardised(torch.tensor([[3.0, -8.0], [0.1, 0.0]]))
    torch.testing.assert_close(found, torch.tensor([[0.5**0.5, -(0.5**0.5)]] * 2), rtol=1e-5, atol=1e-5)
