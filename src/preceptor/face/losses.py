"""Every knowledge loss as a class for loops of one's own: ``pc.SoftTarget(4)``; the table of them all.

Those with ``needs_shapes`` have parameters of their own, which are made by ``build`` or by a cohort.
"""

from preceptor.face.standalone import standalone
from preceptor.knowledge.feature.attention import AttentionTransferLoss
from preceptor.knowledge.feature.cosine import CosineLoss
from preceptor.knowledge.feature.exits import ExitFeatureLoss
from preceptor.knowledge.feature.feature_mse import FeatureMSELoss
from preceptor.knowledge.feature.fitnet import FitNetLoss
from preceptor.knowledge.feature.grafting import GraftingLoss
from preceptor.knowledge.feature.mgd import MGDLoss
from preceptor.knowledge.feature.reviewkd import ReviewKDLoss
from preceptor.knowledge.feature.semckd import SemCKDLoss
from preceptor.knowledge.feature.simkd import SimKDLoss
from preceptor.knowledge.feature.srrl import SRRLLoss
from preceptor.knowledge.feature.srrl_pooled import PooledSRRLLoss
from preceptor.knowledge.feature.standardised import StandardisedLoss
from preceptor.knowledge.feature.vid import VIDLoss
from preceptor.knowledge.logits.dist import DISTLoss
from preceptor.knowledge.logits.dkd import DKDLoss
from preceptor.knowledge.logits.logit_std_kd import StandardisedLogitLoss
from preceptor.knowledge.logits.nkd import NKDLoss
from preceptor.knowledge.logits.ofa import OFALoss
from preceptor.knowledge.logits.soft_target import SoftTargetLoss
from preceptor.knowledge.mask.cwd import CWDLoss
from preceptor.knowledge.mask.dist_seg import DISTSegLoss
from preceptor.knowledge.mask.dsd import DSDLoss
from preceptor.knowledge.mask.emkd import EMKDLoss
from preceptor.knowledge.mask.fdwa_dkd import FDWAStyleLoss
from preceptor.knowledge.mask.fitnet_seg import FitNetSegLoss
from preceptor.knowledge.mask.ifvd import IFVDLoss
from preceptor.knowledge.mask.seg_kd import SegKDLoss
from preceptor.knowledge.mask.skd import SKDLoss
from preceptor.knowledge.relation.cc import CorrelationLoss
from preceptor.knowledge.relation.crd import CRDLoss
from preceptor.knowledge.relation.nst import NSTLoss
from preceptor.knowledge.relation.pkt import NeighbourLoss
from preceptor.knowledge.relation.queue import QueueLoss
from preceptor.knowledge.relation.rkd import RelationalLoss
from preceptor.knowledge.relation.sp import SimilarityLoss
from preceptor.knowledge.relation.tokens import TokenSimilarityLoss

__all__ = [
    "CRD",
    "CWD",
    "DIST",
    "DKD",
    "DSD",
    "EMKD",
    "IFVD",
    "MGD",
    "NKD",
    "NST",
    "OFA",
    "SKD",
    "SRRL",
    "VID",
    "AttentionTransfer",
    "Correlation",
    "Cosine",
    "DISTSeg",
    "ExitFeature",
    "FDWAStyle",
    "FeatureMSE",
    "FitNet",
    "FitNetSeg",
    "Grafting",
    "Neighbour",
    "PooledSRRL",
    "Queue",
    "Relational",
    "ReviewKD",
    "SegKD",
    "SemCKD",
    "SimKD",
    "Similarity",
    "SoftTarget",
    "Standardised",
    "StandardisedLogit",
    "TokenSimilarity",
]

AttentionTransfer = standalone(AttentionTransferLoss)
Cosine = standalone(CosineLoss, needs_shapes=True)
ExitFeature = standalone(ExitFeatureLoss)
FeatureMSE = standalone(FeatureMSELoss)
FitNet = standalone(FitNetLoss, needs_shapes=True)
Grafting = standalone(GraftingLoss)
MGD = standalone(MGDLoss, needs_shapes=True)
ReviewKD = standalone(ReviewKDLoss, needs_shapes=True)
SemCKD = standalone(SemCKDLoss, needs_shapes=True)
SimKD = standalone(SimKDLoss, needs_shapes=True)
SRRL = standalone(SRRLLoss, needs_shapes=True)
PooledSRRL = standalone(PooledSRRLLoss, needs_shapes=True)
Standardised = standalone(StandardisedLoss, needs_shapes=True)
VID = standalone(VIDLoss, needs_shapes=True)
DIST = standalone(DISTLoss)
DKD = standalone(DKDLoss)
StandardisedLogit = standalone(StandardisedLogitLoss)
NKD = standalone(NKDLoss)
OFA = standalone(OFALoss, needs_shapes=True)
SoftTarget = standalone(SoftTargetLoss)
CWD = standalone(CWDLoss)
DISTSeg = standalone(DISTSegLoss)
DSD = standalone(DSDLoss)
EMKD = standalone(EMKDLoss)
FDWAStyle = standalone(FDWAStyleLoss, needs_shapes=True)
FitNetSeg = standalone(FitNetSegLoss, needs_shapes=True)
IFVD = standalone(IFVDLoss, needs_shapes=True, needs_classes=True)
SegKD = standalone(SegKDLoss)
SKD = standalone(SKDLoss, needs_shapes=True)
Correlation = standalone(CorrelationLoss, needs_shapes=True)
CRD = standalone(CRDLoss, needs_shapes=True)
NST = standalone(NSTLoss)
Neighbour = standalone(NeighbourLoss)
Queue = standalone(QueueLoss, needs_shapes=True)
Relational = standalone(RelationalLoss)
Similarity = standalone(SimilarityLoss)
TokenSimilarity = standalone(TokenSimilarityLoss)
