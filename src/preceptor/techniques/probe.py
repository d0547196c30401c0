"""How much frozen networks know of the classes already: is the student worth it?"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from preceptor.plan.cast import TEACHER, Cast
from preceptor.plan.network import NetworkUse
from preceptor.plan.probe import Probe as ProbeStage
from preceptor.plan.stage import Member, Plan, Stage
from preceptor.specs import Task, Temperature
from preceptor.techniques.base import Technique, given

Strength = Annotated[float, Field(gt=0, le=1e9)]


class Probe(Technique):
    """Logistic regression and nearest neighbours on the embeddings of frozen networks, side by side.

    Source: Caron et al. 2021, arXiv:2104.14294, for the neighbours; Kornblith et al. 2019, arXiv:1805.08974, for the
        logistic regression.

    Args:
        student: a run folder or weights to take the first student from.
        against: starts of the first student's architecture that it is compared with: a name -> ``imagenet``,
            ``none`` (random numbers), or a folder or file of weights.
        strengths: the values of C, the inverse strength of the L2 penalty, from which validation chooses.
        neighbours: how many of the nearest training images vote.
        neighbour_temperature: by which their cosines are divided before they vote.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    instead: ClassVar[str] = "a mask is not decided by one embedding; train a decoder with technique.name=baseline"

    name: Literal["probe"]
    teacher: str | None = None
    student: str | None = None
    against: dict[str, str] = Field(default_factory=lambda: {"imagenet": "imagenet", "random": "none"})
    strengths: Annotated[tuple[Strength, ...], Field(min_length=1)] = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)
    neighbours: Annotated[int, Field(ge=1)] = 20
    neighbour_temperature: Temperature = 0.07

    @property
    def has_teacher(self) -> bool:
        """Only where weights are given for it; the recipe may name one without."""
        return self.teacher is not None

    def plan(self, cast: Cast) -> Plan:
        """One stage, in which heads are computed and nothing is trained."""
        first = next(iter(cast.students))
        networks = {name: cast.student(name) for name in cast.students}
        if self.student:
            spec = networks[first].spec
            networks[first] = NetworkUse(name=first, spec=spec, given=given("student", self.student))
        references = {f"{first}_{label}": self._started(cast, first, label) for label in self.against}
        references = {name: one for name, one in references.items() if self._differs(one, networks[first])}
        if cast.teacher is not None:
            networks[TEACHER] = cast.the_teacher(self.teacher)
        stage = Stage(
            name="probe",
            members={name: Member(network=network) for name, network in {**networks, **references}.items()},
            training=cast.training,
            epochs=1,
            probe=ProbeStage(self.strengths, self.neighbours, self.neighbour_temperature),
        )
        return Plan(
            stages=(stage,),
            students=tuple(cast.students),
            teacher=TEACHER if cast.teacher is not None else None,
            references=tuple(references),
        )

    def _started(self, cast: Cast, first: str, label: str) -> NetworkUse:
        spec = cast.students[first].model_copy(update={"weights": self.against[label]})
        return NetworkUse(name=f"{first}_{label}", spec=spec)

    def _differs(self, reference: NetworkUse, student: NetworkUse) -> bool:
        """A student that starts so itself is not compared with itself; random numbers are other ones."""
        assert reference.spec is not None
        return bool(student.given) or reference.spec.weights == "none" or reference.spec != student.spec
