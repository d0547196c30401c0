"""A network that answers on image files: of a run by torch, of a bundle by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pandas as pd

from preceptor.data.images import image_in, read_image
from preceptor.data.pixels.spacing import microns_in, microns_of
from preceptor.data.samples import Pixels
from preceptor.data.tiles import Logits
from preceptor.deploy.answers import Answer, class_answer, decided, mask_answer
from preceptor.deploy.contract import Contract
from preceptor.deploy.engines import Engine, OnnxEngine, TorchEngine, in_batches_with_distance
from preceptor.deploy.images import Item, find_images
from preceptor.deploy.looks import MICRONS, Ranges, looks_of
from preceptor.deploy.pieces import Pieces, mask_of_image, pieces_of, whole_logits
from preceptor.deploy.points import NONE, Points
from preceptor.deploy.views import Views
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
        pixels: (H, W, C) of the image or tile.
        outside: in what the image is unlike those of training.
    """

    name: str
    answer: Answer | None
    error: str = ""
    pixels: Pixels | None = None
    outside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """An image that was read.

    Args:
        microns: per pixel, where that matters and the file says it.
    """

    pieces: Pieces
    image: Pixels
    microns: float | None


class Predictor:
    """Answers on image files.

    Args:
        identity: what tells this network from any other: a checksum.
        points: how classes are decided, and when nothing is said.
        ranges: what images of training look like, None where that is not known.
        is_calibrated: probabilities are those by which is decided, instead of those that the network itself says.
        tta: average over mirrored and turned views of an image.
    """

    def __init__(
        self,
        contract: Contract,
        engine: Engine,
        *,
        identity: str,
        points: Points = NONE,
        ranges: Ranges | None = None,
        is_calibrated: bool = False,
        tta: bool = False,
    ) -> None:
        self.contract = contract
        self.engine = Views(engine, contract) if tta else engine
        self.identity = identity
        self.points = points
        self.ranges = ranges
        self.is_calibrated = is_calibrated
        height, width = contract.image_size
        self.batch_size = max(1, min(_MOST_AT_ONCE, _PIXELS_AT_ONCE // (height * width)))

    def predict(self, files: Sequence[Path | str]) -> pd.DataFrame:
        """``file,label,p_<class>…,abstained,outside,error`` of files, folders and tables of images.

        ``p_<class>`` is the probability of a class; for masks the share of the image that the class covers.
        """
        return self.table(self.rows(self._items(files)))

    def masks(self, files: Sequence[Path | str]) -> dict[str, Pixels]:
        """(H, W) class values by file, each at its image's own size; files without an answer are left out.

        Raises:
            UserError: this network classifies.
        """
        if not self.contract.has_masks:
            raise UserError("this network classifies and has no masks; ask for `predict`")
        rows = self.rows(self._items(files))
        return {row.name: row.answer.mask for row in rows if row.answer and row.answer.mask is not None}

    def rows(self, items: Sequence[Item]) -> list[Row]:
        """The answers on some images, in order; a damaged image is a row with its reason."""
        return self._answered([self._read(item) for item in items])

    def rows_in(self, opened: BinaryIO, name: str, *, most: int | None = None) -> list[Row]:
        """The answers on one image that is open already and may lie in memory alone.

        Args:
            name: for messages.
            most: pixels that it may have, where that is fewer than usual.

        Raises:
            UserError: it is damaged, too large, or no image.
        """
        image = image_in(opened, name, self.contract.reading, most=most)
        opened.seek(0)
        microns = microns_in(opened, name) if self._knows_microns else None
        return self._answered([_Read(pieces_of(name, image, self.contract), image, microns)])

    def _answered(self, given: Sequence[_Read | Row]) -> list[Row]:
        pixels = [piece for one in given if isinstance(one, _Read) for piece in one.pieces.pixels]
        said = iter(in_batches_with_distance(self.engine, pixels, self.batch_size))
        found: list[Row] = []
        for one in given:
            if isinstance(one, Row):
                found.append(one)
            else:
                found += self._rows(one, [next(said) for _ in one.pieces.pixels])
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
                "abstained": np.array([int(a.abstained) if a else 0 for a in answers], dtype=np.int64),
                "outside": np.array([int(bool(row.outside)) for row in rows], dtype=np.int64),
                "error": pd.Series([row.error for row in rows], dtype=object),
            }
        )

    def _items(self, files: Sequence[Path | str]) -> list[Item]:
        return find_images([Path(file) for file in files], self.contract.reading)

    def _read(self, item: Item) -> _Read | Row:
        rules = self.contract.reading
        try:
            image = read_image(item.path, rules, place=item.place, any_size=self.contract.tile is not None)
        except UserError as error:
            return Row(item.name, None, _reason(str(error), item))
        microns = microns_of(item.path, rules.axis) if self._knows_microns else None
        return _Read(pieces_of(item.name, image, self.contract), image, microns)

    def _rows(self, read: _Read, said: list[tuple[Logits, float | None]]) -> Iterator[Row]:
        pieces, image, logits = read.pieces, read.image, [one for one, _ in said]
        if not all(np.isfinite(one).all() for one in logits):
            yield Row(pieces.name, None, "the network answers with numbers that are not finite")
        elif self.contract.has_masks:
            seen = decided(whole_logits(logits, pieces, self.contract))
            mask = mask_of_image(seen, pieces, self.contract)
            outside = self._outside(read, pieces.pixels, [distance for _, distance in said])
            yield Row(pieces.name, mask_answer(mask, self.contract), pixels=image, outside=outside)
        else:
            for (y, x), (one, distance), pixels in zip(pieces.corners, said, pieces.pixels, strict=True):
                name = f"{pieces.name}@{y},{x}" if self.contract.tile else pieces.name
                answer = class_answer(one, self.contract, self.points, is_calibrated=self.is_calibrated)
                outside = self._outside(read, [pixels], [distance])
                yield Row(name, answer, pixels=pixels if self.contract.tile else image, outside=outside)

    @property
    def _knows_microns(self) -> bool:
        return self.ranges is not None and MICRONS in self.ranges.of

    def _outside(self, read: _Read, pixels: Sequence[Pixels], distances: Sequence[float | None]) -> tuple[str, ...]:
        if self.ranges is None:
            return ()
        known = [distance for distance in distances if distance is not None]
        mean = float(np.mean(known)) if known else None
        return self.ranges.left(looks_of(pixels, read.pieces.size, microns=read.microns, distance=mean))


def of_student(student: Student, *, device: str = "auto", tta: bool = False) -> Predictor:
    """The predictor of a run's network."""
    from preceptor.networks.export import CONFIG
    from preceptor.sealed import file_sha256

    engine = TorchEngine(student.network, device)
    return Predictor(student.contract, engine, identity=file_sha256(student.folder / CONFIG), tta=tta)


def of_bundle(folder: Path, *, tta: bool = False, is_calibrated: bool = False, threads: int = 0) -> Predictor:
    """The predictor of a bundle, verified."""
    from preceptor.deploy.bundle import read_bundle

    bundle = read_bundle(folder)
    engine = OnnxEngine(str(folder / bundle.serves), bundle.graph_size, threads=threads)
    return Predictor(
        bundle.contract,
        engine,
        identity=bundle.identity + ("calibrated" if is_calibrated else ""),
        points=bundle.points,
        ranges=bundle.ranges,
        is_calibrated=is_calibrated,
        tta=tta,
    )


def open_predictor(
    source: Path,
    *,
    device: str = "auto",
    tta: bool = False,
    is_calibrated: bool = False,
    note: Callable[[str], object] = lambda note: None,
) -> Predictor:
    """The predictor of a bundle, of a run or of ``RUN/networks/NAME``.

    Raises:
        UserError: no such network, or calibrated probabilities of a run, which has no temperature.
    """
    from preceptor.deploy.bundle import is_bundle

    if is_bundle(source):
        return of_bundle(source, tta=tta, is_calibrated=is_calibrated)
    if is_calibrated:
        raise UserError(
            f"--calibrated: {source} is no bundle, and only these have a temperature; export one, or leave it out"
        )
    from preceptor.deploy.student import open_student

    return of_student(open_student(source, note=note), device=device, tta=tta)


def _reason(error: str, item: Item) -> str:
    """The first line of ``error``, on one line, without the path, which the row names already."""
    words = one_line(error.splitlines()[0]).replace(f"{item.path!r} ", "")
    if ":\\" in item.name or item.name.startswith("\\\\"):
        words += "; its path is one of Windows, give paths below the table's folder"
    return words
