"""How a network relates samples to each other: losses over a batch or a memory."""

from preceptor.knowledge.relation.cc import CorrelationLoss
from preceptor.knowledge.relation.crd import CRDLoss
from preceptor.knowledge.relation.nst import NSTLoss
from preceptor.knowledge.relation.pkt import NeighbourLoss
from preceptor.knowledge.relation.rkd import RelationalLoss
from preceptor.knowledge.relation.sp import SimilarityLoss

__all__ = [
    "CRDLoss",
    "CorrelationLoss",
    "NSTLoss",
    "NeighbourLoss",
    "RelationalLoss",
    "SimilarityLoss",
]
