"""A plan in words: its stages, who takes part in them, and each network's loss as a formula with its numbers."""

from collections.abc import Iterator

from preceptor.errors import UserError
from preceptor.hub import file_at_hand
from preceptor.plan.edge import Edge, LossUse
from preceptor.plan.given import Given
from preceptor.plan.network import Composed, NetworkUse, SharedWidth
from preceptor.plan.stage import Member, Plan, Stage
from preceptor.specs import Task


def plan_in_words(plan: Plan, task: Task) -> list[str]:
    """Lines on every stage, on what is reported, and on what comes from outside."""
    lines: list[str] = []
    before: list[str] = []
    for stage in plan.stages:
        members = [line for name in stage.members for line in _member_lines(stage, name, task)]
        lines.append(f"stage {stage.name}: {_training(stage)}")
        lines += ["  as in the stage before"] if members == before else members
        before = members
    lines.append(f"reported: {', '.join(plan.students)}" + (", and their ensemble" if len(plan.students) > 1 else ""))
    if plan.teacher:
        lines.append(f"compared with what {plan.teacher} says (fidelity), and {plan.teacher} with a student alone")
    lines += [f"beside them: {', '.join(plan.references)}"] if plan.references else []
    lines += [f"note: {note}" for note in plan.notes]
    lines += [f"open: {plan.lacks}"] if plan.lacks else []
    lines.append("from outside:")
    lines += [f"  {line}" for line in wanted_from_outside(plan)] or ["  nothing"]
    return lines


def formula(stage: Stage, name: str, task: Task) -> str:
    """What a network of a stage minimises, for example ``0.2 · task + 0.8 · kd(T, temperature 2)``."""
    weight = stage.members[name].task_weight
    parts = [f"{_factor(weight)}task"] if weight else []
    parts += [
        f"{_factor(edge.weight)}{term(edge, task)}" for edge in stage.edges if edge.target == name and edge.weight
    ]
    return " + ".join(parts) or "nothing"


def term(edge: Edge[LossUse], task: Task) -> str:
    """An edge's loss as a function of its source, with the numbers that it depends on."""
    rising = f", rising over {edge.ramp.epochs:g} epochs" if edge.ramp else ""
    through = "" if edge.stop_gradient else ", which learns from it too"
    return f"{edge.loss.key}({', '.join([edge.source + where(edge, task), *_options(edge.loss)])}{rising}{through})"


def where(edge: Edge[LossUse], task: Task) -> str:
    """`` at last``, `` at stage4 to stage3``; nothing where logits are compared."""
    student, teacher = (tap if isinstance(tap, str) else " + ".join(tap) for tap in edge.taps(task))
    if student == teacher:
        return "" if student == "logits" else f" at {student}"
    return f" at {teacher} to {student}"


def wanted_from_outside(plan: Plan) -> list[str]:
    """What the plan wants that it does not make itself, and whether it is there."""
    pretrained = dict.fromkeys(
        (network.spec.encoder or network.spec.architecture).removeprefix("tu-")
        for network in plan.networks
        if network.spec and network.spec.weights == "imagenet" and not network.given
    )
    lines = [f"ImageNet weights of {name}, {_where_they_are(name)}" for name in pretrained]
    lines += [f"{given.option}: {given.path}: {_presence(given)}" for given in plan.needs]
    if plan.student_alone:
        lines.append(f"{plan.student_alone.option}: {plan.student_alone.path}: {_result(plan.student_alone)}")
    return lines


def _where_they_are(name: str) -> str:
    return f"in {file}" if (file := file_at_hand(name)) else "fetched by their library unless it has them"


def architecture_of_use(network: NetworkUse | Composed) -> str:
    """What a network is, in a few words."""
    if isinstance(network, Composed):
        return _COMPOSED.get(network.kind, "{kind} of {reads}").format(
            kind=network.kind, reads=", ".join(network.reads), **_words_of(network)
        )
    if network.spec is None or network.as_saved:
        return "as it was saved"
    return " ".join(filter(None, (network.spec.architecture, network.spec.encoder)))


_COMPOSED = {
    "fused": "classifier on the fused maps of {reads}",
    "mean": "mean of {reads}",
    "exit": "exit on stage {stage} of {reads}",
    "committee": "committee of {reads} ({integration})",
    "grafted": "{blocks} of {student} in {reads}",
}


def _words_of(network: Composed) -> dict[str, object]:
    """What the words on a kind of network name."""
    options = dict(network.options)
    if network.kind == "grafted":
        begin, end = options["replaced"]
        options["blocks"] = f"block {end}" if end == begin + 1 else f"blocks {begin + 1} to {end}"
        options["student"] = options["student"].name
    return options


def _member_lines(stage: Stage, name: str, task: Task) -> Iterator[str]:
    member = stage.members[name]
    yield f"  {name}: {architecture_of_use(member.network)}, {', '.join(_state(stage, name, member))}"
    if member.trains and not stage.probe:
        yield f"    loss: {formula(stage, name, task)}"


def _state(stage: Stage, name: str, member: Member) -> Iterator[str]:
    if name in stage.choices:
        yield f"one of {', '.join(stage.choices[name].candidates)}, decided then"
    elif member.starts:
        yield "from " + " and ".join(
            f"{start.network} of stage {start.stage}" + ("" if start.which == "best" else f", epoch {start.which}")
            for start in member.starts
        )
    elif stage.continues:
        yield f"going on from stage {stage.continues}" if member.trains else "as given"
    elif isinstance(member.network, NetworkUse):
        given = member.network.given
        spec = member.network.spec
        yield f"weights of {given.option}" if given else f"weights {spec.weights if spec else 'as saved'}"
    if isinstance(member.network, NetworkUse) and (rule := member.network.adapter):
        yield _convolution(rule)
    rates = {member.lr} if isinstance(member.lr, float | int) else set(member.lr.values())
    yield "frozen below its head" if stage.probe else "trains" if member.trains else "frozen"
    if member.trains and rates != {1.0}:
        yield f"learning rate × {', '.join(f'{rate:g}' for rate in sorted(rates))}"


def _convolution(rule: SharedWidth | int) -> str:
    if isinstance(rule, int):
        return f"1x1 convolution to {rule} channels inside"
    where = "" if rule.always else ", where it is wider"
    return f"1x1 convolution inside to the width of the narrowest student at {rule.tap}{where}"


def _training(stage: Stage) -> str:
    if stage.probe:
        return str(stage.probe)
    spec = stage.training
    epochs = f"{stage.last_epoch - stage.first_epoch} epochs"
    if stage.phase_end != stage.last_epoch or stage.first_epoch:
        epochs += f" (of {stage.phase_end}, after {stage.first_epoch})"
    parts = [epochs, f"batches of {spec.batch_size}", f"{spec.optimizer} at {spec.lr:g}, {spec.schedule}"]
    parts += [f"without fold {stage.fold[0]} of {stage.fold[1]}"] if stage.fold else []
    parts += ["networks in turn"] if stage.turns else []
    parts += [f"spared by {stage.instead}"] if stage.instead else []
    return "; ".join(parts)


def _factor(weight: float) -> str:
    return "" if weight == 1 else f"{weight:.4g} · "


def _options(loss: LossUse) -> Iterator[str]:
    """Every number, and whatever else is not as by default."""
    for option in loss.entry.options:
        value = loss.options.get(option.name, option.default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number or value != option.default:
            yield f"{option.name} {value:g}" if is_number else f"{option.name} {value}"


def _presence(given: Given) -> str:
    try:
        return f"there, {given.weights}"
    except UserError as error:
        return f"MISSING: {str(error).partition(': ')[2].splitlines()[0]}"


def _result(given: Given) -> str:
    return "there" if given.is_finished_run else "MISSING: no finished run"
