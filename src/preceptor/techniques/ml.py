"""Deep mutual learning."""

from typing import ClassVar, Literal

from preceptor.techniques.mixture import Mixture


class ML(Mixture):
    """Students without a teacher learn from one another (deep mutual learning).

    Source: Zhang et al. 2018, arXiv:1706.00384; strategies of Niyaz, Sambyal & Bathula.
    """

    uses: ClassVar[tuple[str, ...]] = (
        "strategy",
        "weights",
        "alpha",
        "gamma",
        "temperature",
        "direction",
        "routing",
        "adapter",
        "sequential",
    )
    fewest_students: ClassVar[int] = 2
    peers_teach: ClassVar[bool] = True

    name: Literal["ml"]
