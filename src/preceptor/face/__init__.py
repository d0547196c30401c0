"""preceptor from Python: what ``import preceptor as pc`` gives, each name imported when it is asked for."""

from typing import TYPE_CHECKING

from preceptor.lazy_names import lazy_names

if TYPE_CHECKING:
    from preceptor.face.cohort import Cohort
    from preceptor.face.edges import Frozen, Teaching
    from preceptor.face.run import NetworkScores, Run
    from preceptor.face.standalone import Standalone
    from preceptor.face.taps import Taps
    from preceptor.face.trained import TrainedNetwork

__all__ = [
    "Cohort",
    "Frozen",
    "NetworkScores",
    "Run",
    "Standalone",
    "Taps",
    "Teaching",
    "TrainedNetwork",
]

__getattr__ = lazy_names(
    __name__,
    {
        "cohort": ["Cohort"],
        "edges": ["Frozen", "Teaching"],
        "run": ["NetworkScores", "Run"],
        "standalone": ["Standalone"],
        "taps": ["Taps"],
        "trained": ["TrainedNetwork"],
    },
)
