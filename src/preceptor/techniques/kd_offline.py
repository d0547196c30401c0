"""Offline distillation, with FitNet's stage of a hint where it is wanted."""

from dataclasses import replace
from typing import ClassVar, Literal

from preceptor.errors import UserError
from preceptor.knowledge.catalogue import entry_for
from preceptor.plan.cast import TEACHER, Cast
from preceptor.plan.stage import Member, Plan, Stage, WarmStart
from preceptor.techniques.base import LossSpec
from preceptor.techniques.mixture import SHARING, Mixture


class KDOffline(Mixture):
    """A teacher is trained first; then, frozen, it teaches the students (offline distillation).

    Source: Hinton, Vinyals & Dean 2015, arXiv:1503.02531; strategies of Niyaz, Sambyal & Bathula; the stage of the hint
        of Romero et al. 2015, arXiv:1412.6550.
    """

    uses: ClassVar[frozenset[str]] = SHARING | {"beta", "losses", "hint", "hint_epochs", "teacher", "student_alone"}
    teacher_is_frozen: ClassVar[bool] = True

    name: Literal["kd_offline"]

    @property
    def has_teacher(self) -> bool:
        """A teacher always takes part."""
        return True

    def plan(self, cast: Cast) -> Plan:
        """The teacher, the hint if there is one, then everybody."""
        main = self.main_stage(cast)
        first = cast.before(self.teacher_network(cast), instead="technique.teacher")
        if self.hint:
            hint = self._hint_stage(cast, self.hint, main)
            first = (*first, hint)
            main = replace(main, members={**main.members, **_going_on(main, hint)})
        return self._plan(cast, *first, main)

    def _hint_stage(self, cast: Cast, hint: LossSpec, main: Stage) -> Stage:
        """The students of ``main`` learn the hint alone; what they do not need for it stays as it is."""
        epochs = self.hint_epochs or main.training.epochs
        if entry_for(hint.loss).brings_head:
            raise UserError(
                f"technique.hint: {hint.loss} replaces the students' heads; take another loss, such as fitnet"
            )
        return Stage(
            name="hint",
            members={name: replace(m, task_weight=0.0) if m.trains else m for name, m in main.members.items()},
            training=main.training.model_copy(update={"epochs": epochs, "patience": None}),
            edges=tuple(hint.edge(TEACHER, name, cast.task) for name in main.learners),
            snapshots=frozenset({epochs}),
        )


def _going_on(main: Stage, hint: Stage) -> dict[str, Member]:
    """The students of ``main``, from the weights after the last epoch of ``hint``."""
    starts = {name: WarmStart(hint.name, name, hint.last_epoch) for name in main.learners}
    return {name: replace(main.members[name], start=start) for name, start in starts.items()}
