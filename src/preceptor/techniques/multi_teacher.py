"""Several frozen teachers, integrated into one soft target, teach the students."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from preceptor.errors import UserError
from preceptor.plan.cast import TEACHER, Cast
from preceptor.plan.edge import Edge, LossUse, facing
from preceptor.plan.stage import Plan, Stage
from preceptor.specs import Integration, Temperature
from preceptor.techniques.base import PerStudent, given, per_student, students_of
from preceptor.techniques.shares import Shares
from preceptor.techniques.teachers import TaughtBySeveral, committee, committee_notes, teacher_stages, teachers_of


class MultiTeacher(TaughtBySeveral):
    """Several frozen teachers, weighed for each image, teach as one committee T; students may teach each other too.

    With one teacher it is kd_offline that shares predictions.

    Each student's loss is alpha · task + beta · KD from T + gamma · from its peers; beta is what a sum of 1 leaves.
    The teachers are ``networks.teachers`` (or copies of ``networks.teacher``), each trained first in a stage of its
    own, or those of ``teachers``.

    Args:
        integration: how much each teacher counts in the soft target: ``average``; ``val_acc``, by its validation
            score; for each image ``confidence``, ``entropy``, and, by the training labels, ``ce`` or ``correct_only``.
        power: ``val_acc`` weighs in proportion to score ** power instead of exp(score / 0.02).
        teachers: run folders or weights, one for each teacher.
        folds: that many teachers of ``networks.teacher``'s architecture, each trained without one fold of the training
            part.
        student_alone: run folder of the baseline that the committee is compared with.

    Source: You et al. 2017, "Learning from multiple teacher networks" (average); Zhang et al. 2022, arXiv:2201.00007
        (ce; entropy from its code); val_acc, confidence, correct_only and folds: this package.
    """

    name: Literal["multi_teacher"]
    integration: Integration = "val_acc"
    power: Annotated[float, Field(gt=0)] | None = None
    temperature: Temperature = 4.0
    alpha: PerStudent | None = None
    beta: PerStudent | None = None
    gamma: PerStudent | None = None
    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    student_alone: str | None = None

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if self.folds and self.teachers:
            raise ValueError("folds: the teachers are given, none is trained on a part of the data; leave one out")
        if self.power and self.integration != "val_acc":
            raise ValueError(f"power: integration {self.integration} does not weigh by validation scores; leave it out")
        return self

    def plan(self, cast: Cast) -> Plan:
        """One stage, after one for each teacher."""
        teachers = teachers_of(cast, self.teachers, folds=self.folds)
        shares = dict(zip(cast.students, self._shares(len(cast.students)), strict=True))
        frozen = committee(cast, teachers, integration=self.integration, temperature=self.temperature, power=self.power)
        main = Stage(
            name="main",
            members=frozen | students_of(cast, [share.alpha for share in shares.values()]),
            training=cast.training,
            edges=tuple(self._edges(shares)),
        )
        return Plan(
            stages=(*teacher_stages(cast, teachers, folds=self.folds), main),
            students=tuple(cast.students),
            teacher=TEACHER,
            student_alone=given("student_alone", self.student_alone),
            notes=(*self._fold_notes(), *committee_notes(self.integration)),
        )

    def _edges(self, shares: dict[str, Shares]) -> list[Edge[LossUse]]:
        pairs = [(TEACHER, name, share.beta) for name, share in shares.items()]
        if any(share.gamma for share in shares.values()):
            pairs += [(source, target, part * shares[target].gamma) for source, target, part in facing(tuple(shares))]
        kd = LossUse("kd", temperature=self.temperature)
        return [Edge(source=source, target=target, loss=kd, weight=weight) for source, target, weight in pairs]

    def _shares(self, count: int) -> list[Shares]:
        """alpha · task + beta · from the committee + gamma · from the peers; beta is what a sum of 1 leaves."""
        alphas = per_student("alpha", self.alpha, count, default=0.2)
        betas = per_student("beta", self.beta, count, default=None)
        gammas = per_student("gamma", self.gamma, count, default=0.0)
        if count == 1 and gammas[0]:
            raise UserError(
                "technique.gamma: a lone student has no peers; leave it out, or have two students (networks.count: 2)"
            )
        return [
            Shares(alpha, max(0.0, 1.0 - alpha - gamma) if beta is None else beta, gamma)
            for alpha, beta, gamma in zip(alphas, betas, gammas, strict=True)
        ]

    def _fold_notes(self) -> tuple[str, ...]:
        if self.folds is None:
            return ()
        return (
            f"Each of the {self.folds} teachers is trained without one fold of the training part; the students learn "
            "from all of it.",
        )
