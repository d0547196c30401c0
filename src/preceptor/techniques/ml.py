"""Deep mutual learning."""

from typing import ClassVar, Literal

from preceptor.techniques.mixture import SHARING, Mixture


class ML(Mixture):
    """Students without a teacher learn from one another (deep mutual learning).

    Source: Zhang et al. 2018, arXiv:1706.00384; strategies of Niyaz, Sambyal & Bathula.
    """

    uses: ClassVar[frozenset[str]] = SHARING | {"gamma", "sequential"}
    fewest_students: ClassVar[int] = 2
    peers_teach: ClassVar[bool] = True

    name: Literal["ml"]
