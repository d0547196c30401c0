"""Who teaches whom: networks, the transfers between them, and the stages that train them."""

from typing import TYPE_CHECKING

from preceptor.lazy_names import lazy_names

if TYPE_CHECKING:
    from preceptor.cohort.cohort import Cohort, DataFacts
    from preceptor.cohort.frozen import FrozenOutputs
    from preceptor.cohort.instantiate import Workshop
    from preceptor.cohort.transfer import Transfer

__all__ = [
    "Cohort",
    "DataFacts",
    "FrozenOutputs",
    "Transfer",
    "Workshop",
]

__getattr__ = lazy_names(
    __name__,
    {
        "cohort": ["Cohort", "DataFacts"],
        "frozen": ["FrozenOutputs"],
        "instantiate": ["Workshop"],
        "transfer": ["Transfer"],
    },
)
