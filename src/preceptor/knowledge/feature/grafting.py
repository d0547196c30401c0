"""Network grafting: a grafted network answers as the teacher does, whatever the scale of its logits."""

from torch import Tensor

from preceptor.knowledge.maps import unit


def normalised_logit_distance(grafted_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    r"""Squared distance of logit vectors of unit length, summed over the batch.

    .. math:: \sum_n \Big\| \frac{z^g_n}{\|z^g_n\|} - \frac{z^t_n}{\|z^t_n\|} \Big\|^2

    The sum grows with the batch, and with it the best learning rate; divide by N for a loss that does not.

    Shapes:
        grafted_logits, teacher_logits: (N, C)
        returns: ()

    Source: Shen et al. 2021, arXiv:2012.04915, reduced as in its code.
    """
    return (unit(grafted_logits) - unit(teacher_logits)).square().sum()
