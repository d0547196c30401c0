"""A stage in which nothing is trained: heads are computed of what frozen networks say."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Probe:
    """Takes the place of a stage's epochs: each network's linear head is solved for on its embeddings.

    Args:
        strengths: the values of C (inverse strength of the L2 penalty) from which validation chooses.
        neighbours: how many of the nearest training images vote beside it.
        temperature: by which their cosines are divided before they vote.
    """

    strengths: tuple[float, ...]
    neighbours: int
    temperature: float

    def __str__(self) -> str:
        values = ", ".join(f"{value:g}" for value in self.strengths)
        return f"nothing trains; linear heads solved on embeddings, C of {values} by validation"
