"""A recipe describes one run completely: data, split, networks, technique, training, seed.

Frozen pydantic models with defaults, checked when they are built, read from and written to YAML.
Nothing here imports torch: a wrong recipe is refused at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from preceptor.errors import UserError
from preceptor.explain import explain, unknown

Task = Literal["classification", "segmentation"]
Strategy = Literal["predictions", "features", "diverse"]
Integration = Literal["average", "val_acc", "confidence", "entropy", "ce", "correct_only"]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Model(BaseModel):
    """Base of every recipe part: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TileSpec(Model):
    """Cut images into square tiles of ``size`` pixels, neighbours sharing ``overlap`` pixels."""

    size: Annotated[int, Field(gt=0)]
    overlap: Annotated[int, Field(ge=0)] = 0


class DataSpec(Model):
    """Where the images come from and how they are packed.

    ``image_size`` is (height, width) or one number for both. ``resize`` is what happens to images
    of another size: ``squash`` stretches, ``crop`` scales the short side and cuts the centre,
    ``pad`` scales the long side and fills with the border colour. ``tile`` cuts instead.
    ``duplicates`` is what happens to images with equal pixels: ``drop`` keeps one where the labels
    agree and none where they differ, ``keep`` puts all of them on one side of the split,
    ``error`` refuses. What was done is stated on the terminal and in the result.
    """

    source: str
    path: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    image_size: Annotated[int, Field(gt=0)] | tuple[int, int] = 224
    resize: Literal["squash", "crop", "pad"] = "squash"
    tile: TileSpec | None = None
    duplicates: Literal["drop", "keep", "error"] = "drop"
    cache: str | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of a packed image."""
        return self.image_size if isinstance(self.image_size, tuple) else (self.image_size, self.image_size)


class SplitSpec(Model):
    """``by``: ``group`` where the data knows groups, ``image``, or ``official`` parts; ``auto`` picks
    official, then group, then image, and says which.

    ``shots`` keeps that many random images of each class (for masks: in all) of the training part; fewer are
    contained in more. ``shots_seed`` draws others of the same training part; by default it is the split's seed.
    """

    by: Literal["auto", "group", "image", "official"] = "auto"
    fractions: tuple[Fraction, Fraction, Fraction] = (0.75, 0.10, 0.15)
    train_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    shots: Annotated[int, Field(gt=0)] | None = None
    shots_seed: int | None = None
    seed: int | None = None

    @model_validator(mode="after")
    def _one_way_to_take_less(self) -> Self:
        if self.shots is not None and self.train_fraction < 1:
            raise ValueError("shots and train_fraction both take a part of the training images; give one of them")
        if self.shots is None and self.shots_seed is not None:
            raise ValueError("shots_seed: there are no shots to draw; give `shots` too")
        return self


class AugmentSpec(Model):
    """Random changes of each training image, the same for its mask.

    ``rotate`` is the largest angle in degrees, ``shift`` the largest move as a share of the side,
    ``scale`` the largest relative change of size, ``stain`` the strength of H&E stain jitter,
    ``colour`` that of brightness, contrast and saturation jitter. ``views`` is how many changed versions of an
    image there are, shown in turn, epoch by epoch; unless given, every epoch has its own.
    """

    flip_horizontal: bool = True
    flip_vertical: bool = True
    transpose: bool = False
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    shift: Annotated[float, Field(ge=0, lt=1)] = 0.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    stain: Annotated[float, Field(ge=0, lt=1)] = 0.0
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.0
    views: Annotated[int, Field(gt=0)] | None = None

    @property
    def changes(self) -> bool:
        """Whether any image is changed at all."""
        return any(self.model_dump(exclude={"views"}).values())

    def view(self, epoch: int) -> int:
        """Which version of the images ``epoch`` (the first is 0) shows."""
        if not self.changes:
            return 0
        return epoch % self.views if self.views else epoch


class NetworkSpec(Model):
    """One network.

    ``architecture`` is a timm name for classification (``hf-hub:`` and ``local-dir:`` work) or a
    segmentation-models-pytorch architecture such as ``unet``, which also wants an ``encoder``.
    ``weights``: ``imagenet``, ``none``, or a folder or .safetensors file. ``options`` go to the library.
    """

    architecture: str
    encoder: str | None = None
    weights: str = "imagenet"
    input_size: Annotated[int, Field(gt=0)] | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class TaskLossSpec(Model):
    """The task's own loss: cross entropy for classes, focal plus Dice for masks.

    Args:
        label_smoothing, class_weights: of the cross entropy; ``balanced`` weighs classes by inverse frequency.
        focal_gamma, focal_alpha, focal_reduction, dice_squared: of the mask loss; ``sum`` adds the focal
            term over all pixels, as printed by Niyaz et al.
    """

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weights: Literal["balanced"] | None = None
    focal_gamma: Annotated[float, Field(ge=0)] = 2.0
    focal_alpha: Annotated[float, Field(gt=0, lt=1)] | None = None
    focal_reduction: Literal["mean", "sum"] = "mean"
    dice_squared: bool = True


class NetworksSpec(Model):
    """Who takes part: a ``teacher`` or a list of ``teachers``, and either ``count`` copies of one ``student`` or a list
    of ``students``."""

    teacher: NetworkSpec | None = None
    teachers: tuple[NetworkSpec, ...] = ()
    student: NetworkSpec | None = None
    count: Annotated[int, Field(gt=0)] = 2
    students: tuple[NetworkSpec, ...] = ()

    @model_validator(mode="after")
    def _one_way_to_name_each(self) -> Self:
        if bool(self.students) == (self.student is not None):
            raise ValueError("give either `student` (with `count`) or a list of `students`")
        if self.teachers and self.teacher is not None:
            raise ValueError("give either `teacher` or a list of `teachers`")
        return self

    @property
    def peers(self) -> dict[str, NetworkSpec]:
        """The students by name: S1, S2, …"""
        specs = self.students or (self.student,) * self.count
        return {f"S{number}": spec for number, spec in enumerate(specs, start=1) if spec is not None}


class LossSpec(Model):
    """A knowledge loss by key (``preceptor methods`` lists them) or ``file.py:ClassName``.

    What is not given is the method's published setting. ``warmup`` is in epochs.
    """

    loss: str
    weight: float | None = None
    student_tap: str | tuple[str, ...] | None = None
    teacher_tap: str | tuple[str, ...] | None = None
    warmup: Annotated[int, Field(ge=0)] | None = None
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
Weight = Annotated[float, Field(ge=0)]


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
    temperature: Annotated[float, Field(gt=0)] = 2.0
    direction: Literal["forward", "reverse"] = "forward"
    routing: tuple[Route, ...] = ()
    losses: tuple[LossSpec, ...] = ()
    hint: LossSpec | None = None
    hint_epochs: Annotated[int, Field(gt=0)] | None = None
    teacher: str | None = None
    adapter: Literal["auto", "always", "never"] = "auto"
    teacher_learns: Annotated[float, Field(ge=0)] = 0.0
    sequential: bool = False
    network: Literal["student", "teacher"] = "student"
    snapshots_every: Annotated[int, Field(gt=0)] | None = None
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


class GraphSpec(Technique):
    """A cohort with its transfers written out. Networks are called T, S1, S2, …

    ``teacher`` as in the mixtures: given, it is loaded and frozen; otherwise it trains with the others.
    """

    name: Literal["graph"]
    edges: tuple[EdgeSpec, ...]
    alpha: PerStudent | None = None
    teacher: str | None = None
    student_alone: str | None = None

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
    every: Annotated[int, Field(gt=0)] = 5
    teacher_every: Annotated[int, Field(gt=0)] | None = None
    snapshots: tuple[str, ...] = ()
    anchors: Literal["equal", "greedy", "last"] = "equal"
    ratio: Annotated[float, Field(gt=0)] = 1.25
    weight: Annotated[float, Field(ge=0)] = 0.5
    alpha: PerStudent | None = None
    temperature: Annotated[float, Field(gt=0)] = 5.0
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
    temperature: Annotated[float, Field(gt=0)] = 3.0
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
    temperature: Annotated[float, Field(gt=0)] = 4.0
    alpha: PerStudent | None = None
    beta: PerStudent | None = None
    gamma: PerStudent | None = None
    teachers: tuple[str, ...] = ()
    folds: Annotated[int, Field(ge=2)] | None = None
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
    temperature: Annotated[float, Field(gt=0)] = 4.0
    task_weight: Weight = 0.0
    block_epochs: Annotated[int, Field(gt=0)] | None = None
    chain_epochs: Annotated[int, Field(gt=0)] | None = None
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
    temperature: Annotated[float, Field(gt=0)] | None = None
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
    temperature: Annotated[float, Field(gt=0)] = 4.0
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


class CacheSpec(Model):
    """Keeping on disk what frozen teachers say of each training image, for later epochs and runs.

    Args:
        enabled: results are the same without, bit for bit on a CPU unless ``dtype`` rounds.
        dtype: ``float32`` keeps what was computed; ``float16`` rounds what the teachers say, whether it is computed
            or read, and takes half the space.
        budget: GiB that all kept outputs together may take; what does not fit is computed in every step.
    """

    enabled: bool = True
    dtype: Literal["float32", "float16"] = "float32"
    budget: Annotated[float, Field(gt=0)] = 4.0


class TrainingSpec(Model):
    """How a stage is trained.

    Args:
        epochs, batch_size: the batch is the global one, shared among processes.
        schedule: of the learning rate over the epochs: ``step`` multiplies by ``decay`` every
            ``step_epochs``; ``polynomial`` has exponent ``power``; ``warmup_epochs`` rise linearly.
        max_grad_norm: clips each network's own gradient.
        precision: mixed precisions keep losses in float32.
        sync_batchnorm: on several GPUs, BatchNorm statistics of the whole batch instead of one process's share.
        channels_last: keep images and weights in the memory layout that convolutions of some networks prefer.
        placement: ``measured`` times each network for a moment when training begins and takes the faster memory
            layout, and the lower ``precision`` only where that is faster; remembered for this machine. Rounding, and
            so the last bits of a result, depend on the choice; ``fixed`` computes as the recipe says.
        validate_every: epochs from one validation to the next, where an epoch is short, as with few shots; the last
            one is always validated, of a training in parts that of the last part.
        patience: validations without a better score after which a network's weights are settled; the stage ends
            when all are. None never does.
        ema: decay of an exponential moving average of the weights, which is then what is evaluated.
        balance: over- or under-sample classes in training.
        threads: compute threads; results are bit-identical for equal threads.
        workers: threads that prepare batches ahead; they change nothing but speed.
        tensorboard: write TensorBoard events too (extra ``tensorboard``).
        teacher_cache: see :class:`CacheSpec`.
    """

    epochs: Annotated[int, Field(gt=0)] = 20
    batch_size: Annotated[int, Field(gt=0)] = 8
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: Annotated[float, Field(gt=0)] = 1e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    schedule: Literal["constant", "step", "cosine", "polynomial"] = "constant"
    step_epochs: Annotated[int, Field(gt=0)] = 5
    decay: Annotated[float, Field(gt=0, le=1)] = 0.5
    power: Annotated[float, Field(gt=0)] = 0.9
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] | None = None
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    sync_batchnorm: bool = False
    channels_last: bool = False
    placement: Literal["fixed", "measured"] = "fixed"
    validate_every: Annotated[int, Field(gt=0)] = 1
    patience: Annotated[int, Field(gt=0)] | None = None
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    monitor: Literal["accuracy", "f1", "auroc", "iou", "iou_per_image"] | None = None
    balance: Literal["over", "under"] | None = None
    drop_last: bool = False
    threads: Annotated[int, Field(gt=0)] | None = None
    workers: Annotated[int, Field(ge=0)] = 1
    tensorboard: bool = False
    teacher_cache: CacheSpec = CacheSpec()

    @model_validator(mode="after")
    def _one_word_on_the_layout(self) -> Self:
        if self.placement == "measured" and self.channels_last:
            raise ValueError("channels_last: `placement: measured` chooses the layout; leave channels_last out")
        return self


class Recipe(Model):
    """One run, completely."""

    name: str = ""
    task: Task
    data: DataSpec
    split: SplitSpec = SplitSpec()
    augment: AugmentSpec = AugmentSpec()
    networks: NetworksSpec
    technique: TechniqueSpec
    task_loss: TaskLossSpec = TaskLossSpec()
    training: TrainingSpec = TrainingSpec()
    teacher_training: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        strangers = set(self.teacher_training) - set(TrainingSpec.model_fields)
        if strangers:
            raise ValueError(f"teacher_training: {unknown(sorted(strangers)[0], TrainingSpec.model_fields)}")
        whole_run = sorted({"monitor", "threads", "tensorboard", "teacher_cache"} & set(self.teacher_training))
        if whole_run:
            raise ValueError(f"teacher_training: {whole_run[0]} is for the whole run; put it under training")
        self.teacher_stage_training  # noqa: B018  # wrong values are refused now, not after the first stage
        monitors = {"classification": ("accuracy", "f1", "auroc"), "segmentation": ("iou", "f1", "iou_per_image")}
        if self.training.monitor not in (None, *monitors[self.task]):
            raise ValueError(f"training.monitor: {self.task} has {', '.join(monitors[self.task])}")
        technique = self.technique
        named: tuple[LossSpec | None, ...] = ()
        if isinstance(technique, GraphSpec):
            named = technique.edges
        elif isinstance(technique, MixtureSpec):
            named = (*technique.losses, technique.hint)
        for spec in filter(None, named):
            self._require_task(spec)
        if self.task not in technique.tasks:
            raise ValueError(
                f"technique {technique.name} is for {', '.join(technique.tasks)}, this recipe's task is {self.task}: "
                f"{technique.instead}"
            )
        takes_several = "teachers" in type(technique).model_fields
        if self.networks.teachers and not takes_several:
            raise ValueError(f"networks.teachers: {technique.name} has one teacher at most; give `networks.teacher`")
        has_some = self.networks.teachers or getattr(technique, "teachers", ())
        if technique.has_teacher and self.networks.teacher is None and not has_some:
            wanted = "`networks.teacher`, `networks.teachers` or `technique.teachers`"
            raise ValueError(f"technique {technique.name} wants {wanted if takes_several else '`networks.teacher`'}")
        if self.technique.name in ("ml", "kd_ml", "kthf2") and len(self.networks.peers) < 2:
            raise ValueError(f"{self.technique.name} wants at least two students (`networks.count: 2`)")
        if self.technique.name == "self_distill" and len(self.networks.peers) > 1:
            raise ValueError(
                f"self_distill is about one student with exits, here are {len(self.networks.peers)}; "
                "set `networks.count: 1`"
            )
        return self

    def _require_task(self, spec: LossSpec) -> None:
        from preceptor.catalogue import entry_for

        tasks = entry_for(spec.loss).settings
        if self.task not in tasks:
            raise ValueError(
                f"technique {self.technique.name}: loss {spec.loss!r} is for {', '.join(tasks)}, this recipe's task is "
                f"{self.task}; `preceptor methods` lists every loss with its tasks"
            )

    @property
    def teacher_stage_training(self) -> TrainingSpec:
        """``training`` with what ``teacher_training`` changes, for a stage that trains the teacher alone."""
        return TrainingSpec.model_validate({**self.training.model_dump(), **self.teacher_training})

    @property
    def monitor(self) -> str:
        """The validation score that chooses weights."""
        return self.training.monitor or ("accuracy" if self.task == "classification" else "iou")

    def to_yaml(self) -> str:
        """The complete recipe, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> tuple[Recipe, list[str]]:
    """Read a recipe and apply ``a.b=value`` overrides, values being YAML.

    Changing ``technique.name`` leaves out the options that the new technique does not have.

    Returns:
        the recipe, and a note for each option left out.

    Raises:
        UserError: what is wrong, where, and the nearest valid key.
    """
    return changed_recipe(read_mapping(path, "recipe"), map(parse_override, overrides), origin=str(path))


def read_mapping(path: Path, what: str) -> dict[str, Any]:
    """The YAML mapping in ``path``, unchecked; ``what`` it is called in errors."""
    try:
        raw = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        example = "recipes/phantom.yaml" if what == "recipe" else "studies/phantom.yaml"
        raise UserError(f"no {what} {str(path)!r}: give the path of a .yaml file, for example {example}") from None
    except IsADirectoryError:
        raise UserError(f"{what} {str(path)!r} is a folder: give the .yaml file in it") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{what} {str(path)!r} is not readable YAML: {error}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{what} {str(path)!r} holds {type(raw).__name__}, a mapping of keys was wanted")
    return raw


def changed_recipe(
    raw: Mapping[str, Any], changes: Iterable[tuple[str, Any]], origin: str = "recipe"
) -> tuple[Recipe, list[str]]:
    """Build the recipe that ``raw`` is after ``changes`` (dotted key, value), as :func:`load_recipe` does."""
    changed, notes = changed_mapping(raw, changes)
    return parse_recipe(changed, origin=origin), notes


def changed_mapping(raw: Mapping[str, Any], changes: Iterable[tuple[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """``raw`` after ``changes``, unchecked, and a note for each technique option left out."""
    changed, changes = deepcopy(dict(raw)), list(changes)
    technique = raw.get("technique")
    before = dict(technique) if isinstance(technique, dict) else {}
    for where, value in changes:
        apply_change(changed, where, value)
    return changed, _leave_out(changed.get("technique"), before, [where for where, _ in changes])


def parse_recipe(raw: object, origin: str = "recipe") -> Recipe:
    """Check ``raw`` and build the recipe; UserError in the user's words where it is wrong."""
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        lines = [explain(detail, Recipe, _TAGS) for detail in error.errors(include_url=False)]
        raise UserError("\n".join([f"{origin}:", *(f"  {line}" for line in dict.fromkeys(lines))])) from None


def _leave_out(technique: object, before: Mapping[str, Any], changed: Sequence[str]) -> list[str]:
    """Drop the recipe's own technique options that a technique chosen by an override does not have."""
    if not isinstance(technique, dict) or technique.get("name") == before.get("name"):
        return []
    spec = _TAGS.get(str(technique.get("name")))
    known = set(spec.model_fields) if spec else set()
    chosen = {where.removeprefix("technique.").split(".")[0] for where in changed}
    left_out = sorted(set(before) & set(technique) - known - chosen) if known else []
    for key in left_out:
        del technique[key]
    return [f"technique.{key} of the recipe is no option of {technique['name']}: left out" for key in left_out]


def parse_override(text: str) -> tuple[str, Any]:
    """Dotted key and value of ``a.b=value``, the value being YAML."""
    where, equals, value = text.partition("=")
    if not equals or not where:
        raise UserError(f"--set {text!r}: write it as key.key=value, for example training.epochs=5")
    try:
        return where, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UserError(f"--set {where}: {value!r} is not a YAML value: {error}") from None


def apply_change(raw: dict[str, Any], where: str, value: Any) -> None:
    """Put ``value`` at the dotted key ``where`` of ``raw``, in place."""
    *parents, last = where.split(".")
    node = raw
    for parent in parents:
        node = node.setdefault(parent, {})
        if not isinstance(node, dict):
            raise UserError(f"--set {where}: {parent!r} is a single value in the recipe and has no keys below it")
    node[last] = value


_TECHNIQUES: tuple[type[Model], ...] = (
    MixtureSpec,
    GraphSpec,
    DynamicKDSpec,
    MultiPartSpec,
    KTHF2Spec,
    MultiTeacherSpec,
    GraftSpec,
    SelfDistillSpec,
)
_TAGS = {tag: spec for spec in _TECHNIQUES for tag in get_args(spec.model_fields["name"].annotation)}
