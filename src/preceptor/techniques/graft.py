"""The student takes the teacher's place, block by block."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from preceptor.cohort.stage import Member, Plan, Stage, Start
from preceptor.cohort.transfer import Transfer
from preceptor.errors import UserError
from preceptor.knowledge.feature.feature_mse import FeatureMSELoss
from preceptor.knowledge.feature.grafting import GraftingLoss
from preceptor.knowledge.response.soft_target import SoftTargetLoss
from preceptor.networks.blocks import blocks_of
from preceptor.networks.grafted import Grafted
from preceptor.networks.network import Network
from preceptor.technique_specs import GraftSpec
from preceptor.techniques.context import Context
from preceptor.techniques.teachers import best_teacher, committee_members, committee_notes, teacher_stages

BLOCKS = "blocks"
"""The phase of all stages that train one block: random numbers are the same whether they are one stage or several."""

Teaching = tuple[Sequence[Stage], dict[str, Member], str]
"""Stages that train teachers, the frozen members of every later stage, and the name of the host among them."""


def graft(context: Context) -> Plan:
    """The student's blocks take the place of the teacher's one by one, then as ever longer chains; no labels needed.

    Options: loss, temperature, task_weight, block_epochs, chain_epochs, chain_lr, adapter_lr, at_once, teacher,
        teachers, integration, host, host_weight, student_alone.
    Source: Shen et al. 2021, "Progressive network grafting for few-shot knowledge distillation", arXiv:2012.04915;
        several teachers, and maps of other sizes: this package.
    """
    spec = _spec(context)
    students = tuple(context.recipe.networks.peers)
    first, teachers, host = _several(context) if _has_several(context) else _one(context)
    count = _blocks(context, students[0])
    alone = {n: {_block(name, n): _alone(context, name, n, host) for name in students} for n in range(1, count + 1)}
    if spec.at_once:
        grafted = {BLOCKS: {name: member for part in alone.values() for name, member in part.items()}}
    else:
        grafted = {f"block{n}": part for n, part in alone.items()}
    for length in range(2, count + 1):
        grafted[f"chain{length}"] = {name: _chain(context, name, length, host) for name in students}
    stages = [_stage(context, name, {**teachers, **members}, host) for name, members in grafted.items()]
    return Plan(stages=(*first, *stages), students=students, teacher="T", notes=_notes(context))


def _spec(context: Context) -> GraftSpec:
    spec = context.recipe.technique
    assert isinstance(spec, GraftSpec)
    return spec


def _has_several(context: Context) -> bool:
    return bool(_spec(context).teachers or context.recipe.networks.teachers)


def _one(context: Context) -> Teaching:
    spec, shots = _spec(context), context.recipe.split.shots
    if spec.host or spec.host_weight:
        option = "host" if spec.host else "host_weight"
        raise UserError(f"technique.{option}: there is one teacher, which is the host; it is for several (teachers)")
    is_taken = context.takes_teacher()
    if shots and not is_taken:
        raise UserError(
            f"split.shots {shots}: the teacher would be trained on these few images too. Train it in a run of its own "
            "(technique.name=baseline technique.network=teacher, no split.shots) and give the run folder as "
            "technique.teacher."
        )
    start = None if is_taken else Start("teacher", "T")
    first = () if is_taken else (context.teacher_stage(),)
    return first, {"T": Member(build=context.teacher(), trains=False, start=start)}, "T"


def _several(context: Context) -> Teaching:
    spec = _spec(context)
    if spec.teacher:
        raise UserError("technique.teacher: there are networks.teachers; give one run folder for each as teachers")
    if spec.loss not in (None, "kd"):
        raise UserError(
            f"technique.loss {spec.loss}: several teachers are mixed as probabilities, so there are no logits of one "
            "scale; use kd, with technique.host_weight for the loss grafting from the host beside it"
        )
    members = committee_members(context, integration=spec.integration, temperature=spec.temperature)
    names = [name for name in members if name != "T"]
    if spec.host and spec.host not in names:
        raise UserError(f"technique.host: no teacher {spec.host!r}; there are {', '.join(names)}")
    if not spec.host and not spec.teachers and len(names) > 1:
        raise UserError(
            "technique.host: which teacher is best is not known before this run has trained them; name one, for "
            "example technique.host=T1, or give trained ones as technique.teachers"
        )
    return teacher_stages(context), members, spec.host or best_teacher(context)


def _blocks(context: Context, student: str) -> int:
    spec = context.recipe.networks.peers[student].model_copy(update={"weights": "none"})
    return len(blocks_of(context.builder(student, spec)()))


def _block(student: str, number: int) -> str:
    """The network in which one block is the student's; numbers are from 1."""
    return f"{student}-block{number}"


def _alone(context: Context, student: str, number: int, host: str) -> Member:
    return _member(context, _block(student, number), student, range(number - 1, number), host)


def _chain(context: Context, student: str, length: int, host: str) -> Member:
    """Of the student's first blocks, from the shorter chain and the lone block that was added to it."""
    shorter = Start(BLOCKS, _block(student, 1)) if length == 2 else Start(f"chain{length - 1}", student)
    member = _member(context, student, student, range(length), host, lr=_spec(context).chain_lr)
    return replace(member, start=(shorter, Start(BLOCKS, _block(student, length))))


def _member(context: Context, name: str, student: str, replaced: range, host: str, lr: float = 1.0) -> Member:
    spec, build = _spec(context), context.students()[student]

    def make(network: Network) -> Grafted:
        return Grafted(network, build(), replaced)

    return Member(
        build=context.built(name, make),
        builds_on=(host,),
        task_weight=spec.task_weight,
        lr={"": lr, "adapters.": lr * spec.adapter_lr},
    )


def _stage(context: Context, name: str, members: dict[str, Member], host: str) -> Stage:
    spec, training = _spec(context), context.recipe.training
    is_block = name.startswith("block")
    epochs = (spec.block_epochs if is_block else spec.chain_epochs) or training.epochs
    learners = [name for name, member in members.items() if member.trains]
    return Stage(
        name=name,
        members=members,
        training=training.model_copy(update={"epochs": epochs}),
        transfers=_edges(context, learners, host),
        phase=BLOCKS if is_block else "",
    )


def _edges(context: Context, targets: Sequence[str], host: str) -> Callable[[], list[Transfer]]:
    spec = _spec(context)
    kind = _loss(context)

    def edges() -> list[Transfer]:
        found = []
        for name in targets:
            if kind == "kd":
                found.append(Transfer(source="T", target=name, loss=SoftTargetLoss(spec.temperature)))
            elif kind == "mse":
                found.append(Transfer(source="T", target=name, loss=FeatureMSELoss(), student_tap="logits"))
            else:
                found.append(Transfer(source="T", target=name, loss=GraftingLoss()))
            if spec.host_weight:
                found.append(Transfer(source=host, target=name, loss=GraftingLoss(), weight=spec.host_weight))
        return found

    return edges


def _loss(context: Context) -> str:
    return _spec(context).loss or ("kd" if _has_several(context) else "grafting")


def _notes(context: Context) -> tuple[str, ...]:
    spec, shots = _spec(context), context.recipe.split.shots
    notes = list(committee_notes(context, spec.integration)) if _has_several(context) else []
    if _loss(context) == "grafting":
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
