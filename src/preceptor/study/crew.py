"""Those who do jobs, wherever they are: what a loop over jobs may ask of them."""

from dataclasses import dataclass
from typing import Protocol

from preceptor.study.work import Epoch, JobOutcome, JobRequest


@dataclass(frozen=True, slots=True)
class Death:
    """A worker ended over a job without an answer; ``words`` say how, after "its worker"."""

    words: str


Event = JobOutcome | Death | Epoch


class Crew(Protocol):
    """Workers, each of which does one job at a time."""

    @property
    def free(self) -> int:
        """How many more jobs may be given now."""

    @property
    def busy(self) -> bool:
        """Whether anyone is at work."""

    def give(self, request: JobRequest) -> None:
        """Hand a job to someone free."""

    def events(self, seconds: float) -> list[tuple[str, Event]]:
        """What has happened to which job; waits for the first for some time."""

    def reply(self, id: str, goes_on: bool) -> None:
        """Answer a job's :class:`Epoch`."""

    def stop(self) -> None:
        """Ask every job to leave a checkpoint and end."""

    def close(self) -> None:
        """Let idle workers go, and end at once those that are not."""
