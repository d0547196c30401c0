"""The student takes the teacher's place, block by block."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from preceptor.errors import UserError
from preceptor.plan.cast import TEACHER, Cast
from preceptor.plan.edge import Edge, LossUse
from preceptor.plan.frozen import FrozenMap
from preceptor.plan.network import Composed
from preceptor.plan.stage import Member, Plan, Stage, WarmStart
from preceptor.specs import Epochs, Integration, Task, Temperature, Weight
from preceptor.techniques.base import given
from preceptor.techniques.teachers import (
    TaughtBySeveral,
    best_teacher,
    committee,
    committee_notes,
    teacher_stages,
    teachers_of,
)

BLOCKS = "blocks"
"""The phase of all stages that train one block: random numbers are the same whether they are one stage or several."""


@dataclass(frozen=True, slots=True)
class _Teaching:
    """Stages that train teachers, the frozen members of every later stage, and the name of the host among them; of a
    host that is not known yet, what is lacking."""

    first: tuple[Stage, ...]
    members: dict[str, Member]
    host: str
    lacks: str = ""


class Graft(TaughtBySeveral):
    """The student's blocks take the place of the teacher's one by one, then as ever longer chains; no labels needed.

    First each of its blocks stands alone among the teacher's, between two 1x1 convolutions, and learns until the whole
    answers as the teacher does. Then chains of its first 2, 3, … blocks do, from those weights; the last chain is the
    student. In the student the convolutions between two blocks are folded into one.

    With the loss ``grafting`` the best learning rate depends on the batch size: Shen et al. took 64 images and 2.5e-4
    (adapters 2.5e-3) and scaled both by K / 10 for K images per class, for 60 to 1000 epochs of blocks and 100 to 150
    of chains.

    Args:
        loss: what a grafted network learns from: ``grafting`` (distance of the logits at unit length, added up over
            the batch), ``mse`` of the logits, or ``kd``. By default ``grafting``, with several teachers ``kd``.
        temperature: of ``kd``, at which several teachers are mixed.
        task_weight: of the task's own loss beside it; 0 needs no labels.
        block_epochs, chain_epochs: of each stage; ``training.epochs`` unless given.
        chain_lr: factor of the learning rate of chains.
        adapter_lr: factor of the learning rate of the 1x1 convolutions.
        at_once: all blocks learn in one stage; one after another needs less memory and ends the same.
        teacher: a run folder or weights to take the teacher from; without it one is trained first.
        teachers: several in its place, which teach as one committee.
        integration: how much each of several counts, as in ``multi_teacher``.
        host: which of several gives its place, T1 …; by default the best by validation in its own run.
        host_weight: of the loss ``grafting`` from the host, beside what the committee teaches.
        student_alone: run folder of the baseline that the teacher is compared with.

    Source: Shen et al. 2021, "Progressive network grafting for few-shot knowledge distillation", arXiv:2012.04915;
        several teachers, and maps of other sizes: this package.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    instead: ClassVar[str] = "its last block is a classifier. Take kd_offline or kd_ml for masks"

    name: Literal["graft"]
    loss: Literal["grafting", "mse", "kd"] | None = None
    temperature: Temperature = 4.0
    task_weight: Weight = 0.0
    block_epochs: Epochs | None = None
    chain_epochs: Epochs | None = None
    chain_lr: Annotated[float, Field(gt=0)] = 1.0
    adapter_lr: Annotated[float, Field(gt=0)] = 10.0
    at_once: bool = True
    teacher: str | None = None
    integration: Integration = "val_acc"
    host: str | None = None
    host_weight: Weight = 0.0
    student_alone: str | None = None

    @model_validator(mode="after")
    def _teachers_fit(self) -> Self:
        if self.teacher and self.teachers:
            raise ValueError("teacher and teachers: give one of them")
        return self

    def plan(self, cast: Cast) -> Plan:
        """The blocks, alone or all at once, then the chains."""
        has_several = bool(self.teachers or cast.teachers)
        teaching = self._several(cast) if has_several else self._one(cast)
        host = teaching.host
        count = cast.facts.blocks(next(iter(cast.students.values())))
        alone = {n: {_block(name, n): self._alone(cast, name, n, host) for name in cast.students} for n in _upto(count)}
        if self.at_once:
            grafted = {BLOCKS: {name: member for part in alone.values() for name, member in part.items()}}
        else:
            grafted = {f"block{n}": part for n, part in alone.items()}
        for length in range(2, count + 1):
            grafted[f"chain{length}"] = {name: self._chain(cast, name, length, host) for name in cast.students}
        loss = self.loss or ("kd" if has_several else "grafting")
        stages = [self._stage(cast, name, teaching, members, loss) for name, members in grafted.items()]
        notes = committee_notes(self.integration) if has_several else ()
        return Plan(
            stages=(*teaching.first, *stages),
            students=tuple(cast.students),
            teacher=TEACHER,
            student_alone=given("student_alone", self.student_alone),
            notes=(*notes, *_notes(loss, cast.shots)),
            lacks=teaching.lacks,
        )

    def _one(self, cast: Cast) -> _Teaching:
        if self.host or self.host_weight:
            option = "host" if self.host else "host_weight"
            raise UserError(
                f"technique.{option}: there is one teacher, which is the host; it is for several (teachers)"
            )
        teacher = cast.the_teacher(self.teacher)
        first = cast.before(teacher, instead="technique.teacher")
        return _Teaching(first, {TEACHER: cast.frozen(teacher)}, TEACHER)

    def _several(self, cast: Cast) -> _Teaching:
        if self.teacher:
            raise UserError("technique.teacher: there are networks.teachers; give one run folder for each as teachers")
        if self.loss not in (None, "kd"):
            raise UserError(
                f"technique.loss {self.loss}: several teachers are mixed as probabilities, so there are no logits of "
                "one scale; use kd, with technique.host_weight for the loss grafting from the host beside it"
            )
        teachers = teachers_of(cast, self.teachers)
        if self.host and self.host not in teachers:
            raise UserError(f"technique.host: no teacher {self.host!r}; there are {', '.join(teachers)}")
        members = committee(cast, teachers, integration=self.integration, temperature=self.temperature)
        host, lacks = self.host or "T1", ""
        if not self.host:
            try:
                host = best_teacher(teachers, cast.monitor)
            except UserError as error:  # a plan can be looked at before it is known
                lacks = str(error)
        return _Teaching(teacher_stages(cast, teachers), members, host, lacks)

    def _alone(self, cast: Cast, student: str, number: int, host: str) -> Member:
        return self._member(cast, _block(student, number), student, (number - 1, number), host)

    def _chain(self, cast: Cast, student: str, length: int, host: str) -> Member:
        """Of the student's first blocks, from the shorter chain and the lone block that was added to it."""
        shorter = WarmStart(BLOCKS, _block(student, 1)) if length == 2 else WarmStart(f"chain{length - 1}", student)
        member = self._member(cast, student, student, (0, length), host, lr=self.chain_lr)
        return replace(member, start=(shorter, WarmStart(BLOCKS, _block(student, length))))

    def _member(
        self, cast: Cast, name: str, student: str, replaced: tuple[int, int], host: str, lr: float = 1.0
    ) -> Member:
        options = FrozenMap({"student": cast.student(student), "replaced": replaced})
        return Member(
            network=Composed(name=name, kind="grafted", reads=(host,), options=options),
            task_weight=self.task_weight,
            lr={"": lr, "adapters.": lr * self.adapter_lr},
        )

    def _stage(self, cast: Cast, name: str, teaching: _Teaching, members: dict[str, Member], loss: str) -> Stage:
        is_block = name.startswith("block")
        epochs = (self.block_epochs if is_block else self.chain_epochs) or cast.training.epochs
        return Stage(
            name=name,
            members={**teaching.members, **members},
            training=cast.training.model_copy(update={"epochs": epochs}),
            edges=tuple(edge for name in members for edge in self._edges(name, teaching.host, loss)),
            phase=BLOCKS if is_block else "",
        )

    def _edges(self, target: str, host: str, loss: str) -> list[Edge[LossUse]]:
        """What a grafted network learns from."""
        first: Edge[LossUse]
        if loss == "kd":
            first = Edge(source=TEACHER, target=target, loss=LossUse("kd", temperature=self.temperature))
        elif loss == "mse":
            first = Edge(source=TEACHER, target=target, loss=LossUse("feature_mse"), student_tap="logits")
        else:
            first = Edge(source=TEACHER, target=target, loss=LossUse("grafting"))
        if not self.host_weight:
            return [first]
        return [first, Edge(source=host, target=target, loss=LossUse("grafting"), weight=self.host_weight)]


def _upto(count: int) -> range:
    return range(1, count + 1)


def _block(student: str, number: int) -> str:
    """The network in which one block is the student's; numbers are from 1."""
    return f"{student}-block{number}"


def _notes(loss: str, shots: int | None) -> tuple[str, ...]:
    notes = []
    if loss == "grafting":
        notes.append(
            "The loss grafting leaves the size of the logits open, so the student's probabilities are not calibrated; "
            "technique.loss=kd fits them to the teacher's."
        )
    if shots:
        notes.append(
            f"The weights of every stage are chosen on the whole validation part, far more images than the {shots} per "
            "class that are learned from: with these few alone the choice would be worse."
        )
    return tuple(notes)
