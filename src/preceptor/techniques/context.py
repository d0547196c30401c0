"""What a technique may use to turn a recipe into stages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from preceptor import catalogue
from preceptor.cohort.stage import Member, Stage
from preceptor.cohort.transfer import Ramp, Transfer
from preceptor.errors import UserError
from preceptor.files import expand
from preceptor.knowledge.base import Loss
from preceptor.networks.build import build_network, seeded
from preceptor.networks.network import Network
from preceptor.randomness import key
from preceptor.recipe import Recipe
from preceptor.specs import NetworkSpec, Task
from preceptor.technique_specs import LossSpec, PerStudent

D = TypeVar("D", float, None)


@dataclass(frozen=True)
class Context:
    """A recipe with what its data turned out to be.

    Args:
        classes: class names by label.
        image_size: (height, width) of the packed images.
    """

    recipe: Recipe
    classes: tuple[str, ...]
    image_size: tuple[int, int]
    _trained: dict[tuple[str, int | None], bool] = field(default_factory=dict, compare=False, repr=False)

    def builder(self, name: str, spec: NetworkSpec, adapter: int | None = None) -> Callable[[], Network]:
        """Makes network ``name``; its start depends on the recipe's seed and the name alone."""
        return partial(
            build_network,
            spec,
            task=self.recipe.task,
            classes=self.classes,
            image_size=self.image_size,
            seed=self._seed(name),
            adapter=adapter,
        )

    def built(self, name: str, make: Callable[..., Network]) -> Callable[..., Network]:
        """``make`` with the same start every time: it depends on the recipe's seed and ``name`` alone."""

        def build(*sources: Network) -> Network:
            with seeded(self._seed(name)):
                return make(*sources)

        return build

    def _seed(self, name: str) -> int:
        return key(self.recipe.seed, "network", name) % 2**63

    def shapes(self, spec: NetworkSpec) -> Mapping[str, tuple[int, ...]]:
        """Shape of each tap of a network made from ``spec``, without an adapter."""
        return self.builder("width", spec.model_copy(update={"weights": "none"}))().shapes

    def width(self, spec: NetworkSpec, tap: str) -> int:
        """Channels at ``tap`` of a network made from ``spec``, without an adapter."""
        shapes = self.shapes(spec)
        if tap not in shapes:
            raise UserError(f"features are shared at {tap}; {spec.architecture} has only {', '.join(shapes)}")
        return shapes[tap][0]

    def teacher(self, adapter: int | None = None, weights: Path | None = None) -> Callable[[], Network]:
        """Makes the recipe's teacher, from ``weights`` or ``technique.teacher`` where that is given."""
        spec = self.recipe.networks.teacher
        assert spec is not None, "the recipe checks that a technique with a teacher has one"
        given = getattr(self.recipe.technique, "teacher", None)
        if given and weights is None:
            weights = teacher_weights(given)
        if weights:
            spec = spec.model_copy(update={"weights": str(weights)})
        return self.builder("T", spec, adapter)

    def takes_teacher(self, adapter: int | None = None) -> bool:
        """Whether the teacher is taken as it is, frozen, instead of being trained in a stage of its own first.

        So it is where ``technique.teacher`` gives it, and where ``networks.teacher`` has weights with a head for these
        classes, unless ``teacher_training`` says how to train it further.
        """
        if getattr(self.recipe.technique, "teacher", None):
            return True
        spec = self.recipe.networks.teacher
        return spec is not None and not self.recipe.teacher_training and self.is_trained("T", spec, adapter)

    def is_trained(self, name: str, spec: NetworkSpec, adapter: int | None = None) -> bool:
        """Whether network ``name`` starts with a head that was trained for these classes, and with the adapter."""
        if not spec.may_be_trained:
            return False
        if (name, adapter) not in self._trained:
            self._trained[name, adapter] = not self.builder(name, spec, adapter)().has_new_head
        return self._trained[name, adapter]

    def teacher_stage(self, adapter: int | None = None) -> Stage:
        """The stage that trains the teacher alone.

        Raises:
            UserError: as :meth:`require_more_than_shots`, where it is to teach in this run.
        """
        if self.recipe.technique.name != "baseline":
            self.require_more_than_shots()
        members = learning({"T": self.teacher(adapter)})
        return Stage(name="teacher", members=members, training=self.recipe.teacher_stage_training)

    def require_more_than_shots(self) -> None:
        """UserError where a teacher that is trained first would have no more to learn from than its students."""
        if self.recipe.split.shots is None:
            return
        options = ("teacher", "teachers", "snapshots")
        option = next(one for one in options if one in type(self.recipe.technique).model_fields)
        raise UserError(
            f"split.shots {self.recipe.split.shots}: the teacher would be trained on these few images too. Train it in "
            "a run of its own (technique.name=baseline technique.network=teacher, no split.shots) and give the run "
            f"folder as technique.{option}."
        )

    def students(self, adapters: dict[str, int | None] | None = None) -> dict[str, Callable[[], Network]]:
        """Makers of the students, by name."""
        peers = self.recipe.networks.peers
        return {name: self.builder(name, spec, (adapters or {}).get(name)) for name, spec in peers.items()}


def teacher_weights(given: str, option: str = "technique.teacher") -> Path:
    """The weights that ``option`` means: a file, a network folder, or the network of a run folder."""
    path = expand(given)
    if path.is_file() or (path / "config.json").is_file():
        return path
    found = sorted(folder.name for folder in (path / "networks").glob("*") if (folder / "config.json").is_file())
    if "T" in found or len(found) == 1:
        return path / "networks" / ("T" if "T" in found else found[0])
    there = f"a run with networks {', '.join(found)}" if found else "a folder without finished networks"
    raise UserError(
        f"{option}: {given!r} {'is ' + there if path.exists() else 'does not exist'}.\n"
        "Give a finished run folder that trained a teacher (technique.name=baseline technique.network=teacher), "
        "one of its networks/NAME folders, or a .safetensors file."
    )


def keeping_snapshots(stage: Stage, every: int) -> Stage:
    """A stage of all its epochs that keeps the weights after ``every`` epochs each, and after the last."""
    epochs = stage.training.epochs
    training = stage.training.model_copy(update={"patience": None})
    return replace(stage, training=training, snapshots=frozenset({*range(every, epochs, every), epochs}))


def transfer(spec: LossSpec, *, source: str, target: str, task: Task, stop_gradient: bool = True) -> Transfer:
    """The edge that a recipe's loss entry describes, with the published setting for what it leaves out."""
    entry = catalogue.entry_for(spec.loss)
    loss: Loss = catalogue.load(entry)(**catalogue.check_options(entry, spec.options))
    setting = loss.settings.get(task)
    if setting is None:
        raise UserError(f"loss {spec.loss!r} is for {', '.join(loss.settings)}; this recipe's task is {task}")
    warmup = setting.warmup if spec.warmup is None else spec.warmup
    return Transfer(
        source=source,
        target=target,
        loss=loss,
        weight=setting.weight if spec.weight is None else spec.weight,
        student_tap=spec.student_tap,
        teacher_tap=spec.teacher_tap,
        ramp=Ramp(epochs=warmup) if warmup else None,
        stop_gradient=stop_gradient,
    )


def learning(
    builders: dict[str, Callable[[], Network]], task_weights: dict[str, float] | None = None
) -> dict[str, Member]:
    """Members that train, by name."""
    return {
        name: Member(build=build, task_weight=(task_weights or {}).get(name, 1.0)) for name, build in builders.items()
    }


def per_student(name: str, given: PerStudent | None, count: int, *, default: D) -> list[float | D]:
    """One value of option ``technique.name`` for each of ``count`` students."""
    if not isinstance(given, tuple):
        return [default if given is None else given] * count
    if len(given) != count:
        raise UserError(f"technique.{name}: {len(given)} values for {count} students; give one value or {count}")
    return list(given)
