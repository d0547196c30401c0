"""Our losses on the tensors of an oracle case: responses, features, relations."""

from collections.abc import Callable

from torch import Tensor

from preceptor.knowledge.response.soft_target import soft_target_kl

from .computed import Computed
from .draws import Case


def kd(case: Case, tensors: dict[str, Tensor]) -> Computed:
    return Computed(soft_target_kl(tensors["logits_s"], tensors["logits_t"], temperature=case["hyper"]["T"]))


METHODS: dict[str, Callable[[Case, dict[str, Tensor]], Computed]] = {"kd": kd}
