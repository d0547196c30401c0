"""What a plan must have before anything is trained."""

from preceptor.errors import UserError
from preceptor.plan.stage import Plan


def require_trainable(plan: Plan, *, shots: int | None) -> None:
    """Refuse a plan that lacks something, or in which a teacher would learn from the few images of its students alone.

    Args:
        shots: images of each class, where they are few.

    Raises:
        UserError: what the user can do, for example which option takes a finished teacher instead.
    """
    if plan.lacks:
        raise UserError(plan.lacks)
    option = next((stage.instead for stage in plan.stages if stage.instead), None)
    if shots is not None and option:
        raise UserError(
            f"split.shots {shots}: the teacher would be trained on these few images too. Train it in a run of its own "
            "(technique.name=baseline technique.network=teacher, no split.shots) and give the run folder as "
            f"{option}."
        )
