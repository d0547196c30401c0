import math

import numpy as np
import pytest
from scipy import stats

from preceptor.measures import Resampler, basic_interval, bootstrap, bootstrap_sums, spread


def share(sums):
    return sums[:, 0] / sums[:, 1]


def columns(values):
    return np.stack([values, np.ones_like(values)], axis=1)


def test_spread_is_the_sample_deviation():
    found = spread([0.80, 0.82, 0.87])
    assert found.mean == pytest.approx(0.83)
    assert found.deviation == pytest.approx(math.sqrt((0.03**2 + 0.01**2 + 0.04**2) / 2))
    assert spread([0.8]).deviation is None
    with pytest.raises(ValueError, match="no values"):
        spread([])


def test_interval_of_a_mean_is_the_normal_one():
    values = np.random.default_rng(0).normal(1.0, 2.0, size=2000)
    found = bootstrap_sums(columns(values), share, resamples=4000)
    error = values.std(ddof=1) / math.sqrt(2000)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)
    assert found.units == 2000


def test_agrees_with_scipy():
    values = np.random.default_rng(1).exponential(size=60)
    reference = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=0)
    found = bootstrap_sums(columns(values), share, resamples=20_000)
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval), abs=0.015)


def test_both_forms_agree_on_groups():
    generator = np.random.default_rng(2)
    groups = [f"patient {number}" for number in generator.integers(12, size=300)]
    values = generator.random(300)
    fast = bootstrap_sums(columns(values), share, groups=groups, resamples=6000)
    slow = bootstrap(lambda rows: float(values[rows].mean()), 300, groups=groups, resamples=6000)
    assert fast.value == pytest.approx(slow.value)
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=0.004)
    assert fast.units == slow.units == 12


def test_copies_of_a_patients_image_add_no_certainty():
    values = np.random.default_rng(3).random(40)
    alone = bootstrap_sums(columns(values), share)
    copied = bootstrap_sums(columns(np.repeat(values, 25)), share, groups=list(np.repeat(np.arange(40), 25)))
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))


def test_the_seed_fixes_the_interval():
    values = columns(np.random.default_rng(4).random(30))
    assert bootstrap_sums(values, share, seed=1) == bootstrap_sums(values, share, seed=1)
    assert bootstrap_sums(values, share, seed=1) != bootstrap_sums(values, share, seed=2)


def test_undefined_resamples_are_left_out():
    found = bootstrap(lambda rows: math.nan if len(set(rows)) < 2 else float(rows.mean()), 2, resamples=200)
    assert found.low == found.high == 0.5


def test_groups_must_match():
    with pytest.raises(ValueError, match="groups: 2 for 3 samples"):
        bootstrap_sums(np.ones((3, 2)), share, groups=["a", "b"])


@pytest.mark.timeout(30)
def test_many_samples_take_seconds():
    values = np.random.default_rng(5).random(100_000)
    assert bootstrap_sums(columns(values), share, resamples=2000).units == 100_000


def test_networks_side_by_side_are_resampled_together():
    generator = np.random.default_rng(6)
    right, groups = generator.random((90, 3)), list(generator.integers(9, size=90))
    both = np.concatenate([right, np.ones((90, 1))], axis=1)
    resampler = Resampler(90, groups=groups)
    whole, sums = resampler.sums(both)
    assert resampler.units == 9
    assert whole[0] == pytest.approx(both.sum(axis=0))
    for network in range(3):
        alone = bootstrap_sums(columns(right[:, network]), share, groups=groups)
        assert np.quantile(sums[:, network] / sums[:, 3], [0.025, 0.975]) == pytest.approx([alone.low, alone.high])


def test_the_basic_interval_mirrors_what_noise_adds():
    """By hand: resamples spread evenly over 0.4–1.4 around a value of 0.5, which they make larger."""
    found = basic_interval(0.5, np.linspace(0.4, 1.4, 1001), units=7, level=0.8)
    assert (found.low, found.high) == pytest.approx((0.0, 0.5))
    assert (found.value, found.units) == (0.5, 7)
    assert basic_interval(1.0, np.linspace(0.4, 1.4, 1001), units=7, level=0.8).low == pytest.approx(0.7)


def test_the_basic_interval_covers_a_calibration_error_that_percentiles_miss():
    """Of nearly calibrated answers: 15 sums of noise, of which the mean absolute value is far above the truth."""
    generator = np.random.default_rng(7)
    truth, covered, missed = 0.001 * 15, 0, 0
    for seed in range(60):
        gaps = np.zeros((300, 15))
        gaps[np.arange(300), generator.integers(15, size=300)] = generator.normal(0.015, 0.45, size=300)
        whole, sums = Resampler(300, resamples=400, seed=seed).sums(gaps)
        value, again = float(np.abs(whole).sum() / 300), np.abs(sums).sum(axis=1) / 300
        found = basic_interval(value, again, 300)
        covered += found.low <= truth <= found.high
        missed += np.quantile(again, 0.025) > truth
    assert missed == 60
    assert covered > 30
