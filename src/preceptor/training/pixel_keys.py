"""Of a run: which images its networks know, by what the images are and not by their names."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError

import numpy as np

from preceptor.data.prepare import Prepared
from preceptor.data.samples import PARTS
from preceptor.embeddings.keys import KEY_BYTES, Keys, as_bytes, as_keys
from preceptor.files import write_with
from preceptor.runs.files import RunFiles
from preceptor.sealed import read_zip, sealed_zip

_INHERITED = "inherited"

ImageKeys = Keys
"""(N,) hashes of decoded images before resizing, sorted, each once."""


def no_keys() -> ImageKeys:
    """Of no image."""
    return np.empty(0, dtype=f"S{KEY_BYTES}")


@dataclass(frozen=True)
class PixelKeys:
    """The images of a run.

    Args:
        parts: of each part of its split.
        inherited: further images that the weights it began with, or its teachers, were trained on.
    """

    parts: dict[str, ImageKeys]
    inherited: ImageKeys = field(default_factory=no_keys)

    @property
    def known(self) -> ImageKeys:
        """What its networks were trained on, or taught by those who were."""
        return np.union1d(self.parts["train"], self.inherited)

    @property
    def held_out(self) -> ImageKeys:
        """What they must not know."""
        return np.union1d(self.parts["validation"], self.parts["test"])

    def write(self, run: Path) -> None:
        """Leave them in the run folder; numpy reads them: an array of 16 bytes an image for each part."""
        arrays = {name: as_bytes(keys) for name, keys in (*self.parts.items(), (_INHERITED, self.inherited))}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy takes the names of arrays for options
        content = sealed_zip(buffer.getvalue())
        write_with(RunFiles(run).pixels, lambda path: path.write_bytes(content))


def pixel_keys(prepared: Prepared, inherited: ImageKeys | None = None) -> PixelKeys:
    """Of today's images and split; ``inherited`` without what is in the training part itself."""
    every = row_keys(prepared)
    parts = {part: np.unique(every[prepared.every(part)]) for part in PARTS}
    return PixelKeys(parts, np.setdiff1d(no_keys() if inherited is None else inherited, parts["train"]))


def row_keys(prepared: Prepared) -> ImageKeys:
    """(rows,) the key of each packed image, for a tile that of its whole image; not sorted."""
    return as_keys(prepared.packed.content_hashes())


def read_pixel_keys(run: Path) -> PixelKeys | None:
    """What :meth:`PixelKeys.write` left; None where there is no such file, as in runs of older versions.

    Raises:
        ValueError: it is damaged.
    """
    path = RunFiles(run).pixels
    if not path.is_file():
        return None
    try:
        content, _ = read_zip(path, "")
        with np.load(io.BytesIO(content)) as stored:
            found = {name: as_keys(stored[name]) for name in (*PARTS, _INHERITED)}
    except (OSError, KeyError, ValueError, EOFError, MemoryError, SyntaxError, TokenError) as error:  # numpy's parsers
        raise ValueError(f"{path.name} is damaged") from error
    return PixelKeys({part: found[part] for part in PARTS}, found[_INHERITED])


def keys_of(hashes: Sequence[str]) -> ImageKeys:
    """Of images by :func:`~preceptor.data.decoded.pixel_hash`; not sorted."""
    return np.array([bytes.fromhex(one) for one in hashes], dtype=f"S{KEY_BYTES}")


def trained_on(run: Path, who: str, images: ImageKeys) -> str | None:
    """What to say of scores on ``images``, a key each, where ``who``, a network of ``run``, was trained on some."""
    try:
        known = read_pixel_keys(run)
    except ValueError:
        known = None
    if known is None:
        return f"{who} does not say which images it was trained on: make sure that these are others"
    images = np.unique(images)
    count = int(np.isin(images, known.known).sum())
    if not count:
        return None
    return (
        f"{who} was trained on {count} of these {len(images)} images, or taught by whoever was: what it scores on "
        "them says little of new ones"
    )
