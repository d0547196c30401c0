"""A network that a run left, for use: images in, logits out, or answers on files."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn

from preceptor.calls import plainly
from preceptor.data.augment import to_float
from preceptor.data.images import read_image, to_rgb
from preceptor.data.samples import Pixels
from preceptor.deploy.pieces import pieces_of
from preceptor.deploy.predictor import of_student
from preceptor.deploy.student import Student, student_of
from preceptor.errors import UserError
from preceptor.face.randoms import untouched
from preceptor.networks.network import Network
from preceptor.opened_run import OpenedRun


class TrainedNetwork(nn.Module):
    """A network of a run as a plain module, in eval mode: it takes what :meth:`preprocess` gives, and says logits.

    Attributes:
        network: the network with its taps; ``network(images).maps`` has its feature maps.
    """

    def __init__(self, student: Student, device: str) -> None:
        super().__init__()
        self._predictor = of_student(student, device=device)
        self._contract = student.contract
        self.network: Network = student.network
        self.eval()

    @classmethod
    def of_run(cls, run: OpenedRun, name: str, device: str = "auto") -> "TrainedNetwork":
        """The network ``name`` of a run.

        Raises:
            UserError: there is none, or it is damaged.
        """
        return cls(student_of(run, name), device)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order of the logits; for masks the background first."""
        return self._contract.classes

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the images that it takes."""
        return self._contract.image_size

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes), or (N, C, H, W) for masks, of a batch (N, 3, H, W) of :meth:`preprocess`."""
        logits: Tensor = self.network(images).logits
        return logits

    @plainly
    def preprocess(self, image: Any) -> Tensor:
        """(3, H, W) in [0, 1] of one image as training saw it; the network normalises by itself.

        Args:
            image: a path, a PIL image, or an array of pixels: (H, W) or (H, W, C), whole numbers to 255.

        Raises:
            UserError: it is no image, or the network takes tiles of images.
        """
        pixels = _pixels_of(image)
        if self._contract.tile and pixels.shape[:2] != self.image_size:
            height, width = self.image_size
            raise UserError(
                f"this network takes tiles of {height}×{width} px, and the image has "
                f"{pixels.shape[0]}×{pixels.shape[1]}; cut it, or ask predict([…]), which does"
            )
        (piece,) = pieces_of("image", pixels, self._contract).pixels
        return to_float(torch.from_numpy(piece.copy())[None])[0]

    @plainly
    def predict(self, files: Sequence[Path | str]) -> pd.DataFrame:
        """``file,label,p_<class>…`` and more of files, folders and tables of images: see ``docs/predict.md``.

        Of a network that classifies, ``p_<class>`` is the probability of a class. Of one that draws masks it is the
        **share of the image's area** that the class covers, from 0 to 1, and no probability; the masks themselves are
        :meth:`masks`.

        Raises:
            UserError: no path, or nothing there that can be read.
        """
        with untouched():
            return self._predictor.predict(_list_of(files))

    @plainly
    def masks(self, files: Sequence[Path | str]) -> dict[str, Pixels]:
        """(H, W) class values by file, each at its image's own size; files without an answer are left out.

        Raises:
            UserError: this network classifies.
        """
        with untouched():
            return self._predictor.masks(_list_of(files))


def _list_of(files: Sequence[Path | str] | Path | str) -> Sequence[Path | str]:
    """One path alone is a list of one.

    Raises:
        UserError: no paths.
    """
    several = [files] if isinstance(files, str | Path) or not isinstance(files, Iterable) else list(files)
    for one in several:
        if not isinstance(one, str | Path):
            raise UserError(
                f"paths of images were wanted, got {type(one).__name__}; what is in memory goes through the network: "
                "student(student.preprocess(image)[None])"
            )
    return several


def _pixels_of(image: Any) -> Pixels:
    if isinstance(image, str | Path):
        return read_image(image)
    if isinstance(image, Image.Image):
        image = np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
    if not isinstance(image, np.ndarray):
        raise UserError(f"preprocess: a path, a PIL image or an array was wanted, got {type(image).__name__}")
    if image.dtype != np.uint8:
        raise UserError(f"preprocess: an array of whole numbers to 255 (uint8) was wanted, got {image.dtype}")
    return to_rgb(image, "the array")
