"""What a network answers: losses on class scores."""

from preceptor.knowledge.response.dist import DISTLoss
from preceptor.knowledge.response.dkd import DKDLoss
from preceptor.knowledge.response.logit_std_kd import StandardisedLogitLoss
from preceptor.knowledge.response.nkd import NKDLoss
from preceptor.knowledge.response.ofa import OFALoss
from preceptor.knowledge.response.soft_target import SoftTargetLoss

__all__ = [
    "DISTLoss",
    "DKDLoss",
    "NKDLoss",
    "OFALoss",
    "SoftTargetLoss",
    "StandardisedLogitLoss",
]
