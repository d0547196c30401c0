"""How a recipe becomes stages: one paper a file."""

from collections.abc import Callable
from dataclasses import replace

from preceptor.cohort.stage import Plan
from preceptor.techniques.context import Context
from preceptor.techniques.dynamic_kd import dynamic_kd
from preceptor.techniques.graft import graft
from preceptor.techniques.graph import graph
from preceptor.techniques.kthf2 import kthf2
from preceptor.techniques.mixture import baseline, kd_ml, kd_offline, kd_online, ml
from preceptor.techniques.multi_part import multi_part
from preceptor.techniques.multi_teacher import multi_teacher
from preceptor.techniques.notes import notes_on_weights, require_weights_meant
from preceptor.techniques.self_distill import self_distill

TECHNIQUES: dict[str, Callable[[Context], Plan]] = {
    "baseline": baseline,
    "kd_offline": kd_offline,
    "kd_online": kd_online,
    "ml": ml,
    "kd_ml": kd_ml,
    "multi_part": multi_part,
    "kthf2": kthf2,
    "multi_teacher": multi_teacher,
    "graft": graft,
    "self_distill": self_distill,
    "dynamic_kd": dynamic_kd,
    "graph": graph,
}

__all__ = ["TECHNIQUES", "Context", "Plan", "plan_of"]


def plan_of(context: Context) -> Plan:
    """The stages of the recipe's technique, with what should be known of the weights that its networks were given.

    Raises:
        UserError: what cannot be trained, or would leave out weights that were named.
    """
    require_weights_meant(context)
    plan = TECHNIQUES[context.recipe.technique.name](context)
    return replace(plan, notes=(*plan.notes, *notes_on_weights(context, plan)))
