import time

import pytest
import torch

from preceptor.measures.cka import StreamingCKA, gram, hsic_biased, hsic_unbiased, linear_cka


@pytest.fixture
def features():
    """Two related sets of features of 40 images, float64."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    noise = torch.randn(40, 9, generator=generator, dtype=torch.float64)
    return x, x @ torch.randn(6, 9, generator=generator, dtype=torch.float64) + noise


def test_biased_form_is_the_closed_one(features):
    """‖YcᵀXc‖² / (‖XcᵀXc‖ ‖YcᵀYc‖), Frobenius norms (Kornblith et al. 2019, eq. 3)."""
    x, y = (f - f.mean(dim=0) for f in features)
    expected = (y.T @ x).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())
    assert linear_cka(*features, unbiased=False) == pytest.approx(float(expected))
    assert float(hsic_biased(gram(x), gram(y))) == pytest.approx(float((y.T @ x).norm() ** 2 / 39**2))


def test_unbiased_hsic_is_the_printed_formula(features):
    """[tr(KL) + 1ᵀK1·1ᵀL1/((n-1)(n-2)) - 2/(n-2)·1ᵀKL1] / (n(n-3)), diagonals zero."""
    k, l = (f @ f.T for f in features)  # noqa: E741
    n = len(k)
    k, l = k.fill_diagonal_(0), l.fill_diagonal_(0)  # noqa: E741
    cross = (k @ l).trace() + k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k @ l).sum()
    torch.testing.assert_close(hsic_unbiased(k, l), cross / (n * (n - 3)))


def test_independent_features_have_zero_hsic_on_average():
    generator = torch.Generator().manual_seed(1)
    unbiased, biased = [], []
    for _ in range(400):
        x, y = torch.randn(2, 8, 5, generator=generator, dtype=torch.float64)
        unbiased.append(hsic_unbiased(gram(x), gram(y)))
        biased.append(hsic_biased(gram(x), gram(y)))
    spread = torch.stack(unbiased).std() / 20
    assert abs(torch.stack(unbiased).mean()) < 3 * spread
    assert torch.stack(biased).mean() > 10 * spread


@pytest.mark.parametrize("unbiased", [False, True])
def test_invariant_to_rotation_scale_and_shift(features, unbiased):
    x, y = features
    rotation, _ = torch.linalg.qr(torch.randn(9, 9, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    expected = linear_cka(x, y, unbiased=unbiased)
    assert linear_cka(x, 3 * y @ rotation + 7, unbiased=unbiased) == pytest.approx(expected)
    assert linear_cka(y, x, unbiased=unbiased) == pytest.approx(expected)
    assert linear_cka(x, x, unbiased=unbiased) == pytest.approx(1.0)


def mean_hsic(x, y, size=8):
    """Unbiased HSIC of each batch, averaged."""
    batches = zip(x.split(size), y.split(size), strict=True)
    return torch.stack([hsic_unbiased(gram(p), gram(q)) for p, q in batches]).mean()


def test_streaming_is_the_ratio_of_mean_hsics(features):
    """Every pair of two taps by the slow way: average over batches first, then divide."""
    x, y = features
    first, second = {"a": x, "b": x.relu()}, {"c": y, "d": y.view(40, 3, 3)}
    streaming = StreamingCKA()
    for batch in torch.arange(40).split(8):
        streaming.update({name: f[batch] for name, f in first.items()}, {name: f[batch] for name, f in second.items()})
    assert streaming.taps == (("a", "b"), ("c", "d"))
    assert streaming.batches == 5
    for row, p in enumerate(first.values()):
        for column, q in enumerate(second.values()):
            xy, xx, yy = (mean_hsic(*pair) for pair in ((p, q), (p, p), (q, q)))
            torch.testing.assert_close(streaming.matrix()[row, column], xy / (xx * yy).sqrt())


def test_one_batch_of_everything_is_the_unbiased_form(features):
    streaming = StreamingCKA()
    streaming.update({"x": features[0]}, {"y": features[1]})
    assert float(streaming.matrix()) == pytest.approx(linear_cka(*features))


def test_a_large_common_shift_keeps_its_digits(features):
    """Post-ReLU maps share a mean that is large beside what differs between images."""
    x, y = (f.float() for f in features)
    assert linear_cka(x + 100, y + 100) == pytest.approx(linear_cka(*features), rel=1e-4)


def test_half_precision_is_computed_in_float32(features):
    x, y = (f.bfloat16() for f in features)
    assert linear_cka(x, y) == pytest.approx(linear_cka(x.float(), y.float()))


def test_a_tap_that_never_varies_is_nan(features):
    streaming = StreamingCKA()
    streaming.update({"x": features[0], "flat": torch.ones(40, 3)}, {"y": features[1]})
    assert streaming.matrix().isnan().tolist() == [[False], [True]]


def test_what_cannot_be_compared_is_refused(features):
    x, y = features
    streaming = StreamingCKA()
    with pytest.raises(ValueError, match="no batch"):
        streaming.matrix()
    with pytest.raises(ValueError, match="at least 4 images in a batch, got 3"):
        streaming.update({"x": x[:3]}, {"y": y[:3]})
    with pytest.raises(ValueError, match="same images"):
        streaming.update({"x": x[:8]}, {"y": y[:6]})
    streaming.update({"x": x}, {"y": y})
    with pytest.raises(ValueError, match="earlier ones had"):
        streaming.update({"z": x}, {"y": y})


@pytest.mark.slow
def test_two_thousand_images_and_twenty_taps_take_under_a_minute():
    """Taps of the sizes of a ResNet at 96 px; only the comparison is timed."""
    shapes = [(64, 24, 24), (128, 12, 12), (256, 6, 6), (512, 3, 3)] * 5
    taps = {str(number): torch.rand(64, *shape) for number, shape in enumerate(shapes)}
    streaming, start = StreamingCKA(), time.perf_counter()
    for _ in range(2000 // 64):
        streaming.update(taps, taps)
    assert streaming.matrix().shape == (20, 20)
    assert time.perf_counter() - start < 60
