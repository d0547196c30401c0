"""A student in its teacher's space: the projector that training dropped at export, with the student that it was for."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from preceptor.deploy.student import Student
from preceptor.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

_PROJECTOR = ".projector."


@dataclass(frozen=True)
class Space:
    """From a student's features to those of whom it learned from.

    Args:
        of: the teacher's name and the loss's, as ``T/cosine``.
        state: ``weight`` and ``bias`` of the projector, and for standardised features ``mean`` and ``deviation``.
    """

    of: str
    state: Mapping[str, "Tensor"]

    @property
    def is_of_maps(self) -> bool:
        """Whether it is for maps, not for vectors."""
        return self.state["weight"].ndim == 4

    @property
    def digest(self) -> str:
        """Of its numbers."""
        content = b"".join(name.encode() + tensor.numpy().tobytes() for name, tensor in sorted(self.state.items()))
        return blake2b(content, digest_size=16).hexdigest()

    def shown(self, features: "Tensor") -> "Tensor":
        """(N, D) or (N, D, H, W) of the student -> the same in the teacher's dimensions."""
        from torch.nn import functional as F

        state = {name: tensor.to(features) for name, tensor in self.state.items()}
        project = F.conv2d if self.is_of_maps else F.linear
        found = project(features, state["weight"], state["bias"])
        if "deviation" not in state:
            return found
        shape = (1, -1, *[1] * (features.ndim - 2))
        return found * state["deviation"].reshape(shape) + state["mean"].reshape(shape)


def space_of(student: Student, wanted: str) -> Space:
    """The space that is wanted, ``TEACHER`` or ``TEACHER/LOSS``; gives the student the weights that belong to it.

    These are the last ones of the latest stage in which the student learned from this teacher.

    Raises:
        UserError: it did not, or through no projector, or through several.
    """
    from preceptor.training.checkpoints import Checkpoints
    from preceptor.training.run_folder import folder_for

    run = student.run
    checkpoints = Checkpoints(folder_for(run.files.folder, run.recipe, writes=False))
    known: list[str] = []
    for stage in reversed(run.recipe.plan().stages):
        path = checkpoints.last(stage.clock)
        if not path.exists():
            continue
        cohort = checkpoints.load(path)["cohort"]
        spaces = _spaces(cohort, student.name)
        known += [name for name in spaces if name not in known]
        found = [name for name in spaces if wanted in (name, name.partition("/")[0])]
        if len(found) > 1:
            raise UserError(f"--space {wanted}: {student.name} has several: {', '.join(found)}; name one of these")
        if found:
            own = f"learners.{student.name}."
            weights = {key.removeprefix(own): tensor for key, tensor in cohort.items() if key.startswith(own)}
            student.network.load_state_dict(weights)
            return Space(found[0], spaces[found[0]])
    there = f"it has {', '.join(known)}" if known else "none of its losses has a projector, or its checkpoints are gone"
    raise UserError(f"--space {wanted}: {student.name} of {run.files.folder} has no such space; {there}")


def _spaces(cohort: Mapping[str, Any], student: str) -> dict[str, dict[str, Any]]:
    """Of each edge into ``student`` with a linear projector what :class:`Space` wants, by ``TEACHER/LOSS``."""
    found: dict[str, dict[str, Any]] = {}
    for key in cohort:
        edge, is_one, part = key.partition(_PROJECTOR)
        teacher, arrow, rest = edge.removeprefix("losses.").partition("->")
        target, _, loss = rest.partition("/")
        if is_one and arrow and target == student and part in ("weight", "bias"):
            own = found.setdefault(f"{teacher}/{loss}", {})
            own[part] = cohort[key]
            own |= {name: cohort[f"{edge}.{name}"] for name in ("mean", "deviation") if f"{edge}.{name}" in cohort}
    return {name: own for name, own in found.items() if "weight" in own}
