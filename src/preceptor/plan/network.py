"""The networks of a plan: as a recipe specifies them, or composed of others."""

from dataclasses import dataclass
from typing import Any

from preceptor.plan.frozen import FrozenMap
from preceptor.plan.given import Given
from preceptor.specs import NetworkSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedWidth:
    """A rule: where networks share the map at ``tap``, all are as wide there as the narrowest student.

    A network that is wider has a 1x1 convolution inside that makes it so.

    Args:
        students: among whom the narrowest is looked for, by name.
        sharing: everybody who shares, by name; where no convolution can be put in, they must be of one width.
        always: the convolution is there even where the width is right without it.
        advice: what the user may do where the widths cannot be made one.
    """

    tap: str
    students: FrozenMap[NetworkSpec]
    sharing: FrozenMap[NetworkSpec]
    always: bool = False
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkUse:
    """A network of its own.

    Args:
        name: on which, with the run's seed, its random start depends.
        spec: None where ``given`` alone tells it.
        given: weights to begin with in place of those of ``spec``.
        as_saved: what ``given`` was saved with comes before ``spec``.
        adapter: channels of the convolution inside, or the rule by which they are found.
    """

    name: str
    spec: NetworkSpec | None
    given: Given | None = None
    as_saved: bool = False
    adapter: SharedWidth | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A network that is made of others of its stage, or reads what they say.

    Args:
        name: on which, with the run's seed, its random start depends.
        kind: ``fused``, ``exit``, ``committee``, ``mean`` or ``grafted``.
        reads: members of the stage that come before it.
        options: of the kind.
    """

    name: str
    kind: str
    reads: tuple[str, ...]
    options: FrozenMap[Any]
