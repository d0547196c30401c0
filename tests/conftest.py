"""Small things that many tests need."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from preceptor.networks.blueprint import Blueprint
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs
from preceptor.networks.preprocessing import STRETCHED, Preprocessing
from preceptor.specs import NetworkSpec

from .training.fixtures import interrupted, packed, starts, teachers

__all__ = ["interrupted", "packed", "starts", "teachers"]

torch.set_num_threads(1)
os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # read once, when CUDA starts: what deterministic kernels want


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; tests that need it are skipped where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PRECEPTOR_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set PRECEPTOR_DATA")
    return folder


@pytest.fixture(autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed sets go to a folder that all tests of a process share, not to the user's cache."""
    monkeypatch.setenv("PRECEPTOR_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


class TinyNetwork(Network):
    """A convolution, a linear head and, if wanted, dropout: enough to be a member of a cohort."""

    def __init__(self, seed: int, width: int = 4, classes: int = 3, dropout: float = 0.0) -> None:
        spec = NetworkSpec(architecture="tiny", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
        names = tuple("abcdefgh"[:classes])
        super().__init__(Blueprint(spec=spec, task="classification", classes=names, image_size=(8, 8)))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.convolution = nn.Conv2d(3, width, 3, padding=1)
            self.norm = nn.BatchNorm2d(width)
            self.dropout = nn.Dropout(dropout)
            self.head = nn.Linear(width, classes)
        self.measure_shapes()

    def forward(self, images: Tensor) -> Outputs:
        last = self.norm(self.convolution(self.prepare(images))).relu()
        embedding = self.dropout(last.mean(dim=(2, 3)))
        return Outputs(logits=self.head(embedding), embedding=embedding, maps={"stage1": last, "last": last})

    def save(self, folder: Path, images: Preprocessing = STRETCHED) -> None:
        raise AssertionError("tiny networks are not exported")

    @property
    def classifier(self) -> nn.Module:
        return self.head


@pytest.fixture
def tiny() -> Callable[..., TinyNetwork]:
    """Makes tiny networks: ``tiny(seed, width=4, classes=3, dropout=0.0)``."""
    return TinyNetwork
