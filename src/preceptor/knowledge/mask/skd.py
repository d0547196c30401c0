"""Structured knowledge distillation: pixels, pairs of places, and the whole output."""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe, class_logits
from preceptor.knowledge.ignored import means_of_known, silenced, without_ignored
from preceptor.knowledge.mask.critic import Critic, critic_loss, fooling_loss
from preceptor.knowledge.mask.maps import check_logits_and_maps, require_above_zero, require_not_negative, resized_like
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task

MOST_PLACES = 1024
UNSTABLE_BATCH = 8


def pixel_cross_entropy(student: Tensor, teacher: Tensor, known: Tensor | None = None) -> Tensor:
    r"""Cross entropy with the teacher's probabilities, averaged over pixels and summed over the batch.

    .. math:: -\frac{1}{H W} \sum_{n,i,c} p^t_{nci} \log p^s_{nci}

    Shapes:
        student, teacher: (N, C, H, W) logits, C of 2 or more
        known: (N, H, W), True where a pixel counts; None counts all
        returns: ()
    """
    cross_entropy = -(teacher.softmax(dim=1) * F.log_softmax(student, dim=1)).sum(dim=1)
    means = cross_entropy.mean(dim=(1, 2)) if known is None else means_of_known(cross_entropy, known)
    return means.sum()


def pooled_places(size: torch.Size, *, scale: float) -> tuple[tuple[int, int], int]:
    """(kernel of the max pooling, number of places that it leaves) for a map of ``size`` (height, width)."""
    kernel = (max(int(size[0] * scale), 1), max(int(size[1] * scale), 1))
    return kernel, -(-size[0] // kernel[0]) * -(-size[1] // kernel[1])


def pair_distance(student: Tensor, teacher: Tensor, *, scale: float, known: Tensor | None = None) -> Tensor:
    r"""Mean squared difference of the similarity of every two places, after max pooling.

    .. math:: \frac{1}{N P^2} \sum_{n,i,j} (a^s_{nij} - a^t_{nij})^2, \quad
              a_{nij} = \hat v_{ni}^\top \hat v_{nj}, \quad \hat v = \frac{v}{\|v\| + 10^{-8}}

    Kernel and stride of the pooling are ``scale`` of the map's size; the norms are constants to the gradient. Positions
    that do not count are not pooled, and the mean is over pairs of places that have others.

    Shapes:
        student: (N, C_s, H, W)
        teacher: (N, C_t, H, W)
        known: (N, H, W), True where a position counts; None counts all
        returns: ()
    """
    kernel, _ = pooled_places(teacher.shape[-2:], scale=scale)
    if known is None:
        return F.mse_loss(_similarity(student, kernel), _similarity(teacher, kernel))
    places = F.max_pool2d(known[:, None].to(teacher.dtype), kernel, stride=kernel, ceil_mode=True).flatten(1)
    pairs = places[:, :, None] * places[:, None, :]
    student, teacher = without_ignored(student, known), without_ignored(teacher, known)
    gaps = (_similarity(student, kernel, places) - _similarity(teacher, kernel, places)).square()
    return gaps.where(pairs > 0, 0.0).sum() / pairs.sum().clamp_min(1)


def _similarity(features: Tensor, kernel: tuple[int, int], known: Tensor | None = None) -> Tensor:
    places = F.max_pool2d(features, kernel, stride=kernel, ceil_mode=True).flatten(2)  # (N, C, P)
    if known is not None:
        places = places.where(known[:, None] > 0, 0.0)
    norm = torch.linalg.vector_norm(places.detach(), dim=1, keepdim=True)
    places = places.where(norm > 1e-8, places.detach()) / (norm + 1e-8)  # 1 / 1e-8 would be the gradient of the others
    return places.mT @ places


class SKDLoss(Loss):
    """Match pixels, similarities of places and, if asked for, the whole output (structured distillation).

    The weighted sum of :func:`pixel_cross_entropy`, :func:`pair_distance` and, with ``holistic``,
    :func:`~preceptor.knowledge.mask.critic.fooling_loss`. The critic trains in the same step by
    :func:`~preceptor.knowledge.mask.critic.critic_loss`, which the student does not feel, and is dropped
    with the other adapters. Its taps are ``logits``, then one feature map.

    Args:
        pixelwise, pairwise, holistic: the parts to use; the last is unstable with small batches.
        pixel_weight, pair_weight, adversarial_weight: of the parts; the last weighs the critic's objective too.
        scale: share of the map's size that one place of the pairs covers.
        critic: objective of the critic.

    Source: Liu et al. 2019, arXiv:1903.04197, section 3, and its code.
    Differs: pairs are of the last decoder map, where the paper has its pyramid pooling; the critic sees logits
    resized to 65x65 and not the image, 0 where a pixel does not count, and shares the optimiser of the network it
    serves.
    """

    key: ClassVar[str] = "skd"
    needs_shapes = True
    settings: ClassVar[dict[Task, Setting]] = {"segmentation": Setting(weight=1.0, student_tap=("logits", "decoder"))}

    def __init__(
        self,
        pixelwise: bool = True,
        pairwise: bool = True,
        holistic: bool = False,
        pixel_weight: float = 10.0,
        pair_weight: float = 1.0,
        adversarial_weight: float = 0.1,
        scale: float = 0.5,
        critic: Literal["wgan-gp", "hinge"] = "wgan-gp",
    ) -> None:
        super().__init__()
        if not (pixelwise or pairwise or holistic):
            raise UserError(f"{self.key}: pixelwise, pairwise and holistic are all off; switch one on")
        if critic not in ("wgan-gp", "hinge"):
            raise UserError(f"{self.key}: critic must be `wgan-gp` or `hinge`, got {critic!r}")
        require_not_negative(
            self.key, pixel_weight=pixel_weight, pair_weight=pair_weight, adversarial_weight=adversarial_weight
        )
        require_above_zero(self.key, scale=scale)
        self.pixel_weight = pixel_weight if pixelwise else 0.0
        self.pair_weight = pair_weight if pairwise else 0.0
        self.adversarial_weight = adversarial_weight
        self.holistic, self.scale, self.critic_kind = holistic, scale, critic
        self.critic: nn.Module | None = None

    def build(self, probe: Probe) -> None:
        """Make the critic; refuse pairs of too many places."""
        check_logits_and_maps(probe, self.key, least=1, most=1, example="[logits, decoder]")
        size = probe.teacher[1].shape[-2:]
        _, places = pooled_places(size, scale=self.scale)
        if self.pair_weight and places > MOST_PLACES:
            raise UserError(
                f"{self.key} on {probe.edge}: scale {self.scale} leaves {places} places of a {size[0]}x{size[1]} map, "
                f"too many to compare each with each ({MOST_PLACES} at most); take a larger scale, for example 0.5"
            )
        if self.holistic:
            self.critic = Critic(class_logits(probe.teacher[0]).shape[1])
            if probe.batch_size <= UNSTABLE_BATCH:
                self.notes.append(f"batches of {probe.batch_size} are small for `holistic`; its critic may be unstable")

    def forward(self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...], targets: Tensor) -> Tensor:
        """Logits and one map of both -> (); see the class."""
        student_logits, teacher_logits = class_logits(resized_like(student[0], teacher[0])), class_logits(teacher[0])
        known = self.known(targets, teacher[0])
        loss = student_logits.new_zeros(())
        if self.pixel_weight:
            loss = loss + self.pixel_weight * pixel_cross_entropy(student_logits, teacher_logits, known)
        if self.pair_weight:
            places = self.known(targets, teacher[1])
            pairs = pair_distance(resized_like(student[1], teacher[1]), teacher[1], scale=self.scale, known=places)
            loss = loss + self.pair_weight * pairs
        if self.critic is not None:
            student_logits, teacher_logits = silenced(student_logits, known), silenced(teacher_logits, known)
            fooled = fooling_loss(self.critic, student_logits)
            told = critic_loss(self.critic, student_logits, teacher_logits, kind=self.critic_kind)
            loss = loss + self.adversarial_weight * (fooled + told)
        return loss
