"""What a recipe says of its data, split, networks and training.

Frozen pydantic models with defaults, checked when they are built. Nothing here imports torch.
"""

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from preceptor.own_code import is_code

Task = Literal["classification", "segmentation"]
Scored = Literal["classification", "segmentation", "features"]
"""What networks are scored in: their task, or where no label is read their features."""
FEATURES: Scored = "features"
ResizeRule = Literal["squash", "crop", "pad"]
Colour = tuple[int, ...]
"""Of each channel, 0 to 255: red, green and blue."""
Fraction = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
Integration = Literal["average", "val_acc", "confidence", "entropy", "ce", "correct_only"]
"""How much each of several teachers counts."""

NEEDS_LABELS: tuple[Integration, ...] = ("ce", "correct_only")
"""Those that depend on the truth."""
LOCAL, HUB = "local-dir:", "hf-hub:"
"""How architectures begin that name a saved network: a folder, or a model of the Hugging Face hub."""

# Upper ends far above what anybody trains with: beyond them stands a typing mistake, which would take all memory, all
# threads, or for ever.
Epochs = Annotated[int, Field(gt=0, le=1_000_000)]
PixelCount = Annotated[int, Field(gt=0, le=32_768)]
Side = Annotated[int, Field(ge=4, le=32_768)]  # of an image: below, there is nothing to see
Images = Annotated[int, Field(gt=0, le=1_000_000)]
Networks = Annotated[int, Field(gt=0, le=100)]
Threads = Annotated[int, Field(gt=0, le=1024)]
Channels = Annotated[int, Field(ge=1, le=16)]
Depth = Literal[8, 16]
"""Bits of a value."""
IGNORED = 255
"""In masks, for pixels that count in no loss and in no score; classes are 0 to 254."""


class Model(BaseModel):
    """Base of every recipe part: frozen; unknown keys are errors, and so is a number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="after")
    def _finite_in_free_parts(self) -> Self:
        """What pydantic's own rule does not reach: mappings whose values may be anything."""
        for name, value in self:
            for where, number in _not_finite(value, name):
                raise ValueError(f"{where}: should be a finite number, got {number}")
        return self


def _not_finite(value: object, where: str) -> Iterator[tuple[str, float]]:
    """Infinities and NaN in nested mappings and lists, each with its dotted key."""
    if isinstance(value, float) and not math.isfinite(value):
        yield where, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _not_finite(inner, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for place, inner in enumerate(value):
            yield from _not_finite(inner, f"{where}.{place}")


class TileSpec(Model):
    """Cut images into square tiles.

    Args:
        size: side of a tile in pixels.
        overlap: pixels that neighbours share.
    """

    size: PixelCount
    overlap: Annotated[int, Field(ge=0, le=32_768)] = 0


class SubsetSpec(Model):
    """A random part of all images, drawn before the split.

    Args:
        count: how many images.
        balanced: equally many of each class.
        seed: draws them; the runs of several seeds see the same unless they say otherwise.
    """

    count: Images
    balanced: bool = False
    seed: int = 0


class DataSpec(Model):
    """Where the images come from and how they are packed.

    Args:
        source: who reads them, one of the data sources, or your own as ``path/to/file.py:name``.
        path: the folder, table or file; may hold ``${VARIABLES}``. Generated images have none.
        options: of the source.
        image_size: (height, width) of a packed image, or one number for both.
        resize: what happens to images of another size: ``squash`` stretches, ``crop`` scales the short side and cuts
            the centre, ``pad`` scales the long side and fills with the mean colour by which the first student
            normalises, as timm's ``border`` does.
        tile: cut images into tiles instead.
        subset: draw some of the images, before they are split and packed, and use no others.
        channels: how many channels images have and networks take.
        depth: how many bits each packed value has.
        duplicates: what happens to images with equal pixels: ``drop`` keeps one where the labels agree and none where
            they differ, ``keep`` puts all of them on one side of the split, ``error`` refuses. What was done is
            stated on the terminal and in the result.
        unlabelled: a folder, or a table with a column ``image``, of more images, without labels: they are in the
            training part, where networks learn from them what teachers and peers say of them.
        cache: folder in which packed images are kept; by default that of preceptor.
    """

    source: str
    path: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    image_size: Side | tuple[Side, Side] = 224
    resize: ResizeRule = "squash"
    tile: TileSpec | None = None
    subset: SubsetSpec | None = None
    channels: Channels = 3
    depth: Depth = 8
    duplicates: Literal["drop", "keep", "error"] = "drop"
    unlabelled: str | None = None
    cache: str | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As it is; without ``unlabelled`` where there is none, as recipes were written before."""
        found: dict[str, Any] = written(self)
        if not found.get("unlabelled", True):
            del found["unlabelled"]
        return found

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of a packed image."""
        return self.image_size if isinstance(self.image_size, tuple) else (self.image_size, self.image_size)


class LabelsSpec(Model):
    """How many labels of the training part are known. The other images stay in training, without one.

    Args:
        fraction: share of the labels, at least one of each class, or of the masks, at least one; 0 (``labels: none``)
            reads none of any part.
        per_class: or so many of each class.
        count: or so many masks, which have no class per image.
        seed: draws them; the split's unless given.
    """

    fraction: Fraction | None = None
    per_class: Images | None = None
    count: Images | None = None
    seed: int | None = None

    @model_validator(mode="after")
    def _one_way_to_say_how_many(self) -> Self:
        if sum(number is not None for number in (self.fraction, self.per_class, self.count)) != 1:
            raise ValueError("say how many labels are known: `fraction`, `per_class` or `count`, one of them")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As it is; without ``count`` where it is not given, as recipes were written before."""
        found: dict[str, Any] = written(self)
        if found.get("count", 0) is None:
            del found["count"]
        return found

    @property
    def are_none(self) -> bool:
        """Whether no label is read at all."""
        return self.fraction == 0


class SplitSpec(Model):
    """How samples are divided into training, validation and test.

    Args:
        by: ``group`` where the data knows groups, ``image``, or ``official`` parts; ``auto`` picks official, then
            group, then image, and says which.
        fractions: shares of training, validation and test.
        folds: divides the data into that many parts, of which one is the test part; the others are shared by training
            and validation in the proportion of their ``fractions``.
        fold: which of them is the test part, counting from 0.
        train_fraction: share of the training part that is used.
        shots: keeps that many random images of each class (for masks: in all) of the training part; fewer are
            contained in more.
        shots_seed: draws another such fraction or other shots of the same training part; by default the split's seed.
        labels: how many labels of the training part are known, while every image stays in it: ``{fraction: 0.1}``,
            ``{per_class: 5}``, of masks ``{count: 5}``, or ``none``. Networks learn from the others what teachers and
            peers say of them.
        seed: of the division; by default the recipe's.
        stratify: whether classes are spread over the parts as evenly as groups allow; ``distil_features``, which reads
            no labels at first, never does, and what is compared with it should not either.
    """

    by: Literal["auto", "group", "image", "official"] = "auto"
    fractions: tuple[Fraction, Fraction, Fraction] = (0.75, 0.10, 0.15)
    folds: Annotated[int, Field(ge=2, le=1000)] | None = None
    fold: Annotated[int, Field(ge=0)] = 0
    train_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    shots: Images | None = None
    shots_seed: int | None = None
    labels: LabelsSpec | None = None
    seed: int | None = None
    stratify: bool = True

    @field_validator("by", mode="before")
    @classmethod
    def _a_patient_is_a_group(cls, value: object) -> object:
        if value in ("patient", "patients", "case", "slide", "lesion", "subject", "groups", "images"):
            say = "image" if value == "images" else "group"
            more = "" if value in ("images", "groups") else f"; that a group is a {value}, data.options.group says"
            raise ValueError(f"{value!r} is called {say} here: use by: {say}{more}")
        return value

    @model_validator(mode="before")
    @classmethod
    def _none_is_a_word(cls, raw: object) -> object:
        """``labels: none`` reads none, ``labels: all`` reads all."""
        words = {"none": {"fraction": 0.0}, "all": None}
        if isinstance(raw, dict) and isinstance(raw.get("labels"), str) and raw["labels"] in words:
            return {**raw, "labels": words[raw["labels"]]}
        return raw

    @model_serializer(mode="wrap")
    def _without_what_is_usual(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As it is; without ``stratify`` and ``labels`` where they are as ever, as recipes were written before."""
        found: dict[str, Any] = written(self)
        if found.get("stratify", False):
            del found["stratify"]
        if not found.get("labels", True):
            del found["labels"]
        return found

    @model_validator(mode="after")
    def _fold_is_one_of_the_folds(self) -> Self:
        if self.folds is None and self.fold:
            raise ValueError("fold: there are no folds; give `folds` too")
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"fold: {self.folds} folds are numbered 0 to {self.folds - 1}, got {self.fold}")
        if self.folds is not None and self.by == "official":
            raise ValueError("folds: the official test part is no fold; use by: group or by: image")
        return self

    @model_validator(mode="after")
    def _one_way_to_take_less(self) -> Self:
        if self.shots is not None and self.train_fraction < 1:
            raise ValueError("shots and train_fraction both take a part of the training images; give one of them")
        if self.labels is not None and (self.shots is not None or self.train_fraction < 1):
            raise ValueError(
                "labels keeps every image and hides labels, shots and train_fraction leave images out; give one of them"
            )
        if self.shots is None and self.train_fraction == 1 and self.shots_seed is not None:
            raise ValueError("shots_seed: there is nothing to draw; give `shots` or `train_fraction` too")
        return self


class AugmentSpec(Model):
    """Random changes of each training image, the same for its mask.

    Args:
        flip_horizontal: exchange left and right, at random.
        flip_vertical: exchange top and bottom, at random.
        transpose: exchange rows and columns, at random.
        rotate: the largest angle in degrees.
        shift: the largest move as a share of the side.
        scale: the largest relative change of size.
        stain: the strength of H&E stain jitter.
        colour: that of brightness, contrast and saturation jitter.
        views: how many changed versions of an image there are, shown in turn, epoch by epoch; unless given, every
            epoch has its own.
        seed: draws the changes, the recipe's unless given: runs of several seeds with one teacher and one
            ``augment.seed`` see the same versions, and what the teacher says of them is computed once for all.
    """

    flip_horizontal: bool = True
    flip_vertical: bool = True
    transpose: bool = False
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    shift: Annotated[float, Field(ge=0, lt=1)] = 0.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    stain: Annotated[float, Field(ge=0, lt=1)] = 0.0
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.0
    views: Epochs | None = None
    seed: int | None = None

    @property
    def changes(self) -> bool:
        """Whether any image is changed at all."""
        return any(self.model_dump(exclude={"views", "seed"}).values())

    def seed_of(self, run: int) -> int:
        """What the changes are drawn with in a run of seed ``run``."""
        return run if self.seed is None else self.seed

    def view(self, epoch: int) -> int:
        """Which version of the images ``epoch`` (the first is 0) shows."""
        if not self.changes:
            return 0
        return epoch % self.views if self.views else epoch


Mean = Annotated[float, Field(ge=0, le=1)]
Deviation = Annotated[float, Field(ge=1e-3, le=10)]


class NetworkSpec(Model):
    """One network.

    Args:
        architecture: a timm name for classification (``hf-hub:`` and ``local-dir:`` work), a
            segmentation-models-pytorch architecture such as ``unet``, or one's own, ``file.py:Name`` or
            ``package.module:Name``. Of images with other than three channels, the first convolution is adapted
            (timm's rule).
        encoder: of a segmentation-models-pytorch architecture.
        weights: ``imagenet`` (``${PRECEPTOR_WEIGHTS}/NAME.safetensors`` where that variable names a folder with such a
            file, else fetched by timm or segmentation-models-pytorch), ``none``, or a folder or .safetensors file.
        input_size: pixels of a side as the network sees it, where that is not ``data.image_size``.
        mean: normalises each channel of pixels from 0 to 1, with ``std``; by default that of the weights.
        std: see ``mean``.
        options: go to the library, or to one's own class.
        taps: of one's own network: the modules whose feature maps are read.
    """

    architecture: str
    encoder: str | None = None
    weights: str = "imagenet"
    input_size: PixelCount | None = None
    mean: Annotated[tuple[Mean, ...], Field(min_length=1)] | None = None
    std: Annotated[tuple[Deviation, ...], Field(min_length=1)] | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    taps: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _own_code_brings_its_start(cls, raw: object) -> object:
        """Of one's own network no ImageNet weights are known: it starts as its code makes it."""
        if isinstance(raw, dict) and is_code(str(raw.get("architecture"))) and "weights" not in raw:
            return {**raw, "weights": "none"}
        return raw

    @model_validator(mode="after")
    def _fits_where_it_comes_from(self) -> Self:
        if not is_code(self.architecture):
            if self.taps:
                raise ValueError(f"taps are for networks of your own; {self.architecture} has its own, leave them out")
            return self
        if self.weights == "imagenet":
            raise ValueError(
                f"weights: no ImageNet weights are known for {self.architecture}; leave `weights` out (it starts as "
                "its code makes it), or give a file or folder"
            )
        if self.encoder is not None:
            raise ValueError(f"encoder: {self.architecture} is a whole network; pass what it takes as `options`")
        if len(set(self.taps)) < len(self.taps):
            raise ValueError(f"taps: {', '.join(self.taps)} names a module twice")
        return self

    def __hash__(self) -> int:
        return hash((self.architecture, self.encoder, self.weights))  # options may hold what has no hash

    @property
    def from_disk(self) -> str | None:
        """The file or folder that it starts from, if any."""
        if self.weights not in ("imagenet", "none"):
            return self.weights
        is_folder = self.architecture.startswith(LOCAL) and self.weights == "imagenet"
        return self.architecture.removeprefix(LOCAL) if is_folder else None

    @property
    def may_be_trained(self) -> bool:
        """Whether its weights may be those of a network that was trained for the data's own classes."""
        return self.from_disk is not None or (self.architecture.startswith(HUB) and self.weights == "imagenet")


class TaskLossSpec(Model):
    """The task's own loss: cross entropy for classes, focal plus Dice for masks.

    Args:
        label_smoothing: of the cross entropy.
        class_weights: of the cross entropy; ``balanced`` weighs classes by inverse frequency.
        focal_gamma: of the focal term: how much less sure pixels count more.
        focal_alpha: weight of the foreground in the focal term.
        focal_reduction: ``sum`` adds the focal term over all pixels, as printed by Niyaz et al.
        dice_squared: square the denominator of the Dice term.
    """

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weights: Literal["balanced"] | None = None
    focal_gamma: Annotated[float, Field(ge=0)] = 2.0
    focal_alpha: Annotated[float, Field(gt=0, lt=1)] | None = None
    focal_reduction: Literal["mean", "sum"] = "mean"
    dice_squared: bool = True


class NetworksSpec(Model):
    """Who takes part.

    Args:
        teacher: the one teacher.
        teachers: or a list of several.
        student: what students are like, ``count`` of them.
        count: how many.
        students: or a list of unlike ones, in place of ``student``.
    """

    teacher: NetworkSpec | None = None
    teachers: tuple[NetworkSpec, ...] = ()
    student: NetworkSpec | None = None
    count: Networks = 2
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


Temperature = Annotated[float, Field(ge=0.01, le=1000)]
"""Beyond these bounds soft targets are hard or flat, and float32 knows no such exponentials and squares."""


class CacheSpec(Model):
    """Keeping on disk what frozen teachers say of each training image, for later epochs and runs.

    Args:
        enabled: results are the same without, bit for bit on a CPU unless ``dtype`` rounds.
        dtype: ``float32`` keeps what was computed; ``float16`` rounds what the teachers say, whether it is computed
            or read, and takes half the space.
        budget: GiB that all kept outputs together may take; what does not fit is computed in every step.
        stored: folders that ``preceptor embed`` made of the images: a frozen teacher whose features are in one of them
            is not asked but read.
        unchanged: with ``stored``, where augmentation changes what students see: the teacher says all the same what it
            says of the image as it is.
    """

    enabled: bool = True
    dtype: Literal["float32", "float16"] = "float32"
    budget: Annotated[float, Field(gt=0)] = 4.0
    stored: tuple[str, ...] = ()
    unchanged: bool = False

    def require_as_shown(self, augment: AugmentSpec) -> None:
        """Refuse stored answers on other images than students see, unless that is wanted.

        Raises:
            ValueError: says what to do.
        """
        if self.unchanged and not self.stored:
            raise ValueError("training.teacher_cache.unchanged: is for `stored` embeddings, and there are none")
        changes = [name for name, value in augment.model_dump(exclude={"views", "seed"}).items() if value]
        if self.stored and changes and not self.unchanged:
            off = ", ".join(f"{name}: {'false' if value is True else 0}" for name, value in augment if name in changes)
            raise ValueError(
                "training.teacher_cache.stored: stored embeddings are of the images as they are, and augment changes "
                f"what students see ({', '.join(changes)}), so a teacher that looks on would say something else.\n"
                f"Leave the images as they are (augment: {{{off}}}), or let the teacher speak of the image as it is, "
                "whatever the student sees (teacher_cache.unchanged: true)"
            )

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As recipes were written before there were stored embeddings, where there are none."""
        found: dict[str, Any] = written(self)
        return found if self.stored else {key: found[key] for key in found if key not in ("stored", "unchanged")}


Tracker = Literal["tensorboard", "mlflow", "wandb"]
"""Tools that may be told how training goes."""


class TrainingSpec(Model):
    """How a stage is trained.

    Args:
        epochs: of a stage.
        batch_size: of all processes together.
        optimizer: ``adam``, ``adamw`` or ``sgd``.
        lr: the highest learning rate.
        weight_decay: of the optimiser.
        momentum: of ``sgd``.
        nesterov: of ``sgd``.
        schedule: of the learning rate over the epochs.
        step_epochs: epochs from one step of ``schedule: step`` to the next.
        decay: by which a step multiplies the learning rate.
        power: exponent of ``schedule: polynomial``.
        warmup_epochs: over which the learning rate rises linearly.
        max_grad_norm: clips each network's own gradient.
        precision: mixed precisions keep losses in float32.
        sync_batchnorm: on several GPUs, BatchNorm statistics of the whole batch instead of one process's share.
        channels_last: keep images and weights in the memory layout that convolutions of some networks prefer.
        placement: ``measured`` times each network for a moment when training begins and takes the faster memory
            layout, the lower ``precision`` only where that is faster, BatchNorm folded into the convolutions of frozen
            networks and several batches in one call of them, and in runs of over half an hour ``torch.compile``;
            remembered for this machine. Rounding, and so the last bits of a result, depend on the choice; ``fixed``
            computes as the recipe says. ``auto`` measures for stages of 1,000 steps or more, where that pays, unless
            ``channels_last`` is given.
        validate_every: epochs from one validation to the next, where an epoch is short, as with few shots; the last
            one is always validated, of a training in parts that of the last part.
        patience: validations without a better score after which a network's weights are settled; the stage ends
            when all are. None never does.
        ema: decay of an exponential moving average of the weights, which is then what is evaluated.
        monitor: the validation score that chooses weights; by default the first of the task. Of masks of several
            classes also that of one, as ``iou.gland``.
        balance: show each class equally often in training: ``over`` as often as the biggest, by repeating images,
            ``under`` as often as the smallest, by leaving images out, ``both`` as often as a class has images on
            average, by either; drawn anew in each epoch.
        drop_last: leave out the last batch of an epoch where it is smaller.
        threads: compute threads; results are bit-identical for equal threads.
        workers: threads that prepare batches ahead; they change nothing but speed.
        tensorboard: the same as ``trackers: [tensorboard]``.
        trackers: tools that are told of losses and scores too: ``tensorboard``, ``mlflow``, ``wandb`` (extras of these
            names). All write into the run's folder; MLflow to a server where ``MLFLOW_TRACKING_URI`` names one, Weights
            & Biases to its own where ``WANDB_MODE=online`` is set.
        teacher_cache: see :class:`CacheSpec`.
    """

    epochs: Epochs = 20
    batch_size: Images = 8
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: Annotated[float, Field(gt=0)] = 1e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    schedule: Literal["constant", "step", "cosine", "polynomial"] = "constant"
    step_epochs: Epochs = 5
    decay: Annotated[float, Field(gt=0, le=1)] = 0.5
    power: Annotated[float, Field(gt=0)] = 0.9
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] | None = None
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    sync_batchnorm: bool = False
    channels_last: bool = False
    placement: Literal["auto", "measured", "fixed"] = "auto"
    validate_every: Epochs = 1
    patience: Epochs | None = None
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    monitor: str | None = None
    balance: Literal["over", "under", "both"] | None = None
    drop_last: bool = False
    threads: Threads | None = None
    workers: Annotated[int, Field(ge=0, le=256)] = 1
    tensorboard: bool = False
    trackers: tuple[Tracker, ...] = ()
    teacher_cache: CacheSpec = CacheSpec()

    @model_validator(mode="after")
    def _one_word_on_the_layout(self) -> Self:
        if self.placement == "measured" and self.channels_last:
            raise ValueError("channels_last: `placement: measured` chooses the layout; leave channels_last out")
        return self
