"""Which embeddings are asked for."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self, get_args

from preceptor.errors import UserError
from preceptor.specs import TrainingSpec

What = Literal["embedding", "pooled", "pca", "grid"]
"""One vector an image; its token grid averaged to few places, or in few dimensions; or the whole grid."""

Stored = Literal["float16", "float32"]

SIDE, DIMS = 4, 64
"""Places in each direction of a pooled grid, and dimensions of one along principal axes, unless others are given."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for, as a worker on another machine is told it.

    Args:
        source: a run, ``RUN/networks/NAME``, a recipe, or the name of a network.
        network: of a recipe: ``teacher``, or the name of one of its networks.
        batch: how many images are asked about at once, on which the last bits depend: where not given, as many as the
            recipe or the run trains with, and 32 of a network that is named.
        threads: that compute; where not given those of the recipe, or of this process.
        side: places in each direction to which a grid is averaged.
        dims: in which its tokens are told.
        space: of a run: the teacher, or ``TEACHER/LOSS``, in whose dimensions the student answers.
    """

    source: str
    network: str = "teacher"
    what: What = "embedding"
    stored: Stored = "float16"
    device: str = "auto"
    batch: int | None = None
    threads: int | None = None
    side: int | None = None
    dims: int | None = None
    space: str | None = None

    def __post_init__(self) -> None:
        for value, known, option in ((self.what, get_args(What), "what"), (self.stored, get_args(Stored), "dtype")):
            if value not in known:
                raise UserError(f"--{option} {value!r}: it is one of {', '.join(known)}")
        if self.side is not None and self.what not in ("pooled", "pca"):
            raise UserError(f"--side {self.side}: is for --what pooled and pca; --what {self.what} is stored whole")
        if self.space is not None and not Path(self.source).is_dir():
            raise UserError(f"--space {self.space}: is for a student of a finished run, not for {self.source}")
        if self.dims is not None and self.what != "pca":
            raise UserError(f"--dims {self.dims}: is for --what pca; --what {self.what} keeps every dimension")

    @property
    def compressed(self) -> dict[str, int]:
        """By what a grid is made small, with the defaults: ``side``, ``dims``."""
        sides = {"side": self.side or SIDE} if self.what == "pooled" or self.side else {}
        return sides | ({"dims": self.dims or DIMS} if self.what == "pca" else {})

    def as_trained(self, training: TrainingSpec) -> Self:
        """The same, asked as training would ask."""
        return replace(self, batch=self.batch or training.batch_size, threads=self.threads or training.threads)
