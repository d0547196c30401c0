"""What a network answers: losses on class scores."""

from preceptor.knowledge.logits.dist import DISTLoss
from preceptor.knowledge.logits.dkd import DKDLoss
from preceptor.knowledge.logits.logit_std_kd import StandardisedLogitLoss
from preceptor.knowledge.logits.nkd import NKDLoss
from preceptor.knowledge.logits.ofa import OFALoss
from preceptor.knowledge.logits.soft_target import SoftTargetLoss

__all__ = [
    "DISTLoss",
    "DKDLoss",
    "NKDLoss",
    "OFALoss",
    "SoftTargetLoss",
    "StandardisedLogitLoss",
]
