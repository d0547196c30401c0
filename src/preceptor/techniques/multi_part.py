"""Multi-Part KD: the students learn in parts, each from the teacher as it was at that point of its own training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from preceptor.errors import UserError
from preceptor.plan.cast import TEACHER, Cast, keeping_snapshots
from preceptor.plan.edge import Edge, LossUse
from preceptor.plan.given import Given
from preceptor.plan.stage import Member, MemberChoice, Plan, Stage, WarmStart
from preceptor.specs import Epochs, Temperature
from preceptor.techniques.base import PerStudent, Technique, given, per_student, students_of


@dataclass(frozen=True, slots=True)
class LatestWithin:
    """The latest anchor that is at most ``ratio`` times as far as the present one, and at least the next."""

    ratio: float

    def decide(self, distances: Mapping[str, float]) -> str:
        """The anchor, given how far each is from the student, in the order of the teacher's training; the present one
        comes first."""
        present, *later = distances
        within = [anchor for anchor in later if distances[anchor] <= self.ratio * distances[present]]
        return (within or later[:1] or [present])[-1]


class MultiPart(Technique):
    """Students learn part by part from snapshots of the teacher's own training (Multi-Part KD).

    Each student's loss is alpha · task + weight · KD. A part has ``every`` epochs, the last one what is left;
    optimiser, schedule and validation go on from part to part.

    Args:
        every: epochs of a part.
        teacher_every: epochs between the snapshots of the teacher that the run trains, ``every`` unless given; the
            last snapshot is taken after its last epoch.
        snapshots: the teacher's snapshots, in order, where it was trained elsewhere: run folders, network folders
            or files of weights.
        anchors: which snapshot teaches in a part. ``equal`` gives the i-th part the i-th one. ``last`` gives every
            part the last one, which is ordinary offline distillation. ``greedy`` begins with the first, then takes
            the latest whose distance from the students is at most ``ratio`` times that of the present one, at least
            the next; the last part has the last snapshot.
        ratio: see ``anchors``; the distance is KL(snapshot || student) on the validation part.
        weight: of the distillation.
        alpha: of the task, 1 - weight unless given; 1 makes the loss task + weight · KD.
        restart_lr: schedule the learning rate over each part anew.
        student_alone: run folder of the baseline that the teacher is compared with.

    Source: Garg & Singh, "Multi-part knowledge distillation for the efficient classification of colorectal cancer
        histology images"; greedy anchors after Jin et al. 2019, arXiv:1904.09149.
    Differs: greedy anchors are from memory of the paper; the ratio 1.25 is the inverse of its threshold 0.8 as
        remembered, distances are averaged over several students, and the last part always has the last snapshot.
    """

    name: Literal["multi_part"]
    every: Epochs = 5
    teacher_every: Epochs | None = None
    snapshots: tuple[str, ...] = ()
    anchors: Literal["equal", "greedy", "last"] = "equal"
    ratio: Annotated[float, Field(gt=0)] = 1.25
    weight: Annotated[float, Field(ge=0)] = 0.5
    alpha: PerStudent | None = None
    temperature: Temperature = 5.0
    direction: Literal["forward", "reverse"] = "forward"
    restart_lr: bool = False
    student_alone: str | None = None

    @model_validator(mode="after")
    def _weights_and_snapshots_fit(self) -> Self:
        if self.alpha is None and self.weight > 1:
            raise ValueError(
                f"weight {self.weight}: alpha, the task's weight, would be 1 - weight; give it, for example alpha: 1"
            )
        if self.snapshots and self.teacher_every:
            raise ValueError("teacher_every: the snapshots are given, no teacher is trained; leave it out")
        return self

    @property
    def has_teacher(self) -> bool:
        """A teacher always takes part."""
        return True

    def plan(self, cast: Cast) -> Plan:
        """A stage for each part, after the teacher's own."""
        training, students = cast.training, tuple(cast.students)
        self._require_parts(cast)
        teachers, first = self._given(cast) if self.snapshots else self._of_one_teacher(cast)
        alphas = per_student("alpha", self.alpha, len(students), default=1.0 - self.weight)
        loss = LossUse("kd", temperature=self.temperature, direction=self.direction)
        edges = tuple(Edge(source=TEACHER, target=name, loss=loss, weight=self.weight) for name in students)
        begins = range(0, training.epochs, self.every)
        names = [f"main-{number:0{len(str(len(begins)))}}" for number in range(1, len(begins) + 1)]
        stages = [
            Stage(
                name=name if len(begins) > 1 else "main",
                members={TEACHER: teacher, **students_of(cast, alphas)},
                training=training,
                edges=edges,
                choices=choices,
                epochs=min(self.every, training.epochs - begin),
                continues=before,
                phase="main",
                first_epoch=begin,
                phase_epochs=training.epochs,
                restarts_schedule=self.restart_lr,
            )
            for name, before, begin, (teacher, choices) in zip(
                names, [None, *names], begins, self._anchors(teachers, len(begins)), strict=False
            )
        ]
        left = training.epochs % self.every
        notes = [f"the last part has {stages[-1].epochs} of {self.every} epochs"] if left else []
        if first and training.patience:
            notes.append("patience settles students only: the teacher trains all its epochs, for its snapshots")
        return Plan(
            stages=(*first, *stages),
            students=students,
            teacher=TEACHER,
            student_alone=given("student_alone", self.student_alone),
            notes=tuple(notes),
        )

    def _given(self, cast: Cast) -> tuple[dict[str, Member], list[Stage]]:
        """The snapshots that the recipe names, and no stage."""
        teachers = {}
        for number, snapshot in enumerate(self.snapshots, start=1):
            network = cast.the_teacher(Given(f"technique.snapshots, number {number}", snapshot))
            teachers[f"{number} ({snapshot})"] = Member(network=network, trains=False)
        return teachers, []

    def _require_parts(self, cast: Cast) -> None:
        """Refuse lengths of parts that no part could have."""
        lengths = [("every", self.every, "part", "training.epochs", cast.training.epochs)]
        if self.teacher_every:
            epochs = cast.teacher_training.epochs
            lengths.append(("teacher_every", self.teacher_every, "snapshot", "teacher_training.epochs", epochs))
        for option, every, what, of, epochs in lengths:
            if every > epochs:
                raise UserError(
                    f"technique.{option} {every} is more than {of}, which is {epochs}: there would be one {what}, and "
                    f"so ordinary offline distillation.\nGive {option} at most {epochs}, train for longer, or use "
                    "technique.name=kd_offline."
                )

    def _of_one_teacher(self, cast: Cast) -> tuple[dict[str, Member], list[Stage]]:
        """The one state of a teacher that is taken as it is; else the snapshots of one that is trained first, and the
        stage that trains it."""
        network = cast.the_teacher()
        if cast.takes(network):
            if self.teacher_every:
                raise UserError(
                    "technique.teacher_every: networks.teacher has trained weights and is taken as it is, so it has "
                    "no snapshots; leave it out, or say with teacher_training how to train it further"
                )
            return {"as given": cast.frozen(network)}, []
        alone = cast.alone(network, instead="technique.snapshots")
        stage = keeping_snapshots(alone, self.teacher_every or self.every)
        teachers = {
            f"epoch {epoch}": Member(network=network, trains=False, start=WarmStart(stage.name, TEACHER, epoch))
            for epoch in sorted(stage.snapshots)
        }
        return teachers, [stage]

    def _anchors(self, teachers: Mapping[str, Member], parts: int) -> Sequence[tuple[Member, dict[str, MemberChoice]]]:
        """The teacher of each part, or the choice of one."""
        snapshots = list(teachers.values())
        if self.anchors == "last":
            return [(snapshots[-1], {})] * parts
        if self.anchors == "greedy":
            choice = MemberChoice(candidates=teachers, rule=LatestWithin(self.ratio), temperature=self.temperature)
            begin = [(snapshots[0], {}), *[(snapshots[0], {TEACHER: choice})] * parts]
            return [*begin[: parts - 1], (snapshots[-1], {})]
        if len(snapshots) != parts:
            taken = " A teacher with trained weights is one snapshot unless teacher_training is set."
            raise UserError(
                "technique.anchors equal: there are "
                f"{len(snapshots)} snapshots of the teacher ({', '.join(teachers)}), but {parts} parts of {self.every} "
                "epochs for the students: each part wants one snapshot.\n"
                "Change training.epochs, teacher_training.epochs, technique.every or technique.teacher_every until the "
                "numbers agree, or use technique.anchors=greedy or last." + taken * (len(snapshots) == 1)
            )
        return [(snapshot, {}) for snapshot in snapshots]
