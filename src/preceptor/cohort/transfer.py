"""A transfer: one directed, weighted edge of a cohort, its loss ready to be called."""

from preceptor.knowledge.base import Loss
from preceptor.plan.edge import Edge


class Transfer(Edge[Loss]):
    """An edge whose loss is a module of its own, since it may hold adapters."""

    __slots__ = ()
