"""Our losses on the tensors of an oracle case: responses, features, relations.

Modules are the real ones, built from the case's shapes, with the case's weights loaded into them.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.feature.attention import attention_transfer
from preceptor.knowledge.feature.exits import active_feature_distance
from preceptor.knowledge.feature.feature_mse import feature_mse
from preceptor.knowledge.feature.fitnet import FitNetLoss
from preceptor.knowledge.feature.grafting import normalised_logit_distance
from preceptor.knowledge.feature.mgd import MGDLoss
from preceptor.knowledge.feature.reviewkd import Fusion, ReviewKDLoss, hierarchical_context
from preceptor.knowledge.feature.semckd import SemCKDLoss
from preceptor.knowledge.feature.simkd import SimKDLoss
from preceptor.knowledge.feature.srrl import SRRLLoss, softmax_regression
from preceptor.knowledge.feature.srrl_pooled import PooledSRRLLoss
from preceptor.knowledge.feature.vid import VIDLoss, gaussian_misfit
from preceptor.knowledge.logits.dist import correlation_gaps
from preceptor.knowledge.logits.dkd import decoupled_kl
from preceptor.knowledge.logits.integration import cross_entropy_weights, entropy_weights
from preceptor.knowledge.logits.logit_std_kd import standardised
from preceptor.knowledge.logits.nkd import normalised_cross_entropy
from preceptor.knowledge.logits.ofa import adaptive_target_cross_entropy
from preceptor.knowledge.logits.soft_target import Direction, soft_target_kl
from preceptor.knowledge.maps import spatial_mean, to_common_size
from preceptor.knowledge.relation.cc import consecutive_correlation
from preceptor.knowledge.relation.crd import CRDLoss
from preceptor.knowledge.relation.nst import selectivity_discrepancy
from preceptor.knowledge.relation.pkt import neighbour_kl
from preceptor.knowledge.relation.rkd import relation_gaps
from preceptor.knowledge.relation.sp import similarity_gap

from ..knowledge.references import (
    FusionHead,
    fusion_terms,
    soft_target_cross_entropy,
    weighted_feature_error,
    weighted_kl,
)
from .computed import Computed
from .draws import Case

Tensors = dict[str, Tensor]
L = TypeVar("L", bound=Loss)


def kd(case: Case, tensors: Tensors, direction: Direction = "forward") -> Computed:
    temperature = case["hyper"]["T"]
    return Computed(
        soft_target_kl(tensors["logits_s"], tensors["logits_t"], temperature=temperature, direction=direction)
    )


def kd_reverse(case: Case, tensors: Tensors) -> Computed:
    return kd(case, tensors, "reverse")


def dml(case: Case, tensors: Tensors) -> Computed:
    """The task losses, and facing edges of share 1 / (K - 1) that stop at their source."""
    temperature = case["hyper"]["T"]
    peers = _numbered(tensors, "logits_", first=1)
    terms = {}
    for number, own in enumerate(peers, start=1):
        others = [peer.detach() for peer in peers if peer is not own]
        shared = sum(soft_target_kl(own, peer, temperature=temperature) for peer in others) / len(others)
        terms[f"net{number}"] = F.cross_entropy(own, tensors["labels"]) + shared
    return Computed(_sum(terms.values()), terms)


def kdml_v3(case: Case, tensors: Tensors) -> Computed:
    """Student 1: the teacher's map and student 2's predictions; student 2: the other way round."""
    hyper, labels = case["hyper"], tensors["labels"]
    s1, s2, t = (tensors[f"logits_{name}"] for name in ("s1", "s2", "t"))
    map1, map2, map_t = (tensors[f"feat_{name}"] for name in ("s1", "s2", "t"))

    def predictions(learner: Tensor, source: Tensor) -> Tensor:
        return soft_target_kl(learner, source.detach(), temperature=hyper["T"], direction=hyper["direction"])

    terms = {
        "ce1": F.cross_entropy(s1, labels),
        "kdf1": feature_mse(map1, map_t),
        "mlp1": predictions(s1, s2),
        "ce2": F.cross_entropy(s2, labels),
        "kdp2": predictions(s2, t),
        "mlf2": feature_mse(map2, map1.detach()),
    }
    terms["L1"] = hyper["alpha"] * terms["ce1"] + hyper["beta"] * terms["kdf1"] + hyper["gamma"] * terms["mlp1"]
    terms["L2"] = hyper["alpha2"] * terms["ce2"] + hyper["beta2"] * terms["kdp2"] + hyper["gamma2"] * terms["mlf2"]
    return Computed(terms["L1"] + terms["L2"], terms)


def fitnet(case: Case, tensors: Tensors) -> Computed:
    loss = _built(FitNetLoss(), tensors["feat_s"], tensors["feat_t"])
    _load(loss.regressor[-3], tensors["conv_weight"], tensors["conv_bias"])
    return Computed(loss(tensors["feat_s"], tensors["feat_t"], _no_targets(tensors["feat_s"])))


def at(case: Case, tensors: Tensors) -> Computed:
    students, teachers = _numbered(tensors, "feat_s_"), _numbered(tensors, "feat_t_")
    return Computed(attention_transfer(students, teachers, exponent=case["hyper"]["p"]))


def sp(case: Case, tensors: Tensors) -> Computed:
    return Computed(similarity_gap(tensors["feat_s"], tensors["feat_t"]))


def vid(case: Case, tensors: Tensors) -> Computed:
    """The floor of the variance is ours; a case with another one is computed by the formula alone."""
    hyper = case["hyper"]
    student, teacher = tensors["feat_s"], tensors["feat_t"]
    loss = _built(VIDLoss(initial_variance=hyper["init_pred_var"]), student, teacher)
    level: Any = loss.levels[0]
    level.mean = nn.Sequential(
        *(layer for name in ("w1", "w2", "w3") for layer in (_convolution(tensors[name]), nn.ReLU()))
    )[:-1]
    if hyper["eps"] == 1e-5:
        return Computed(loss(student, teacher, _no_targets(student)))
    student, teacher = to_common_size(student, teacher)
    variance = torch.full((teacher.shape[1],), hyper["init_pred_var"], dtype=student.dtype)
    return Computed(gaussian_misfit(level.mean(student), teacher, variance))


def rkd(case: Case, tensors: Tensors) -> Computed:
    distance, angle = relation_gaps(tensors["emb_s"], tensors["emb_t"])
    return Computed(case["hyper"]["w_d"] * distance + case["hyper"]["w_a"] * angle)


def cc(case: Case, tensors: Tensors) -> Computed:
    return Computed(consecutive_correlation(tensors["emb_s"], tensors["emb_t"]))


def pkt(case: Case, tensors: Tensors) -> Computed:
    return Computed(neighbour_kl(tensors["emb_s"], tensors["emb_t"]))


def nst(case: Case, tensors: Tensors) -> Computed:
    return Computed(selectivity_discrepancy(tensors["feat_s"], tensors["feat_t"]))


def crd(case: Case, tensors: Tensors) -> Computed:
    hyper, student = case["hyper"], tensors["emb_s"]
    loss = CRDLoss(
        width=hyper["feat_dim"], negatives=hyper["nce_k"], temperature=hyper["nce_t"], momentum=hyper["nce_m"]
    )
    labels = torch.arange(hyper["n_data"]) % 2
    _built(loss, student, tensors["emb_t"], train_labels=labels)
    _load(loss.student_projector, tensors["ws"], tensors["bs"])
    _load(loss.teacher_projector, tensors["wt"], tensors["bt"])
    bound = 1.0 / (hyper["feat_dim"] / 3) ** 0.5
    loss.student_memory = tensors["u1"] * 2 * bound - bound
    loss.teacher_memory = tensors["u2"] * 2 * bound - bound
    value = loss.contrast(student, tensors["emb_t"], torch.arange(len(student)), tensors["neg_idx"])
    terms = {
        "Z_v1": loss.student_scale,
        "Z_v2": loss.teacher_scale,
        "memory_v1_norm": loss.student_memory.norm(),
        "memory_v2_norm": loss.teacher_memory.norm(),
    }
    return Computed(value, terms)


def semckd(case: Case, tensors: Tensors) -> Computed:
    students, teachers = tuple(_numbered(tensors, "feat_s_")), tuple(_numbered(tensors, "feat_t_"))
    loss = _built(SemCKDLoss(factor=case["hyper"]["factor"]), students, teachers)
    for side, perceptrons in (("query", loss.queries), ("key", loss.keys)):
        for number, perceptron in enumerate(perceptrons):
            assert isinstance(perceptron, nn.Sequential)
            for layer, linear in ((1, perceptron[0]), (2, perceptron[2])):
                _load(linear, tensors[f"{side}{number}_l{layer}w"], tensors[f"{side}{number}_l{layer}b"])
    for row, regressors in enumerate(loss.regressors):
        assert isinstance(regressors, nn.ModuleList)
        for column, regressor in enumerate(regressors):
            _load_convolutions(regressor, *(tensors[f"reg{row}{column}_c{number}"] for number in (1, 2, 3)))
    value = loss(students, teachers, _no_targets(students[0]))
    return Computed(value, outputs={"attention": loss.attention(students, teachers)})


def simkd(case: Case, tensors: Tensors) -> Computed:
    student, last = tensors["feat_s"], tensors["feat_t"]
    teacher = (last, spatial_mean(last))
    loss = SimKDLoss(factor=case["hyper"]["factor"])
    _built(loss, student, teacher, teacher_classifier=_linear(tensors["fc_w"], tensors["fc_b"]))
    _load_convolutions(loss.projector, *(tensors[name] for name in ("c1", "c2", "c3")))
    value = loss(student, teacher, _no_targets(student))
    head = loss.head()
    return Computed(value, outputs={"pred_logits": head(student)})


def srrl(case: Case, tensors: Tensors) -> Computed:
    student, teacher = tensors["feat_s"], spatial_mean(tensors["feat_t"])
    loss = SRRLLoss(regression_weight=case["hyper"]["weight"])
    _built(loss, student, teacher, teacher_classifier=_linear(tensors["fc_w"], tensors["fc_b"]))
    _load_convolutions(loss.connector, tensors["c1"])
    return _srrl(loss, student, teacher, spatial_mean(loss.connector(student)))


def srrl_pooled(case: Case, tensors: Tensors) -> Computed:
    student, teacher = tensors["emb_s"], tensors["emb_t"]
    loss = PooledSRRLLoss()
    _built(loss, student, teacher, teacher_classifier=_linear(tensors["fc_w"], tensors["fc_b"]))
    _load_convolutions(loss.connector, tensors["c1"])
    return _srrl(loss, student, teacher, loss.connector(student[:, :, None, None]).flatten(1))


def _srrl(loss: SRRLLoss | PooledSRRLLoss, student: Tensor, teacher: Tensor, embedding: Tensor) -> Computed:
    matching, regression = softmax_regression(embedding, teacher, loss.classifier)
    return Computed(loss(student, teacher, _no_targets(student)), {"fm": matching, "sr": regression})


def dkd(case: Case, tensors: Tensors) -> Computed:
    hyper = case["hyper"]
    target, others = decoupled_kl(tensors["logits_s"], tensors["logits_t"], tensors["labels"], temperature=hyper["T"])
    return Computed(hyper["alpha"] * target.mean() + hyper["beta"] * others.mean())


def reviewkd_hcl(case: Case, tensors: Tensors) -> Computed:
    return Computed(hierarchical_context(_numbered(tensors, "feat_s_"), _numbered(tensors, "feat_t_")))


def reviewkd(case: Case, tensors: Tensors) -> Computed:
    students, teachers = tuple(_numbered(tensors, "feat_s_")), tuple(_numbered(tensors, "feat_t_"))
    loss, middle, deepest = ReviewKDLoss(), case["hyper"]["mid"], len(students) - 1
    for level, (mine, theirs) in enumerate(zip(students, teachers, strict=True)):
        fusion = Fusion(mine.shape[1], theirs.shape[1], middle=middle, deepest=level == deepest).to(mine.dtype)
        loss.fusions.append(fusion)
        _load_convolutions(fusion.reduce, tensors[f"abf{level}_conv1"])
        _load_convolutions(fusion.project, tensors[f"abf{level}_conv2"])
        if fusion.mix is not None:
            _load(fusion.mix, tensors[f"abf{level}_att_w"], tensors[f"abf{level}_att_b"])
    return Computed(loss(students, teachers, _no_targets(students[0])))


def logit_std_kd(case: Case, tensors: Tensors) -> Computed:
    assert case["hyper"]["eps"] == 1e-7, "another stabiliser than the published one"
    student, teacher = standardised(tensors["logits_s"]), standardised(tensors["logits_t"])
    return Computed(soft_target_kl(student, teacher, temperature=case["hyper"]["T"]))


def nkd(case: Case, tensors: Tensors) -> Computed:
    hyper = case["hyper"]
    return Computed(
        normalised_cross_entropy(
            tensors["logits_s"],
            tensors["logits_t"],
            tensors["labels"],
            gamma=hyper["gamma"],
            temperature=hyper["temp"],
        )
    )


def ofa(case: Case, tensors: Tensors) -> Computed:
    hyper = case["hyper"]
    return Computed(
        adaptive_target_cross_entropy(
            tensors["logits_s"],
            tensors["logits_t"],
            tensors["labels"],
            exponent=hyper["eps"],
            temperature=hyper["T"],
        )
    )


def dist(case: Case, tensors: Tensors) -> Computed:
    hyper = case["hyper"]
    rows, columns = correlation_gaps(tensors["logits_s"], tensors["logits_t"], temperature=hyper["T"])
    return Computed(hyper["beta"] * rows + hyper["gamma"] * columns)


def mgd(case: Case, tensors: Tensors) -> Computed:
    hyper, student, teacher = case["hyper"], tensors["feat_s"], tensors["feat_t"]
    loss = MGDLoss(mask="channel" if hyper["mask"] == "channel" else "pixel", ratio=hyper["lambda"])
    _built(loss, student, teacher)
    if "align_w" in tensors:
        _load(loss.align, tensors["align_w"], tensors["align_b"])
    _load(loss.generator[0], tensors["g1_w"], tensors["g1_b"])
    _load(loss.generator[2], tensors["g2_w"], tensors["g2_b"])
    return Computed(hyper["alpha"] * loss.compare(student, teacher, tensors["mask_u"]))


def camkd(case: Case, tensors: Tensors) -> Computed:
    """Our weights sum to 1; the reference divides by the number of teachers once more."""
    hyper, count = case["hyper"], case["hyper"]["K"]
    logits = torch.stack(_numbered(tensors, "logits_t"))
    projected_logits = torch.stack(_numbered(tensors, "proj_logits"))
    by_logits = cross_entropy_weights(logits, tensors["labels"])
    by_features = cross_entropy_weights(projected_logits, tensors["labels"])
    kl = weighted_kl(tensors["logits_s"], logits, by_logits, temperature=hyper["T"]) / count
    features = _numbered(tensors, "proj_s"), _numbered(tensors, "feat_t")
    error = weighted_feature_error(*features, by_features) / count
    weights = {"weights_logit": by_logits, "weights_feat": by_features}
    return Computed(kl + hyper["beta"] * error, {"kl": kl, "feat": error}, weights)


def ebkd(case: Case, tensors: Tensors) -> Computed:
    """Our weights sum to 1; the reference's sum to K - 1, and it divides by K."""
    count = case["hyper"]["K"]
    logits = torch.stack(_numbered(tensors, "logits_t"))
    weights = entropy_weights(logits) * (count - 1)
    kl = weighted_kl(tensors["logits_s"], logits, weights, temperature=case["hyper"]["T"]) / count
    return Computed(kl, outputs={"weights": weights})


def ffl(case: Case, tensors: Tensors) -> Computed:
    """The reference adds 1e-7 to target probabilities; the same is added here to our exact terms."""
    temperature, weight, labels = case["hyper"]["T"], case["hyper"]["w"], tensors["labels"]
    first, second = tensors["feat_1"], tensors["feat_2"]
    outputs, classes = tensors["pw_w"].shape[0], tensors["fc_w"].shape[0]
    head = FusionHead(first.shape[1], second.shape[1], outputs, classes).to(first.dtype)
    _load_convolutions(head.block, tensors["dw_w"], tensors["pw_w"])
    _load(head.classifier, tensors["fc_w"], tensors["fc_b"])
    logits_1, logits_2, fused = tensors["logits_1"], tensors["logits_2"], head(first, second)
    ours = fusion_terms(logits_1, logits_2, fused, temperature=temperature)

    def offset(learner: Tensor, source: Tensor) -> Tensor:
        return _target_offset(learner, source.detach(), temperature=temperature, offset=1e-7)

    terms = {
        "ce1": F.cross_entropy(logits_1, labels),
        "ce2": F.cross_entropy(logits_2, labels),
        "cef": F.cross_entropy(fused, labels),
        "kl_f_to_1": ours.fused_to_first + offset(logits_1, fused),
        "kl_f_to_2": ours.fused_to_second + offset(logits_2, fused),
        "kl_ens_to_f": ours.ensemble_to_fused + offset(fused, (logits_1 + logits_2) / 2),
    }
    task = terms["ce1"] + terms["ce2"] + terms["cef"]
    distillation = terms["kl_f_to_1"] + terms["kl_f_to_2"] + terms["kl_ens_to_f"]
    return Computed(task + weight * distillation, terms, {"fused_logits": fused})


def byot(case: Case, tensors: Tensors) -> Computed:
    hyper, labels, count = case["hyper"], tensors["labels"], case["hyper"]["exits"]
    logits, features = tensors["logits"], tensors["feat"]
    exits, exit_features = _numbered(tensors, "logits_e")[:count], _numbered(tensors, "feat_e")[:count]
    terms = {
        "ce": _sum(F.cross_entropy(one, labels) for one in [logits, *exits]),
        "kd": _sum(soft_target_cross_entropy(one, logits.detach(), temperature=hyper["T"]) for one in exits),
        "feat": _sum(active_feature_distance(one, features.detach()) for one in exit_features),
    }
    alpha, beta = hyper["alpha"], hyper["beta"]
    return Computed((1 - alpha) * terms["ce"] + alpha * terms["kd"] + beta * terms["feat"], terms)


def netgraft(case: Case, tensors: Tensors) -> Computed:
    return Computed(normalised_logit_distance(tensors["logits_s"], tensors["logits_t"]))


METHODS: dict[str, Callable[[Case, Tensors], Computed]] = {
    function.__name__: function
    for function in (
        *(kd, kd_reverse, dml, kdml_v3, fitnet, at, sp, vid, rkd, cc, pkt, nst, crd, semckd, simkd, srrl),
        *(srrl_pooled, dkd, reviewkd_hcl, reviewkd, logit_std_kd, nkd, ofa, dist, mgd, camkd, ebkd, ffl, byot),
        netgraft,
    )
}


def _target_offset(learner: Tensor, source: Tensor, *, temperature: float, offset: float) -> Tensor:
    """What adding ``offset`` to every target probability adds to T² KL(source || learner)."""
    log_learner = F.log_softmax(learner / temperature, dim=1)
    target = (source / temperature).softmax(dim=1)
    moved = target + offset
    change = moved * moved.log() - target * target.log() - offset * log_learner
    return temperature**2 * change.sum(dim=1).mean()


def _built(loss: L, student: Any, teacher: Any, **more: Any) -> L:
    """``loss`` with its adapters for these tensors, in their precision."""
    first = student[0] if isinstance(student, tuple) else student
    probe = Probe(
        edge="T->S",
        task="classification",
        classes=2,
        batch_size=len(first),
        student=student,
        teacher=teacher,
        **more,
    )
    loss.build(probe)
    return loss.to(first.dtype)


def _numbered(tensors: Tensors, prefix: str, first: int = 0) -> list[Tensor]:
    """``prefix0``, ``prefix1``, … as far as they go."""
    found = []
    while f"{prefix}{first + len(found)}" in tensors:
        found.append(tensors[f"{prefix}{first + len(found)}"])
    return found


def _sum(values: Any) -> Tensor:
    return torch.stack(list(values)).sum()


def _no_targets(tensor: Tensor) -> Tensor:
    return torch.zeros(len(tensor), dtype=torch.int64)


def _load(module: Any, weight: Tensor, bias: Tensor | None = None) -> None:
    """Copy a case's weights into a module; shapes must agree."""
    with torch.no_grad():
        assert module.weight.shape == weight.shape, (
            f"{tuple(module.weight.shape)} here, {tuple(weight.shape)} in the case"
        )
        module.weight.copy_(weight)
        if bias is not None:
            module.bias.copy_(bias)


def _load_convolutions(module: nn.Module, *weights: Tensor) -> None:
    """Copy weights into the convolutions of ``module``, in order, all of which have no bias."""
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    for layer, weight in zip(convolutions, weights, strict=True):
        assert layer.bias is None
        _load(layer, weight)


def _convolution(weight: Tensor) -> nn.Conv2d:
    outputs, inputs, *kernel = weight.shape
    layer = nn.Conv2d(inputs, outputs, (kernel[0], kernel[1]), bias=False).to(weight.dtype)
    _load(layer, weight)
    return layer


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0]).to(weight.dtype)
    _load(layer, weight, bias)
    return layer
