"""Everything that a training on one's own loaders draws random numbers from, kept and put back."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from preceptor.errors import UserError
from preceptor.face import randoms
from preceptor.face.generators import put_back, state_of
from preceptor.face.held import held_by
from preceptor.notes import Note


class LoaderRandoms:
    """The generators of the process, and those that loaders hold.

    Args:
        loaders: by the name of the argument that they were given as.
        note: is told of what cannot be kept.
    """

    def __init__(self, loaders: Mapping[str, object], note: Note) -> None:
        self._loaders, self._note = loaders, note
        self._held = held_by(loaders)
        self._known = set(self._held.generators)

    def states(self) -> dict[str, Any]:
        """Where they stand; says what was made on the way, which a resumed training could not put back."""
        held = held_by(self._loaders).generators
        late = [name for name in held if name not in self._known]
        if late:
            self._note(
                f"{_listed(late)} did not exist when the training began, so it could not be resumed: make it in "
                "__init__ of what holds it"
            )
            self._known.update(late)
        return randoms.states() | {"held": {name: state_of(one) for name, one in held.items()}}

    def restore(self, saved: Mapping[str, Any], folder: Path) -> None:
        """Put them where :meth:`states` found them.

        Raises:
            UserError: the loaders do not hold the same generators.
        """
        kept, mine = saved.get("held", {}), held_by(self._loaders).generators
        if set(kept) != set(mine):
            raise UserError(
                f"{folder}: the loaders of that training held {_listed(kept)}, these hold {_listed(mine)}; give the "
                "same loaders. A generator that is made only while training must be made before, in __init__"
            )
        for name, one in mine.items():
            state = state_of(one)
            if state is None or state["kind"] != kept[name]["kind"]:
                raise UserError(f"{folder}: {name} was a generator of another kind ({kept[name]['kind']})")
        randoms.restore(saved)
        for name, one in mine.items():
            put_back(one, kept[name])

    def say_what_is_lost(self) -> None:
        """Say from what a resumed training would draw other numbers, and what to do."""
        for name, reason in self._held.lost.items():
            self._note(f"{name} {reason}: a resumed training draws other numbers. {_INSTEAD}")
        for name, loader in self._loaders.items():
            if _workers_of(loader) and getattr(loader, "persistent_workers", False):
                self._note(
                    f"the workers of {name} persist, with random generators of their own: a resumed training draws "
                    "other numbers where they draw any. Set persistent_workers=False to resume exactly"
                )
        if not self._held.is_whole:
            self._note(f"the loaders hold too much to look through for random generators. {_INSTEAD}")

    def say_what_is_repeated(self) -> None:
        """Say which generators every worker copies, so that all draw the same."""
        for name, loader in self._loaders.items():
            copied = list(self._copied(name)) if _workers_of(loader) > 1 else []
            if copied and getattr(loader, "worker_init_fn", None) is None:
                self._note(
                    f"every worker of {name} has a copy of {_listed(copied)}, and all copies draw the same numbers, "
                    "anew in every epoch. Draw from torch, random or numpy.random themselves, which differ from worker "
                    "to worker, or give worker_init_fn"
                )

    def _copied(self, loader: str) -> Iterator[str]:
        begins = f"{loader}.dataset", f"{loader}.collate_fn"
        return (name for name in self._held.generators if name.startswith(begins))


_INSTEAD = "Draw from torch, random, numpy.random or generators that your data set or loader keeps as attributes"


def _workers_of(loader: object) -> int:
    return int(getattr(loader, "num_workers", 0) or 0)


def _listed(names: Any) -> str:
    return ", ".join(names) or "no random generators"
