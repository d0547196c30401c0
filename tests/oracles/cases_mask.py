"""Our losses on the tensors of an oracle case: masks."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from preceptor.knowledge.logits.dist import correlation_gaps
from preceptor.knowledge.logits.soft_target import soft_target_kl
from preceptor.knowledge.mask.cwd import channel_kl
from preceptor.knowledge.mask.dsd import class_similarity_distance, pixel_similarity_distance
from preceptor.knowledge.mask.emkd import importance_distance, region_affinity_distance
from preceptor.knowledge.mask.fitnet_seg import hint_distance
from preceptor.knowledge.mask.ifvd import variation_distance
from preceptor.knowledge.mask.maps import resized_labels
from preceptor.knowledge.mask.skd import pair_distance, pixel_cross_entropy

from .computed import Computed
from .draws import Case

Tensors = dict[str, Tensor]


def seg_kd(case: Case, tensors: Tensors) -> Computed:
    return Computed(soft_target_kl(tensors["logits_s"], tensors["logits_t"], temperature=case["hyper"]["T"]))


def seg_kd_elementmean(case: Case, tensors: Tensors) -> Computed:
    """The reference averages over classes too and leaves T² out: ours / (C T²)."""
    classes, temperature = tensors["logits_s"].shape[1], case["hyper"]["T"]
    return Computed(seg_kd(case, tensors).loss / (classes * temperature**2))


def fitnet_seg(case: Case, tensors: Tensors) -> Computed:
    return Computed(hint_distance(F.conv2d(tensors["feat_s"], tensors["conv_weight"]), tensors["feat_t"]))


def skd_pixelwise(case: Case, tensors: Tensors) -> Computed:
    return Computed(pixel_cross_entropy(tensors["logits_s"], tensors["logits_t"]))


def skd_pairwise(case: Case, tensors: Tensors) -> Computed:
    return Computed(pair_distance(tensors["feat_s"], tensors["feat_t"], scale=case["hyper"]["scale"]))


def ifvd(case: Case, tensors: Tensors) -> Computed:
    classes = case["hyper"]["num_classes"]
    labels = resized_labels(tensors["mask"], tensors["feat_s"])
    return Computed(variation_distance(tensors["feat_s"], tensors["feat_t"], labels, classes=classes))


def cwd(case: Case, tensors: Tensors) -> Computed:
    return Computed(channel_kl(tensors["logits_s"], tensors["logits_t"], temperature=case["hyper"]["T"]).mean())


def dsd_psd(case: Case, tensors: Tensors) -> Computed:
    stages = range(case["hyper"]["stages"])
    students, teachers = ([tensors[f"feat_{side}_{stage}"] for stage in stages] for side in "st")
    return Computed(pixel_similarity_distance(students, teachers))


def dsd_csd(case: Case, tensors: Tensors) -> Computed:
    temperature = case["hyper"]["tau"]
    return Computed(class_similarity_distance(tensors["logits_s"], tensors["logits_t"], temperature=temperature))


def emkd_imd(case: Case, tensors: Tensors) -> Computed:
    exponent = case["hyper"]["exponent"]
    return Computed(importance_distance(tensors["feat_s"], tensors["feat_t"], exponent=exponent))


def emkd_rad(case: Case, tensors: Tensors) -> Computed:
    return Computed(region_affinity_distance(tensors["feat_s"], tensors["feat_t"], tensors["mask"]))


def dist_seg(case: Case, tensors: Tensors) -> Computed:
    hyper = case["hyper"]
    rows, columns = correlation_gaps(tensors["logits_s"], tensors["logits_t"], temperature=hyper["T"])
    return Computed(hyper["beta"] * rows + hyper["gamma"] * columns)


METHODS: dict[str, Callable[[Case, Tensors], Computed]] = {
    "seg_kd": seg_kd,
    "seg_kd_elementmean": seg_kd_elementmean,
    "fitnet_seg": fitnet_seg,
    "skd_pixelwise": skd_pixelwise,
    "skd_pairwise": skd_pairwise,
    "ifvd": ifvd,
    "cwd": cwd,
    "dsd_psd": dsd_psd,
    "dsd_csd": dsd_csd,
    "emkd_pmd": seg_kd,
    "emkd_imd": emkd_imd,
    "emkd_rad": emkd_rad,
    "dist_seg": dist_seg,
}
