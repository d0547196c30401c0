"""What a network sees inside: losses on feature maps, sample by sample."""

from preceptor.knowledge.feature.attention import AttentionTransferLoss
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
from preceptor.knowledge.feature.vid import VIDLoss

__all__ = [
    "AttentionTransferLoss",
    "ExitFeatureLoss",
    "FeatureMSELoss",
    "FitNetLoss",
    "GraftingLoss",
    "MGDLoss",
    "PooledSRRLLoss",
    "ReviewKDLoss",
    "SRRLLoss",
    "SemCKDLoss",
    "SimKDLoss",
    "VIDLoss",
]
