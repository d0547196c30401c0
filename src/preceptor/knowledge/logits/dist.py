"""DIST: probabilities correlate with the teacher's, within a sample and within a class."""

from typing import ClassVar

import torch
from torch import Tensor

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe, class_logits
from preceptor.knowledge.edges import logit_pair
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task

_EPS = 1e-8


def correlation_gaps(
    student_logits: Tensor, teacher_logits: Tensor, *, temperature: float, known: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    r"""One minus the mean Pearson correlation of the rows, and of the columns, of the class probabilities, times T².

    .. math:: T^2 \big(1 - \mathrm{mean}_n \, \rho(p^s_{n,:}, p^t_{n,:})\big), \quad
              T^2 \big(1 - \mathrm{mean}_c \, \rho(p^s_{:,c}, p^t_{:,c})\big), \quad
              \rho(a, b) = \frac{\bar a \cdot \bar b}{\|\bar a\| \|\bar b\| + 10^{-8}}

    Rows relate classes within a sample (inter-class), columns samples within a class (intra-class), both centred.
    A row or column that does not vary correlates 0 with anything, and so, nearly, does a class that both networks
    all but rule out.

    Args:
        known: (N, H, W), True for the pixels that are rows; None takes all.

    Shapes:
        student_logits, teacher_logits: (N, C), or (N, C, H, W) where every pixel is a row; C = 1 is the pair (0, z)
        returns: rows (), columns ()

    Source: Huang et al. 2022, arXiv:2205.10536, and its code, which adds 1e-8 to the product of the norms.
    """
    student, teacher = _probabilities(student_logits, temperature), _probabilities(teacher_logits, temperature)
    scale = temperature**2
    if known is not None:
        return _gaps_of_known(student, teacher, known.flatten()[:, None], scale)
    rows, columns = (_pearson(student, teacher, dim=dim).mean() for dim in (1, 0))
    return scale * (1.0 - rows), scale * (1.0 - columns)


def _probabilities(logits: Tensor, temperature: float) -> Tensor:
    """One row per sample or pixel."""
    return (class_logits(logits) / temperature).softmax(dim=1).movedim(1, -1).flatten(0, -2)


def _gaps_of_known(student: Tensor, teacher: Tensor, known: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """The two gaps over the rows that are ``known`` (N, 1); 0 where none is."""
    rows = known.sum().clamp_min(1)
    within = _pearson(student, teacher, dim=1)[:, None].where(known, 0.0).sum() / rows
    counted = [one.where(known, 0.0) for one in (student, teacher)]
    columns = [_where_it_varies((one - one.sum(dim=0) / rows).where(known, 0.0), one, dim=0) for one in counted]
    across = _cosine(*columns, dim=0).mean()
    is_any = known.any()
    return scale * (1.0 - within).where(is_any, 0.0), scale * (1.0 - across).where(is_any, 0.0)


def _pearson(first: Tensor, second: Tensor, *, dim: int) -> Tensor:
    """Pearson correlations along ``dim``."""
    centred = [_where_it_varies(one - one.mean(dim=dim, keepdim=True), one, dim=dim) for one in (first, second)]
    return _cosine(*centred, dim=dim)


def _where_it_varies(centred: Tensor, values: Tensor, *, dim: int) -> Tensor:
    """0, without gradient, where ``values`` vary by no more than rounding: 1 / 1e-8 would be their gradient."""
    norms = [torch.linalg.vector_norm(one.detach(), dim=dim, keepdim=True) for one in (centred, values)]
    return centred.where(norms[0] > 4 * torch.finfo(values.dtype).eps * norms[1], 0.0)


def _cosine(first: Tensor, second: Tensor, *, dim: int) -> Tensor:
    lengths = torch.linalg.vector_norm(first, dim=dim) * torch.linalg.vector_norm(second, dim=dim)
    cosine: Tensor = (first * second).sum(dim=dim) / (lengths + _EPS)
    return cosine


class DISTLoss(Loss):
    """Correlate class probabilities with the teacher's, by sample and by class (DIST).

    beta times the row term plus gamma times the column term of :func:`correlation_gaps`.

    Args:
        beta, gamma: factors of the row and the column term.
        temperature: of the probabilities.

    Source: Huang et al. 2022, arXiv:2205.10536; factors and temperature of its code.
    """

    key: ClassVar[str] = "dist"
    settings: ClassVar[dict[Task, Setting]] = {"classification": Setting(weight=1.0, student_tap="logits")}

    def __init__(self, beta: float = 1.0, gamma: float = 1.0, temperature: float = 1.0) -> None:
        super().__init__()
        if min(beta, gamma) < 0:
            raise UserError(f"dist: beta and gamma must be at least 0, got {beta} and {gamma}")
        if temperature <= 0:
            raise UserError(f"dist: temperature must be above 0, got {temperature}")
        self.beta = beta
        self.gamma = gamma
        self.temperature = temperature

    def build(self, probe: Probe) -> None:
        """Check that a term with a signal is left: rows need three classes, columns three samples."""
        student, _ = logit_pair(probe, self.key)
        rows, columns = student.shape[1] > 2 and self.beta > 0, probe.batch_size > 2 and self.gamma > 0
        if not rows and not columns:
            raise UserError(
                f"dist on {probe.edge} has no signal: two values always correlate fully, so rows need more than two "
                f"classes (here {student.shape[1]}, beta {self.beta}) and columns more than two samples per batch "
                f"(here {probe.batch_size}, gamma {self.gamma}).\nUse a larger batch, or `kd`."
            )
        if student.shape[1] == 2:
            self.notes.append(
                "with two classes the correlation within a sample has no gradient; the one by class is left"
            )
        if probe.batch_size < 3:
            self.notes.append(
                "with so small batches the correlation by class has no gradient; the one within a sample is left"
            )

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`correlation_gaps`."""
        rows, columns = correlation_gaps(student, teacher, temperature=self.temperature)
        return self.beta * rows + self.gamma * columns
