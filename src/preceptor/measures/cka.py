r"""Centred kernel alignment: how alike two networks arrange the same images.

With linear kernels :math:`K = XX^\top`, :math:`L = YY^\top` over n images,
:math:`\mathrm{CKA} = \mathrm{HSIC}(K, L) / \sqrt{\mathrm{HSIC}(K, K)\,\mathrm{HSIC}(L, L)}` (Kornblith et al. 2019,
arXiv:1905.00414). The unbiased HSIC of Song et al. 2012 may be averaged over batches (Nguyen et al. 2021,
arXiv:2010.15327), which makes any number of images and taps fit into constant memory.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

_COLUMNS = 16384


def linear_cka(x: Tensor, y: Tensor, *, unbiased: bool = True) -> float:
    """CKA of two sets of features of the same images, all held in memory.

    The unbiased form estimates the value for infinitely many images and may leave [0, 1] slightly;
    the biased form stays inside and grows with features per image.

    Shapes:
        x: (n, ...), y: (n, ...); everything behind n is flattened. Unbiased wants n ≥ 4, biased n ≥ 2.
    """
    hsic = hsic_unbiased if unbiased else hsic_biased
    k, l = gram(x), gram(y)  # noqa: E741
    return float(hsic(k, l) / (hsic(k, k) * hsic(l, l)).sqrt())


def hsic_biased(k: Tensor, l: Tensor) -> Tensor:  # noqa: E741
    r"""Biased HSIC of two (n, n) Gram matrices: :math:`\mathrm{tr}(KHLH)/(n-1)^2`, H centring (Gretton et al. 2005)."""
    return (_centred(k) * _centred(l)).sum() / (len(k) - 1) ** 2


def hsic_unbiased(k: Tensor, l: Tensor) -> Tensor:  # noqa: E741
    """Unbiased HSIC of two (n, n) Gram matrices, n ≥ 4 (Song et al. 2012, eq. 5).

    Computed as the mean product of U-centred matrices (Székely & Rizzo 2014, eq. 3.2), which is the same number.
    """
    n = len(k)
    return (_u_centred(k) * _u_centred(l)).sum() / (n * (n - 3))


def gram(features: Tensor) -> Tensor:
    """Linear-kernel Gram matrix (n, n) in float64 of (n, ...) features, moved to zero mean first.

    CKA does not see a common shift; without it the product keeps more digits in float32. Columns are taken in
    pieces: small enough for the processor's cache, which is what a map of the first stages costs most, and large
    enough for threads not to wait for each other.
    """
    rows = features.detach().flatten(1)
    total = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=rows.device)
    for piece in torch.split(rows, _COLUMNS, dim=1):
        full = piece.float() if piece.dtype in (torch.float16, torch.bfloat16) else piece
        centred = full - full.mean(dim=0)
        total += centred @ centred.T
    return total


class StreamingCKA:
    """Minibatch CKA between every tap of two networks, in memory that does not grow with the data.

    Call :meth:`update` with both networks' features of the same images, batch by batch (64 images or
    more, all batches of one size), then :meth:`matrix`. Maps are flattened; give pooled ones to compare those.
    Each tap costs one Gram matrix a batch, and all pairs of taps one matrix product.
    """

    def __init__(self) -> None:
        self.taps: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        self.batches = 0
        self._cross = self._own_first = self._own_second = torch.zeros(())

    def update(self, first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> None:
        """Add a batch: tap name -> (n, ...) features of the first and of the second network.

        Raises:
            ValueError: fewer than 4 images, or other taps than before.
        """
        taps = (tuple(first), tuple(second))
        if self.batches and taps != self.taps:
            raise ValueError(f"CKA: this batch has taps {taps}, earlier ones had {self.taps}")
        a, b = _u_centred_rows(first), _u_centred_rows(second)
        if a.shape[1] != b.shape[1]:
            raise ValueError("CKA: the two networks' features must come from the same images")
        n = next(iter(first.values())).shape[0]
        pairs = n * (n - 3)
        self._cross = self._cross.to(a.device) + a @ b.T / pairs
        self._own_first = self._own_first.to(a.device) + a.square().sum(dim=1) / pairs
        self._own_second = self._own_second.to(a.device) + b.square().sum(dim=1) / pairs
        self.taps, self.batches = taps, self.batches + 1

    def matrix(self) -> Tensor:
        """CKA by (tap of the first, tap of the second), float64 on the CPU; NaN for a tap that never varies."""
        if not self.batches:
            raise ValueError("CKA: no batch was given")
        scale = (self._own_first[:, None] * self._own_second[None, :]).sqrt()
        return (self._cross / scale).cpu()


def _u_centred_rows(features: Mapping[str, Tensor]) -> Tensor:
    """U-centred Gram matrix of each tap, flattened: (taps, n²)."""
    return torch.stack([_u_centred(gram(values)).flatten() for values in features.values()])


def _u_centred(k: Tensor) -> Tensor:
    """Zero diagonal, and off-diagonal rows and columns that sum to 0."""
    n = len(k)
    if n < 4:
        raise ValueError(f"unbiased CKA wants at least 4 images in a batch, got {n}; leave out a short last batch")
    k = k - torch.diag(k.diagonal())
    rows, total = k.sum(dim=1), k.sum()
    k = k - rows[:, None] / (n - 2) - rows[None, :] / (n - 2) + total / ((n - 1) * (n - 2))
    return k - torch.diag(k.diagonal())


def _centred(k: Tensor) -> Tensor:
    """HKH with H = I - 11ᵀ/n."""
    return k - k.mean(dim=0, keepdim=True) - k.mean(dim=1, keepdim=True) + k.mean()
