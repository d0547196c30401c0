"""What a recipe says of its technique: one model of options for each family of techniques."""

from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from preceptor.specs import Epochs, Fraction, Model, Task, Temperature, Weight

Strategy = Literal["predictions", "features", "diverse"]
Integration = Literal["average", "val_acc", "confidence", "entropy", "ce", "correct_only"]


class LossSpec(Model):
    """A knowledge loss by key (``preceptor methods`` lists them) or ``file.py:ClassName``.

    What is not given is the method's published setting. ``warmup`` is in epochs.
    """

    loss: str
    weight: float | None = None
    student_tap: str | tuple[str, ...] | None = None
    teacher_tap: str | tuple[str, ...] | None = None
    warmup: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_options(self) -> Self:
        from preceptor.catalogue import check_options, entry_for

        check_options(entry_for(self.loss), self.options)
        return self


class Route(Model):
    """What one student receives, from the teacher and from its peers."""

    teacher: Literal["predictions", "features"]
    peers: Literal["predictions", "features"]


PerStudent = Fraction | tuple[Fraction, ...]


class Technique(Model):
    """Base of the techniques' parts.

    Class attributes:
        tasks: in which the technique has a meaning.
        instead: why not in the other one, and what to take there.
    """

    tasks: ClassVar[tuple[Task, ...]] = get_args(Task)
    instead: ClassVar[str] = ""

    @property
    def has_teacher(self) -> bool:
        """Whether a teacher takes part."""
        return False


class MixtureSpec(Technique):
    """Every mixture of distillation and mutual learning (methods of Niyaz et al.).

    Each student's loss is alpha · task + beta · from the teacher + gamma · from its peers. What is not given
    follows from a sum of 1: beta = 1 - alpha for ``kd_*``, gamma = 1 - alpha for ``ml``, halves for ``kd_ml``.
    ``weights: published`` takes the weights of the published cell instead.

    Args:
        strategy: what is shared: ``predictions``, ``features``, or ``diverse`` (each student another kind).
        routing: replaces the strategy's table, one entry per student.
        losses: knowledge losses on every teacher edge in place of the strategy's; the total is then
            alpha · task + the sum of the losses' weights times their values, alpha by default what the
            losses' papers give the task (the smallest where they differ).
        hint: a loss that trains ``kd_offline``'s students first, without their task; FitNet's two stages are
            ``hint: {loss: fitnet}``. They start the distillation from the weights after the hint's last epoch.
        hint_epochs: of that stage, as many as ``training.epochs`` unless given.
        teacher: a run folder or weights to take the teacher from; without it one is trained first
            (``kd_offline``) or along with the students (``kd_online``, ``kd_ml``).
        adapter: the 1x1 convolution inside the teacher that brings its last map to the students' width:
            ``auto`` adds it where features are shared, ``always`` and ``never`` say what they do.
        teacher_learns: weight of the students' predictions in an online teacher's own loss.
        sequential: update the networks in turn, each seeing the others' refreshed predictions.
        network: whose baseline to train.
        snapshots_every: keep a lone teacher's weights after so many epochs each, and after the last, as snapshots for
            ``multi_part``; it then trains all its epochs.
        student_alone: run folder of the baseline that a teacher is compared with.
    """

    name: Literal["baseline", "kd_offline", "kd_online", "ml", "kd_ml"]
    strategy: Strategy = "predictions"
    weights: Literal["given", "published"] = "given"
    alpha: PerStudent | None = None
    beta: PerStudent | None = None
    gamma: PerStudent | None = None
    temperature: Temperature = 2.0
    direction: Literal["forward", "reverse"] = "forward"
    routing: tuple[Route, ...] = ()
    losses: tuple[LossSpec, ...] = ()
    hint: LossSpec | None = None
    hint_epochs: Epochs | None = None
    teacher: str | None = None
    adapter: Literal["auto", "always", "never"] = "auto"
    teacher_learns: Annotated[float, Field(ge=0)] = 0.0
    sequential: bool = False
    network: Literal["student", "teacher"] = "student"
    snapshots_every: Epochs | None = None
    student_alone: str | None = None

    @model_validator(mode="after")
    def _hint_comes_before_offline_distillation(self) -> Self:
        if self.hint and self.name != "kd_offline":
            raise ValueError(
                f"hint: {self.name} has no frozen teacher to take it from; use kd_offline, or leave it out"
            )
        if self.hint_epochs and not self.hint:
            raise ValueError("hint_epochs: there is no hint; name its loss too, for example `hint: {loss: fitnet}`")
        return self

    @model_validator(mode="after")
    def _snapshots_are_of_a_lone_teacher(self) -> Self:
        if self.snapshots_every and (self.name, self.network) != ("baseline", "teacher"):
            raise ValueError("snapshots_every: is for a teacher alone (name: baseline, network: teacher); leave it out")
        return self

    @property
    def shared(self) -> Strategy | None:
        """The strategy by which networks share, or None where nothing is shared or losses are named."""
        return None if self.name == "baseline" or self.losses else self.strategy

    @property
    def has_teacher(self) -> bool:
        """Whether a teacher takes part."""
        return self.name.startswith("kd") or (self.name == "baseline" and self.network == "teacher")


class EdgeSpec(LossSpec):
    """One transfer written out: ``source`` teaches ``target``."""

    source: str
    target: str
    stop_gradient: bool = True

    @model_validator(mode="after")
    def _has_two_ends(self) -> Self:
        if self.source == self.target:
            raise ValueError(f"source and target are both {self.source}: a network cannot teach itself; name two")
        return self


class GraphSpec(Technique):
    """A cohort with its transfers written out. Networks are called T, S1, S2, …

    ``teacher`` as in the mixtures: given, it is loaded and frozen; otherwise it trains with the others.
    """

    name: Literal["graph"]
    edges: tuple[EdgeSpec, ...]
    alpha: PerStudent | None = None
    teacher: str | None = None
    student_alone: str | None = None

    @model_validator(mode="after")
    def _has_edges(self) -> Self:
        if not self.edges:
            raise ValueError("edges: there is none, so nobody would teach anybody; write one, or use name: baseline")
        return self

    @property
    def has_teacher(self) -> bool:
        """Whether an edge names the teacher."""
        return any("T" in (edge.source, edge.target) for edge in self.edges)


class MultiPartSpec(Technique):
    """Distillation in parts: the teacher of the students' i-th part is the teacher's own i-th snapshot (Multi-Part KD).

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


class KTHF2Spec(Technique):
    """Unlike peers and a classifier F on their fused maps learn from each other (KTHF²).

    Each peer's loss is its task + mutual · from the other peers + to_peers · from F; F's is
    fused_task · its task + from_ensemble · from the mean of the peers' logits.

    Args:
        mutual: deep mutual learning, at temperature 1.
        temperature: of what goes from and to F.
        ramp: share of the epochs over which to_peers and from_ensemble rise to their full weight; 0 begins with it.
        levels: how many of the peers' last stages are fused.
        cross_level: fuse each level of a peer with the next deeper one of another, too.
        detach_maps: what F learns does not reach the peers through their maps.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    instead: ClassVar[str] = "F pools the fused maps and says nothing of pixels. Take ml or kd_ml for masks"

    name: Literal["kthf2"]
    mutual: Weight = 1.0
    fused_task: Weight = 1.0
    to_peers: Weight = 1.0
    from_ensemble: Weight = 1.0
    temperature: Temperature = 3.0
    ramp: Fraction = 0.27
    levels: Annotated[int, Field(ge=1, le=4)] = 2
    cross_level: bool = True
    detach_maps: bool = False

    @property
    def fuses(self) -> bool:
        """Whether F takes part."""
        return bool(self.fused_task or self.to_peers or self.from_ensemble)

    @model_validator(mode="after")
    def _fused_classifier_learns(self) -> Self:
        if self.to_peers and not (self.fused_task or self.from_ensemble):
            raise ValueError(
                "to_peers: the fused classifier would teach without having learned; "
                "give fused_task or from_ensemble a weight, or set to_peers: 0 too"
            )
        return self


class MultiTeacherSpec(Technique):
    """Several frozen teachers T1, T2, … that teach as one committee T.

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
    """

    name: Literal["multi_teacher"]
    integration: Integration = "val_acc"
    power: Annotated[float, Field(gt=0)] | None = None
    temperature: Temperature = 4.0
    alpha: PerStudent | None = None
    beta: PerStudent | None = None
    gamma: PerStudent | None = None
    teachers: tuple[str, ...] = ()
    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    student_alone: str | None = None

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if self.folds and self.teachers:
            raise ValueError("folds: the teachers are given, none is trained on a part of the data; leave one out")
        if self.power and self.integration != "val_acc":
            raise ValueError(f"power: integration {self.integration} does not weigh by validation scores; leave it out")
        return self

    @property
    def has_teacher(self) -> bool:
        """A committee always takes part."""
        return True


class GraftSpec(Technique):
    """The student takes the teacher's place, block by block (progressive network grafting).

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
    teachers: tuple[str, ...] = ()
    integration: Integration = "val_acc"
    host: str | None = None
    host_weight: Weight = 0.0
    student_alone: str | None = None

    @model_validator(mode="after")
    def _teachers_fit(self) -> Self:
        if self.teacher and self.teachers:
            raise ValueError("teacher and teachers: give one of them")
        return self

    @property
    def has_teacher(self) -> bool:
        """A teacher always takes part."""
        return True


class SelfDistillSpec(Technique):
    """Exits E1, E2, … on the stages of one student, which learn from its last stage while they train those before.

    (1 - alpha) · the task of the student and of every exit + alpha · KD into every exit + beta · exit_features.

    Args:
        method: ``byot``: the student teaches its exits. ``tskd``: a frozen teacher teaches the student and its exits
            too.
        exits: stages that have one, 1 the finest; all but the last unless given.
        alpha: of the distillation, 1 - alpha of the tasks.
        temperature: 3 for ``byot``, 4 for ``tskd`` unless given.
        beta: of the pooled features that exits copy from the last stage, in batches of 128 images.
        teacher_share: of ``tskd``: share of alpha that comes from the teacher, half unless given; the rest comes from
            the student. 0 leaves the teacher out, which is ``byot``.
        teacher: of ``tskd``: a run folder or weights; without it one is trained first.
        student_alone: of ``tskd``: run folder of the baseline that the teacher is compared with.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    instead: ClassVar[str] = "an exit pools a stage and says nothing of pixels. Take kd_offline or ml for masks"

    name: Literal["self_distill"]
    method: Literal["byot", "tskd"] = "byot"
    exits: tuple[Annotated[int, Field(gt=0)], ...] = ()
    alpha: Fraction = 0.1
    temperature: Temperature | None = None
    beta: Weight = 1e-6
    teacher_share: Fraction | None = None
    teacher: str | None = None
    student_alone: str | None = None

    @model_validator(mode="after")
    def _teacher_has_a_place(self) -> Self:
        for option in ("teacher_share", "teacher", "student_alone") if self.method == "byot" else ():
            if getattr(self, option) is not None:
                raise ValueError(f"{option}: byot has no teacher; use `method: tskd`, or leave it out")
        if len(set(self.exits)) < len(self.exits):
            raise ValueError("exits: a stage is named twice")
        return self

    @property
    def from_teacher(self) -> float:
        """Share of alpha that comes from a teacher."""
        if self.method == "byot":
            return 0.0
        return 0.5 if self.teacher_share is None else self.teacher_share

    @property
    def has_teacher(self) -> bool:
        """Whether a teacher takes part."""
        return self.from_teacher > 0


class DynamicKDSpec(Technique):
    """A trained teacher and its students learn from each other (dynamic KD).

    Each student's loss is alpha · task + weight · KD from the teacher; the teacher's is its task
    + teacher_learns · KD from the students, shared among them, + anchor · KD from what it was.

    Args:
        warmup: share of the epochs over which teacher_learns rises to its full weight.
        anchor: of the teacher as it began, frozen, against drift.
        teacher_lr: factor of the learning rate for the teacher; 0 freezes it.
        teacher: a run folder or weights to take the teacher from; without it one is trained first.
        student_alone: run folder of the baseline that the teacher is compared with.
    """

    name: Literal["dynamic_kd"]
    weight: Weight = 1.0
    alpha: PerStudent | None = None
    teacher_learns: Weight = 0.1
    warmup: Fraction = 0.1
    anchor: Weight = 0.5
    teacher_lr: Annotated[float, Field(ge=0)] = 0.1
    temperature: Temperature = 4.0
    direction: Literal["forward", "reverse"] = "forward"
    teacher: str | None = None
    student_alone: str | None = None

    @model_validator(mode="after")
    def _frozen_teacher_learns_nothing(self) -> Self:
        if not self.teacher_lr and (self.teacher_learns or self.anchor):
            raise ValueError(
                "teacher_lr 0 freezes the teacher, which then learns nothing: set teacher_learns and anchor to 0 too"
            )
        return self

    @property
    def has_teacher(self) -> bool:
        """A teacher always takes part."""
        return True


TechniqueSpec = Annotated[
    MixtureSpec
    | MultiPartSpec
    | KTHF2Spec
    | MultiTeacherSpec
    | GraftSpec
    | SelfDistillSpec
    | DynamicKDSpec
    | GraphSpec,
    Field(discriminator="name"),
]
TECHNIQUES: tuple[type[Model], ...] = (
    MixtureSpec,
    GraphSpec,
    DynamicKDSpec,
    MultiPartSpec,
    KTHF2Spec,
    MultiTeacherSpec,
    GraftSpec,
    SelfDistillSpec,
)
TAGS = {tag: spec for spec in TECHNIQUES for tag in get_args(spec.model_fields["name"].annotation)}
