"""How well: scores, calibration, ensembles, fidelity, uncertainty. NumPy and SciPy only, no torch.

:mod:`preceptor.measures.cka` needs torch and is imported by that name.
"""

from preceptor.measures.calibration import Reliability, expected_calibration_error, reliability
from preceptor.measures.classification import auroc, confusion_matrix, placements
from preceptor.measures.ensemble import maximum, mean, merged_masks, union
from preceptor.measures.measure import ClassAnswers, MaskAnswers, Measure, Paired, counted, mean_where, ratio
from preceptor.measures.segmentation import (
    COUNTS,
    intersection_over_union,
    mask_counts,
    mask_f1,
    masks_from_logits,
)
from preceptor.measures.significance import (
    PairedTest,
    delong,
    difference_in_words,
    holm,
    mcnemar,
    paired_permutation,
    wilcoxon,
)
from preceptor.measures.table import (
    MEASURES,
    classification_scores,
    fidelity_scores,
    main_measure,
    mask_fidelity,
    segmentation_scores,
)
from preceptor.measures.uncertainty import (
    Interval,
    Resampler,
    Spread,
    basic_interval,
    bootstrap,
    bootstrap_sums,
    percentile_interval,
    spread,
)

__all__ = [
    "COUNTS",
    "MEASURES",
    "ClassAnswers",
    "Interval",
    "MaskAnswers",
    "Measure",
    "Paired",
    "PairedTest",
    "Reliability",
    "Resampler",
    "Spread",
    "auroc",
    "basic_interval",
    "bootstrap",
    "bootstrap_sums",
    "classification_scores",
    "confusion_matrix",
    "counted",
    "delong",
    "difference_in_words",
    "expected_calibration_error",
    "fidelity_scores",
    "holm",
    "intersection_over_union",
    "main_measure",
    "mask_counts",
    "mask_f1",
    "mask_fidelity",
    "masks_from_logits",
    "maximum",
    "mcnemar",
    "mean",
    "mean_where",
    "merged_masks",
    "paired_permutation",
    "percentile_interval",
    "placements",
    "ratio",
    "reliability",
    "segmentation_scores",
    "spread",
    "union",
    "wilcoxon",
]
