"""What a run is to do, as values: networks, who teaches whom with which loss, and the stages that train them."""

from typing import TYPE_CHECKING

from preceptor.lazy_names import lazy_names

if TYPE_CHECKING:
    from preceptor.plan.cast import Cast
    from preceptor.plan.draw import cohort_svg
    from preceptor.plan.edge import Edge, LossUse, Ramp, facing
    from preceptor.plan.given import Given
    from preceptor.plan.network import Composed, NetworkUse, SharedWidth
    from preceptor.plan.show import plan_in_words
    from preceptor.plan.stage import Member, MemberChoice, Plan, Stage, WarmStart

__all__ = [
    "Cast",
    "Composed",
    "Edge",
    "Given",
    "LossUse",
    "Member",
    "MemberChoice",
    "NetworkUse",
    "Plan",
    "Ramp",
    "SharedWidth",
    "Stage",
    "WarmStart",
    "cohort_svg",
    "facing",
    "plan_in_words",
]

__getattr__ = lazy_names(
    __name__,
    {
        "cast": ["Cast"],
        "draw": ["cohort_svg"],
        "edge": ["Edge", "LossUse", "Ramp", "facing"],
        "given": ["Given"],
        "network": ["Composed", "NetworkUse", "SharedWidth"],
        "show": ["plan_in_words"],
        "stage": ["Member", "MemberChoice", "Plan", "Stage", "WarmStart"],
    },
)
