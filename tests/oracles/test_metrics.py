"""Every case of ``metrics.json`` against the measures, the mask loss and CKA.

Each metric has a function that computes everything its cases may expect from the case alone.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.oracles.draws import Case, build_arrays, case_parameters

from preceptor import measures
from preceptor.knowledge.task_loss import MaskLoss, dice_loss, focal_loss
from preceptor.measures.cka import StreamingCKA, gram, hsic_biased, hsic_unbiased, linear_cka

Values = dict[str, Any]


def cka(case: Case) -> Values:
    arrays = build_arrays(case["recipe"])
    assert case["derive"].startswith("Y = X @ mix + Y0"), f"unknown derivation {case['derive']!r}"
    x, y = torch.from_numpy(arrays["X"]), torch.from_numpy(arrays["X"] @ arrays["mix"] + arrays["Y0"])
    streaming, size = StreamingCKA(), case["hyper"]["batch"]
    for start in range(0, len(x) - size + 1, size):
        streaming.update({"x": x[start : start + size]}, {"y": y[start : start + size]})
    k, l = gram(x), gram(y)  # noqa: E741
    return {
        "cka_biased": linear_cka(x, y, unbiased=False),
        "cka_unbiased": linear_cka(x, y),
        "cka_minibatch": streaming.matrix(),
        "hsic_biased_xy": hsic_biased(k, l),
        "hsic_unbiased_xy": hsic_unbiased(k, l),
        "hsic_unbiased_xx": hsic_unbiased(k, k),
        "hsic_unbiased_yy": hsic_unbiased(l, l),
    }


def focal_dice(case: Case) -> Values:
    arrays = build_arrays(case["recipe"])
    logits = torch.from_numpy(arrays["logits"]).requires_grad_()
    mask = torch.from_numpy(arrays["mask"])[:, 0]
    gamma = case["hyper"]["tau"]
    total = MaskLoss(focal_gamma=gamma)(logits, mask)
    (gradient,) = torch.autograd.grad(total, logits)
    images = zip(logits.split(1), mask.split(1), strict=True)
    return {
        "focal_literal_sum": focal_loss(logits, torch.ones_like(mask), gamma=gamma, reduction="sum"),
        "focal_pt_sum": focal_loss(logits, mask, gamma=gamma, reduction="sum"),
        "focal_pt_mean": focal_loss(logits, mask, gamma=gamma),
        "dice_batch": dice_loss(logits, mask),
        "dice_per_image": torch.stack([dice_loss(*image) for image in images]).mean(),
        "total_default": total,
        "total_printed_sum": MaskLoss(focal_gamma=gamma, focal_reduction="sum")(logits, mask),
        "grad_norm_total_default": gradient.norm(),
    }


def iou_f1(case: Case) -> Values:
    predicted, target = (np.array(case["masks"][name]) for name in ("pred", "target"))
    counts = measures.mask_counts(predicted, target)
    scores = measures.segmentation_scores(counts)
    totals = counts.sum(axis=(0, 1))
    return {
        "pooled": {"iou": scores["iou"], "f1": scores["f1"]},
        "per_image_mean": {"iou": scores["iou_per_image"], "f1": scores["f1_per_image"]},
        "counts": dict(zip(measures.COUNTS, totals, strict=True)),
    }


def ensemble_fidelity(case: Case) -> Values:
    arrays = build_arrays(case["recipe"])
    members = [_softmax(arrays[f"logits_{k}"]) for k in range(1, case["hyper"]["K"] + 1)]
    teacher, ensemble = _softmax(arrays["logits_t"]), measures.maximum(members)
    fidelity = [measures.fidelity_scores(member, teacher) for member in members]
    return {
        "max_prob": measures.maximum(members, renormalise=False),
        "max_prediction": ensemble.argmax(axis=1),
        "mean_prediction": measures.mean(members).argmax(axis=1),
        "accuracy_max": measures.classification_scores(ensemble, arrays["labels"])["accuracy"],
        "fidelity": [scores["agreement"] for scores in fidelity],
        "fidelity_kl": [scores["kl"] for scores in fidelity],
        "fidelity_ensemble": measures.fidelity_scores(ensemble, teacher)["agreement"],
    }


def union_mask(case: Case) -> Values:
    arrays = build_arrays(case["recipe"])
    assert case["hyper"]["threshold"] == 0.5, "masks are thresholded at probability 0.5"
    members = [measures.masks_from_logits(arrays[f"logits_{k}"]) for k in range(1, case["hyper"]["K"] + 1)]
    union, target = measures.union(members), arrays["target"][:, 0]
    scores = measures.segmentation_scores(measures.mask_counts(union, target))
    fidelity = measures.mask_fidelity(union, measures.masks_from_logits(arrays["logits_t"]))
    of_members = [measures.segmentation_scores(measures.mask_counts(member, target)) for member in members]
    return {
        "union": union[:, None],
        "iou": scores["iou"],
        "f1": scores["f1"],
        "fidelity_iou": fidelity["iou"],
        "fidelity_f1": fidelity["f1"],
        "member_iou": [member["iou"] for member in of_members],
        "member_f1": [member["f1"] for member in of_members],
    }


METRICS: dict[str, Callable[[Case], Values]] = {
    "cka": cka,
    "focal_dice": focal_dice,
    "iou_f1": iou_f1,
    "ensemble_fidelity": ensemble_fidelity,
    "union_mask": union_mask,
}


@pytest.mark.parametrize("case", case_parameters("metrics.json"))
def test_case(case):
    assert case["metric"] in METRICS, f"unknown metric {case['metric']!r}; these tests know {', '.join(METRICS)}"
    compare(METRICS[case["metric"]](case), case["expected"], where=case["id"])


def compare(actual: Any, expected: Any, *, where: str) -> None:
    """Every expected value, to the stated 1e-7 (1e-6 for gradient norms); more values than expected are fine."""
    if isinstance(expected, dict):
        missing = expected.keys() - actual.keys()
        assert not missing, f"{where}: nothing computes {', '.join(sorted(missing))}"
        for name, value in expected.items():
            compare(actual[name], value, where=f"{where}.{name}")
        return
    actual = actual.detach().numpy() if isinstance(actual, torch.Tensor) else np.asarray(actual)
    actual = actual.reshape(np.shape(expected)) if actual.size == np.size(expected) else actual
    rtol = 1e-6 if "grad_norm" in where else 1e-7
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=1e-12, err_msg=where)


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)
