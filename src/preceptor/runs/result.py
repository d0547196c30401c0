"""What a finished run came to: the content of ``result.json``, every value with its type.

``result.json`` has a ``format`` since there are versions of it. A file without is of an older version, which wrote the
same keys; what it did not know has its default here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from preceptor.errors import DamagedFileError
from preceptor.specs import FEATURES

FORMAT: Literal[1] = 1
"""Of what is written."""


def _known(found: object) -> object:
    """Without what is null, such as a measure that is not defined for these samples."""
    return {key: value for key, value in found.items() if value is not None} if isinstance(found, Mapping) else found


def _not_empty(found: "ScoresByNetwork") -> "ScoresByNetwork":
    if not found:
        raise ValueError("holds no scores")
    return found


ScoresByMeasure = Annotated[dict[str, float], BeforeValidator(_known)]
"""Scores of one network by metric."""

ScoresByNetwork = dict[str, ScoresByMeasure]
"""Scores by network and metric."""

CostsByNetwork = Annotated[dict[str, int], BeforeValidator(_known)]
"""A cost by network."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, populate_by_name=True)


class ConstantAnswer(_Value):
    """One answer for everything, and how well it does on validation.

    Args:
        answer: the class.
        beaten: whether the teacher is clearly better.
    """

    answer: str = Field(validation_alias="class", serialization_alias="class")
    score: float
    beaten: bool


class TeacherAudit(_Value):
    """The teacher beside the student trained alone, on validation.

    Args:
        metric: the score that is compared.
        teacher: its score.
        constant_answer: None in what older versions wrote.
        student_alone: that of the student alone; None where no run of it was found.
        run: where that run lies, seen from this one.
        verdict: all of it in a sentence.
    """

    metric: str
    teacher: float
    constant_answer: ConstantAnswer | None = None
    student_alone: float | None = None
    run: str | None = None
    verdict: str


class RunResult(_Value):
    """What a run came to.

    Args:
        status: ``validated`` where the test part is still sealed.
        name: of the recipe.
        technique: its name.
        strategy: what is shared, where the technique has strategies.
        chosen: the network that was chosen on validation.
        test: scores on the test part; empty while that is sealed.
        validation: scores on the validation part.
        fidelity: agreement with the teacher on the test part.
        teacher_audit: None without a teacher.
        second_observer: scores of another observer's masks of the test images, and how many ``images`` have them.
        labels: how many labels were read of each part, where these are not all.
        measures: what is known of the user's own measures, by name.
        grouped_by: what kept samples of one origin in one part; None where nothing did.
        notes: what should be known before the scores are trusted, a sentence each.
        seconds: spent in training steps.
    """

    format: Literal[1] = FORMAT
    status: Literal["complete", "validated"]
    name: str = ""
    task: Literal["classification", "segmentation"]
    technique: str
    strategy: str | None = None
    seed: int = 0
    chosen: str
    test: ScoresByNetwork
    validation: Annotated[ScoresByNetwork, AfterValidator(_not_empty)]
    fidelity: ScoresByNetwork
    teacher_audit: TeacherAudit | None = None
    parameters: CostsByNetwork
    multiply_adds: CostsByNetwork = Field(default_factory=dict)
    model_bytes: CostsByNetwork = Field(default_factory=dict)
    second_observer: dict[str, float] = Field(default_factory=dict)
    measures: dict[str, dict[str, Any]] = Field(default_factory=dict)
    labels: dict[str, int] = Field(default_factory=dict)
    grouped_by: str | None = None
    notes: Annotated[tuple[str, ...], Field(strict=False)] = ()
    seconds: float = 0.0
    images_per_second: float = 0.0

    @property
    def has_no_labels(self) -> bool:
        """Whether no label was read: scores are of features, and nothing is known of classes."""
        return bool(self.labels) and not any(self.labels.values())

    @property
    def scored_in(self) -> str:
        """The task, or ``features`` where no label was read: of what measures its scores are."""
        return FEATURES if self.has_no_labels else self.task

    @property
    def is_complete(self) -> bool:
        """Whether the test part has been opened."""
        return self.status == "complete"

    def to_json(self) -> dict[str, Any]:
        """The values as ``result.json`` has them; without ``labels`` where all were read, as before these were told."""
        return self.model_dump(mode="json", by_alias=True, exclude=None if self.labels else {"labels"})


def result_from(values: Mapping[str, Any], path: Path, remedy: str) -> RunResult:
    """The result that the JSON object ``values`` of the file ``path`` says.

    Args:
        remedy: what to do where it says none, for the error.

    Raises:
        DamagedFileError: a value is missing or of another kind, or a newer version wrote the file.
    """
    form = values.get("format", FORMAT)
    if form != FORMAT:
        wanted = f"has the format {form!r}, and this version of preceptor reads format {FORMAT}"
        raise DamagedFileError(path, wanted, "Read it with the version that wrote it, or a newer one.")
    try:
        result = RunResult.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        wrong = "holds no scores" if first["type"] == "value_error" else "is missing or of another kind"
        raise DamagedFileError(path, f"is no result of a run: {key!r} {wrong}", remedy) from None
    if result.is_complete and not result.test:
        raise DamagedFileError(path, "is no result of a run: 'test' holds no scores", remedy)
    return result
