"""What can be passed on from one network to another: one method a file, torch only."""

from typing import TYPE_CHECKING

from preceptor.lazy_names import lazy_names

if TYPE_CHECKING:
    from preceptor.knowledge.base import KnowledgeLoss, Loss, Probe
    from preceptor.knowledge.catalogue import entry_for, losses
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
    from preceptor.knowledge.relation.rkd import RelationalLoss
    from preceptor.knowledge.relation.sp import SimilarityLoss
    from preceptor.knowledge.setting import Setting, Tap
    from preceptor.knowledge.task_loss import ClassificationLoss, MaskLoss, build_task_loss

__all__ = [
    "AttentionTransferLoss",
    "CRDLoss",
    "CWDLoss",
    "ClassificationLoss",
    "CorrelationLoss",
    "DISTLoss",
    "DISTSegLoss",
    "DKDLoss",
    "DSDLoss",
    "EMKDLoss",
    "ExitFeatureLoss",
    "FDWAStyleLoss",
    "FeatureMSELoss",
    "FitNetLoss",
    "FitNetSegLoss",
    "GraftingLoss",
    "IFVDLoss",
    "KnowledgeLoss",
    "Loss",
    "MGDLoss",
    "MaskLoss",
    "NKDLoss",
    "NSTLoss",
    "NeighbourLoss",
    "OFALoss",
    "PooledSRRLLoss",
    "Probe",
    "RelationalLoss",
    "ReviewKDLoss",
    "SKDLoss",
    "SRRLLoss",
    "SegKDLoss",
    "SemCKDLoss",
    "Setting",
    "SimKDLoss",
    "SimilarityLoss",
    "SoftTargetLoss",
    "StandardisedLogitLoss",
    "Tap",
    "VIDLoss",
    "build_task_loss",
    "entry_for",
    "losses",
]

__getattr__ = lazy_names(
    __name__,
    {
        "base": ["KnowledgeLoss", "Loss", "Probe"],
        "catalogue": ["entry_for", "losses"],
        "feature.attention": ["AttentionTransferLoss"],
        "feature.exits": ["ExitFeatureLoss"],
        "feature.feature_mse": ["FeatureMSELoss"],
        "feature.fitnet": ["FitNetLoss"],
        "feature.grafting": ["GraftingLoss"],
        "feature.mgd": ["MGDLoss"],
        "feature.reviewkd": ["ReviewKDLoss"],
        "feature.semckd": ["SemCKDLoss"],
        "feature.simkd": ["SimKDLoss"],
        "feature.srrl": ["SRRLLoss"],
        "feature.srrl_pooled": ["PooledSRRLLoss"],
        "feature.vid": ["VIDLoss"],
        "logits.dist": ["DISTLoss"],
        "logits.dkd": ["DKDLoss"],
        "logits.logit_std_kd": ["StandardisedLogitLoss"],
        "logits.nkd": ["NKDLoss"],
        "logits.ofa": ["OFALoss"],
        "logits.soft_target": ["SoftTargetLoss"],
        "mask.cwd": ["CWDLoss"],
        "mask.dist_seg": ["DISTSegLoss"],
        "mask.dsd": ["DSDLoss"],
        "mask.emkd": ["EMKDLoss"],
        "mask.fdwa_dkd": ["FDWAStyleLoss"],
        "mask.fitnet_seg": ["FitNetSegLoss"],
        "mask.ifvd": ["IFVDLoss"],
        "mask.seg_kd": ["SegKDLoss"],
        "mask.skd": ["SKDLoss"],
        "relation.cc": ["CorrelationLoss"],
        "relation.crd": ["CRDLoss"],
        "relation.nst": ["NSTLoss"],
        "relation.pkt": ["NeighbourLoss"],
        "relation.rkd": ["RelationalLoss"],
        "relation.sp": ["SimilarityLoss"],
        "setting": ["Setting", "Tap"],
        "task_loss": ["ClassificationLoss", "MaskLoss", "build_task_loss"],
    },
)
