"""The one loop, and the run around it."""

from typing import TYPE_CHECKING

from preceptor.lazy_names import lazy_names

if TYPE_CHECKING:
    from preceptor.training.evaluate import Evaluation
    from preceptor.training.fit import StageProgress, train_stage
    from preceptor.training.run import TrainingRun, train_recipe
    from preceptor.training.together import train_together

__all__ = [
    "Evaluation",
    "StageProgress",
    "TrainingRun",
    "train_recipe",
    "train_stage",
    "train_together",
]

__getattr__ = lazy_names(
    __name__,
    {
        "evaluate": ["Evaluation"],
        "fit": ["StageProgress", "train_stage"],
        "run": ["TrainingRun", "train_recipe"],
        "together": ["train_together"],
    },
)
