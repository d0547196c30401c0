"""A network that answers on image files: of a run by torch, of a bundle by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from preceptor.data.images import read_image
from preceptor.data.samples import Pixels
from preceptor.deploy.answers import Answer, class_answer, decided, mask_answer, softmax
from preceptor.deploy.contract import Contract
from preceptor.deploy.engines import Engine, OnnxEngine, TorchEngine, in_batches
from preceptor.deploy.images import Item, find_images
from preceptor.deploy.pieces import Pieces, mask_of_image, pieces_of, whole_logits
from preceptor.deploy.views import with_views
from preceptor.errors import UserError
from preceptor.quoting import one_line

if TYPE_CHECKING:
    from preceptor.deploy.student import Student

_PIXELS_AT_ONCE = 32 * 224 * 224
_MOST_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Row:
    """A row of ``predictions.csv``.

    Args:
        name: of the image, for a tile that is classified with ``@y,x``.
        error: why there is no answer.
        pixels: (H, W, 3) of the image or tile.
    """

    name: str
    answer: Answer | None
    error: str = ""
    pixels: Pixels | None = None


class Predictor:
    """Answers on image files.

    Args:
        identity: what tells this network from any other: a checksum.
        temperature: by which logits are divided before they become probabilities.
        tta: average over mirrored and turned views of an image.
    """

    def __init__(
        self, contract: Contract, engine: Engine, *, identity: str, temperature: float = 1.0, tta: bool = False
    ) -> None:
        self.contract = contract
        self.engine = with_views(engine, contract) if tta else engine
        self.identity = identity
        self.temperature = temperature
        height, width = contract.image_size
        self.batch_size = max(1, min(_MOST_AT_ONCE, _PIXELS_AT_ONCE // (height * width)))

    def predict(self, files: Sequence[Path | str]) -> pd.DataFrame:
        """``file,label,p_<class>…,abstained,outside,error`` of files, folders and tables of images.

        ``p_<class>`` is the probability of a class; for masks the share of the image that the class covers.
        """
        return self.table(self.rows(find_images([Path(file) for file in files])))

    def masks(self, files: Sequence[Path | str]) -> dict[str, Pixels]:
        """(H, W) class values by file, each at its image's own size; files without an answer are left out.

        Raises:
            UserError: this network classifies.
        """
        if not self.contract.has_masks:
            raise UserError("this network classifies and has no masks; ask for `predict`")
        rows = self.rows(find_images([Path(file) for file in files]))
        return {row.name: row.answer.mask for row in rows if row.answer and row.answer.mask is not None}

    def rows(self, items: Sequence[Item]) -> list[Row]:
        """The answers on some images, in order; a damaged image is a row with its reason."""
        read = [self._read(item) for item in items]
        sound = [one for one in read if isinstance(one[0], Pieces)]
        pixels = [piece for pieces, _ in sound for piece in pieces.pixels]  # type: ignore[union-attr]
        logits = iter(in_batches(self.engine, pixels, self.batch_size))
        found: list[Row] = []
        for pieces, image in read:
            if isinstance(pieces, Row):
                found.append(pieces)
            else:
                found += self._rows(pieces, image, [next(logits) for _ in pieces.pixels])
        return found

    def table(self, rows: Sequence[Row]) -> pd.DataFrame:
        """The rows as ``predictions.csv`` has them."""
        classes = self.contract.classes
        answers = [row.answer for row in rows]
        shares = {f"p_{name}": [a.shares[at] if a else np.nan for a in answers] for at, name in enumerate(classes)}
        return pd.DataFrame(
            {
                "file": pd.Series([row.name for row in rows], dtype=object),
                "label": pd.Series([a.label if a else "" for a in answers], dtype=object),
                **shares,
                "abstained": np.zeros(len(rows), dtype=np.int64),
                "outside": np.zeros(len(rows), dtype=np.int64),
                "error": pd.Series([row.error for row in rows], dtype=object),
            }
        )

    def _read(self, item: Item) -> tuple[Pieces | Row, Pixels | None]:
        try:
            image = read_image(item.path)
        except UserError as error:
            return Row(item.name, None, _reason(str(error), item)), None
        return pieces_of(item.name, image, self.contract), image

    def _rows(self, pieces: Pieces, image: Pixels | None, logits: list[np.ndarray]) -> Iterator[Row]:
        if not all(np.isfinite(one).all() for one in logits):
            yield Row(pieces.name, None, "the network answers with numbers that are not finite")
        elif self.contract.has_masks:
            seen = decided(whole_logits(logits, pieces, self.contract))
            mask = mask_of_image(seen, pieces, self.contract)
            yield Row(pieces.name, mask_answer(mask, self.contract), pixels=image)
        else:
            for (y, x), one, pixels in zip(pieces.corners, logits, pieces.pixels, strict=True):
                name = f"{pieces.name}@{y},{x}" if self.contract.tile else pieces.name
                answer = class_answer(softmax(one / self.temperature, axis=0), self.contract)
                yield Row(name, answer, pixels=pixels if self.contract.tile else image)


def of_student(student: Student, *, device: str = "auto", tta: bool = False) -> Predictor:
    """The predictor of a run's network."""
    from preceptor.networks.export import CONFIG
    from preceptor.sealed import file_sha256

    engine = TorchEngine(student.network, device)
    return Predictor(student.contract, engine, identity=file_sha256(student.folder / CONFIG), tta=tta)


def of_bundle(folder: Path, *, tta: bool = False, threads: int = 0) -> Predictor:
    """The predictor of a bundle, verified."""
    from preceptor.deploy.bundle import read_bundle

    bundle = read_bundle(folder)
    engine = OnnxEngine(str(folder / bundle.serves), bundle.graph_size, threads=threads)
    return Predictor(bundle.contract, engine, identity=bundle.identity, temperature=bundle.temperature, tta=tta)


def open_predictor(
    source: Path, *, device: str = "auto", tta: bool = False, note: Callable[[str], object] = lambda note: None
) -> Predictor:
    """The predictor of a bundle, of a run or of ``RUN/networks/NAME``."""
    from preceptor.deploy.bundle import is_bundle

    if is_bundle(source):
        return of_bundle(source, tta=tta)
    from preceptor.deploy.student import open_student

    return of_student(open_student(source, note=note), device=device, tta=tta)


def _reason(error: str, item: Item) -> str:
    """The first line of ``error``, on one line, without the path, which the row names already."""
    words = one_line(error.splitlines()[0]).replace(f"{item.path!r} ", "")
    if ":\\" in item.name or item.name.startswith("\\\\"):
        words += "; its path is one of Windows, give paths below the table's folder"
    return words
