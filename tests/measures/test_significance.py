from itertools import product

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from preceptor.measures import delong, difference_in_words, holm, mcnemar, paired_permutation, wilcoxon


def answers(both, only_first, only_second, neither):
    """Which samples two networks got right, from the four counts."""
    first = np.repeat([True, True, False, False], [both, only_first, only_second, neither])
    second = np.repeat([True, False, True, False], [both, only_first, only_second, neither])
    return first, second


def test_mcnemar_on_the_approval_ratings():
    """Agresti 2002, Categorical Data Analysis, section 10.1.1: counts 794, 150, 86, 570 give z² = 17.36."""
    found = mcnemar(*answers(794, 150, 86, 570), method="chi2")
    assert stats.chi2.isf(found.p_value, df=1) == pytest.approx(17.36, abs=0.005)
    assert found.difference == pytest.approx((944 - 880) / 1600)


def test_mcnemar_on_airway_responsiveness():
    """Fagerland et al. 2013, BMC Med Res Methodol 13:91: 1 and 7 pairs differ; exact .0703, mid-p .0391, χ² .0339."""
    pair = answers(1, 1, 7, 12)
    assert mcnemar(*pair, method="exact").p_value == pytest.approx(0.0703, abs=5e-5)
    assert mcnemar(*pair, method="mid_p").p_value == pytest.approx(0.0391, abs=5e-5)
    assert mcnemar(*pair, method="chi2").p_value == pytest.approx(0.0339, abs=5e-5)


def test_exact_mcnemar_is_the_binomial_test():
    assert mcnemar(*answers(50, 9, 20, 8), method="exact").p_value == pytest.approx(stats.binomtest(9, 29).pvalue)


@pytest.mark.parametrize("method", ["exact", "mid_p", "chi2"])
def test_equal_networks_do_not_differ(method):
    assert mcnemar(*answers(5, 4, 4, 3), method=method).p_value == pytest.approx(1.0)
    assert mcnemar(*answers(5, 0, 0, 3), method=method).p_value == 1.0


def test_permutation_of_few_units_is_exact():
    generator = np.random.default_rng(0)
    first, second = generator.random(9) + 0.1, generator.random(9)
    gaps = first - second
    sums = [abs(np.dot(signs, gaps)) for signs in product([1, -1], repeat=9)]
    expected = np.mean([value >= abs(gaps.sum()) - 1e-12 for value in sums])
    assert paired_permutation(first, second).p_value == pytest.approx(expected)


def test_permutation_agrees_with_scipy():
    generator = np.random.default_rng(1)
    first, second = generator.random(60) + 0.07, generator.random(60)
    reference = stats.permutation_test(
        (first, second), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=20_000, rng=0
    )
    assert paired_permutation(first, second, resamples=20_000).p_value == pytest.approx(reference.pvalue, abs=0.015)


def test_permutation_of_right_and_wrong_is_exact_mcnemar():
    first, second = answers(40, 6, 16, 10)
    expected = mcnemar(first, second, method="exact").p_value
    assert paired_permutation(first, second, resamples=40_000).p_value == pytest.approx(expected, abs=0.006)


def test_groups_are_exchanged_whole():
    """Twelve images of three patients that all agree: 2 of the 8 exchanges are as extreme."""
    first, second = np.ones(12), np.zeros(12)
    found = paired_permutation(first, second, groups=list("aaaabbbbcccc"))
    assert found.p_value == pytest.approx(2 / 8)
    assert found.units == 3
    assert found.difference == 1.0


def test_random_permutation_never_gives_zero():
    found = paired_permutation(np.ones(40), np.zeros(40), resamples=99)
    assert found.p_value == pytest.approx(1 / 100)
    assert paired_permutation(np.ones(40), np.ones(40), resamples=99).p_value == 1.0


def test_delong_agrees_with_its_definition():
    """Variance from the kernel of every (positive, negative) pair, as in the paper's equations 5 and 6."""
    generator = np.random.default_rng(2)
    labels = generator.random(80) < 0.4
    first = (labels + generator.normal(size=80)).round(1)
    second = 0.5 * first + generator.normal(size=80).round(1)
    found = delong(labels, first, second)

    kernels = [np.sign(s[labels][:, None] - s[~labels][None, :]) / 2 + 0.5 for s in (first, second)]
    by_positive, by_negative = ([k.mean(axis=axis) for k in kernels] for axis in (1, 0))
    covariance = np.cov(by_positive) / labels.sum() + np.cov(by_negative) / (~labels).sum()
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    difference = roc_auc_score(labels, first) - roc_auc_score(labels, second)
    assert found.difference == pytest.approx(difference)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(difference) / np.sqrt(variance)))


def test_delong_holds_its_level():
    """Two equally good, correlated scores: about 5 % of the p-values lie below 0.05."""
    generator = np.random.default_rng(3)
    p_values = []
    for _ in range(400):
        labels = np.arange(100) < 50
        shared = labels + generator.normal(size=100)
        p_values.append(delong(labels, *(shared + generator.normal(size=100) for _ in range(2))).p_value)
    assert 0.02 < np.mean(np.array(p_values) < 0.05) < 0.09


def test_delong_of_a_score_with_itself():
    labels, scores = np.array([True, True, False, False]), np.array([0.9, 0.4, 0.5, 0.1])
    assert delong(labels, scores, scores).p_value == 1.0
    with pytest.raises(ValueError, match="two samples or more of each class"):
        delong(np.array([True, False, False]), scores[:3], scores[:3])


def test_wilcoxon_is_scipys():
    generator = np.random.default_rng(4)
    first, second = generator.random(30) + 0.1, generator.random(30)
    assert wilcoxon(first, second).p_value == pytest.approx(stats.wilcoxon(first, second).pvalue)
    assert wilcoxon(first, first).p_value == 1.0


def test_wilcoxon_on_darwins_maize():
    """Darwin's 15 pairs of plants (the example of scipy's manual): W = 24, exact two-sided p = 0.0413."""
    gaps = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], dtype=float)
    found = wilcoxon(gaps, np.zeros(15))
    assert found.p_value == pytest.approx(0.0413, abs=5e-5)
    assert found.difference == pytest.approx(gaps.mean())


def test_holm_by_hand():
    """Four p-values: .005·4, .01·3, .03·2, and .04·1 raised to the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_verdict_in_words():
    common = {"metric": "accuracy", "samples": 1200}
    assert difference_in_words(
        "kd_ml", "baseline", seed_differences=[0.01, 0.02, 0.03], p_value=0.004, groups=56, **common
    ) == (
        "kd_ml is better than baseline: accuracy +2.00 ± 1.00 points, p=0.004, with 3 seeds and n=1,200 in 56 groups."
    )
    assert difference_in_words("kd_ml", "baseline", seed_differences=[-0.01], p_value=0.0001, **common) == (
        "kd_ml is worse than baseline: accuracy -1.00 points, p<0.001, with 1 seed and n=1,200."
    )
    assert "not distinguishable with 2 seeds and n=1,200" in difference_in_words(
        "a", "b", seed_differences=[0.01, 0.02], p_value=0.2, **common
    )


def test_rows_must_pair():
    with pytest.raises(ValueError, match="two equally long rows"):
        wilcoxon(np.ones(3), np.ones(4))


@pytest.mark.timeout(30)
def test_many_samples_take_seconds():
    generator = np.random.default_rng(5)
    first, second = generator.random((2, 100_000))
    assert delong(first > 0.3, first, second).units == 100_000
    assert paired_permutation(first > 0.5, second > 0.5, resamples=1000).units == 100_000


def test_delong_with_groups_is_as_careful_as_the_groups_are_few():
    """Copies of a patient's samples add no certainty; groups of one are the test without groups, but for (n-1)/n."""
    generator = np.random.default_rng(7)
    labels = generator.random(60) < 0.5
    first, second = (labels + generator.normal(size=60) for _ in range(2))
    alone = delong(labels, first, second, groups=range(60))
    copied = delong(*(np.repeat(values, 5) for values in (labels, first, second)), groups=list(np.repeat(range(60), 5)))
    assert alone.p_value == pytest.approx(delong(labels, first, second).p_value, rel=0.05)
    assert copied.p_value == pytest.approx(alone.p_value)
    assert copied.units == 60


def test_delong_of_seeds_is_about_their_mean_auroc():
    generator = np.random.default_rng(8)
    labels = np.arange(50) < 20
    first, second = labels + generator.normal(size=(3, 50)), 0.2 * labels + generator.normal(size=(3, 50))
    areas = [np.mean([roc_auc_score(labels, row) for row in rows]) for rows in (first, second)]
    assert delong(labels, first, second).difference == pytest.approx(areas[0] - areas[1])
    assert delong(labels, first[[0, 0]], second[[0, 0]]).p_value == delong(labels, first[0], second[0]).p_value
    with pytest.raises(ValueError, match="one label per score"):
        delong(labels, first, second[:, :40])
