"""Averages of weights over the steps of training."""

from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from preceptor.networks.network import Network


class Averages:
    """Exponential moving averages of the learners; buffers such as BatchNorm statistics are copied."""

    def __init__(self, learners: nn.ModuleDict, decay: float) -> None:
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # torch's is untyped
        self._model = AveragedModel(learners, multi_avg_fn=average).requires_grad_(False).eval()
        self._model.n_averaged.fill_(1)  # the average begins with the weights before the first step

    @property
    def copies(self) -> nn.Module:
        """The averaged learners."""
        return self._model.module

    @property
    def networks(self) -> dict[str, Network]:
        """The averaged networks by name."""
        return dict(self.copies.named_children())  # type: ignore[arg-type]  # a ModuleDict of networks

    def update(self, learners: nn.ModuleDict) -> None:
        """Take the learners' present weights into the averages."""
        self._model.update_parameters(learners)

    def state_dict(self) -> dict[str, Tensor]:
        return self.copies.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.copies.load_state_dict(state)
