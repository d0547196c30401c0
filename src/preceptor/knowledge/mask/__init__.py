"""What a segmenter answers and sees: losses on masks and on the maps behind them."""

from preceptor.knowledge.mask.cwd import CWDLoss
from preceptor.knowledge.mask.dist_seg import DISTSegLoss
from preceptor.knowledge.mask.dsd import DSDLoss
from preceptor.knowledge.mask.emkd import EMKDLoss
from preceptor.knowledge.mask.fdwa_dkd import FDWAStyleLoss
from preceptor.knowledge.mask.fitnet_seg import FitNetSegLoss
from preceptor.knowledge.mask.ifvd import IFVDLoss
from preceptor.knowledge.mask.seg_kd import SegKDLoss
from preceptor.knowledge.mask.skd import SKDLoss

__all__ = [
    "CWDLoss",
    "DISTSegLoss",
    "DSDLoss",
    "EMKDLoss",
    "FDWAStyleLoss",
    "FitNetSegLoss",
    "IFVDLoss",
    "SKDLoss",
    "SegKDLoss",
]
