"""A contact sheet: a few images of every class with their masks outlined, damaged and odd ones first."""

import base64
import html
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from preceptor.data.samples import SampleTable
from preceptor.errors import UserError
from preceptor.quoting import quoted, shown

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

SIDE = 144
"""Of a small picture, in pixels."""
_Item = TypeVar("_Item")
_NAMED = re.compile(r"'[^']*'|[0-9]+")  # in messages: names and numbers, without which those of a kind are alike
_ACROSS, _CAPTION, _TITLE = 8, 16, 26
_OUTLINE = (255, 220, 0)
ENDINGS = (".html", ".htm", ".png")


@dataclass(frozen=True)
class Tile:
    """A small picture with a line below it; no picture where the file is damaged."""

    caption: str
    picture: "Image | None"


def write_sheet(
    file: Path, title: str, table: SampleTable, damaged: Mapping[str, str], odd: Mapping[str, str], most: int = 16
) -> None:
    """Write ``file``, a page (``.html``) or a picture (``.png``).

    Args:
        file: where to.
        title: what is shown.
        table: the images.
        damaged, odd: id -> what is wrong, or odd.
        most: images of each class, spread over it.

    Raises:
        UserError: another ending, or it cannot be written.
    """
    require_ending(file)
    sections = _sections(table, damaged, odd, most)
    content = _picture(title, sections) if file.suffix.lower() == ".png" else _page(title, sections)
    try:
        file.write_bytes(content)
    except OSError as error:
        raise UserError(f"{quoted(file)} cannot be written: {error.strerror}") from None


def require_ending(file: Path) -> None:
    """UserError where a sheet cannot be of this kind: said before images are read."""
    if file.suffix.lower() not in ENDINGS:
        raise UserError(f"--look {quoted(file)}: give a file that ends in .html or .png")


def _sections(
    table: SampleTable, damaged: Mapping[str, str], odd: Mapping[str, str], most: int
) -> list[tuple[str, list[Tile]]]:
    frame = table.frame
    rows = dict(zip(frame["id"], frame.index, strict=True))
    found = [
        (f"damaged: {len(damaged)}", [Tile(_caption(name, what), None) for name, what in _some(damaged, most)]),
        (
            f"odd: {len(odd)}",
            [_tile(table, int(rows[name]), f"{name}: {what}") for name, what in _some(odd, most)],
        ),
    ]
    is_masks = table.task == "segmentation"
    for label, name in enumerate(("images and masks",) if is_masks else table.classes):
        those = frame.index if is_masks else frame.index[frame["label"] == label]
        usual = [row for row in those if frame["id"].iloc[row] not in damaged and frame["id"].iloc[row] not in odd]
        tiles = [_tile(table, int(row), str(frame["id"].iloc[row])) for row in _spread(usual, most)]
        found.append((f"{name}: {len(those)}", tiles))
    return [(name, tiles) for name, tiles in found if tiles]


def _some(told: Mapping[str, str], most: int) -> list[tuple[str, str]]:
    """Some of those of which something is to be said: of each kind of it as many, spread over the set."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for name, what in told.items():
        kinds.setdefault(_NAMED.sub("", what), []).append((name, what))
    share = max(1, most // max(1, len(kinds)))
    return [one for those in kinds.values() for one in _spread(those, share)][:most]


def _spread(those: Sequence[_Item], most: int) -> list[_Item]:
    places = np.linspace(0, len(those) - 1, min(most, len(those))).round().astype(int)
    return [those[place] for place in np.unique(places)]


def _caption(name: str, error: str) -> str:
    return f"{name}: {error.splitlines()[0]}"


def _tile(table: SampleTable, row: int, caption: str) -> Tile:
    from PIL import Image

    try:
        image, mask = table.read(row)
    except UserError as error:
        return Tile(_caption(caption, str(error)), None)
    scale = SIDE / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    small = Image.fromarray(_as_rgb(image)).resize(size, Image.Resampling.LANCZOS if scale < 1 else 0)
    if mask is not None:
        marks = np.asarray(Image.fromarray(np.asarray(mask, dtype=np.uint8)).resize(size, Image.Resampling.NEAREST))
        pixels = np.array(small)
        pixels[_outline(marks)] = _OUTLINE
        small = Image.fromarray(pixels)
    return Tile(caption, small)


def _as_rgb(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Any pixels as 8-bit colours: 16-bit ones by their high byte, the first channel or the first three."""
    values = image.astype(np.uint16) >> 8 if image.dtype == np.uint16 else image
    values = values[..., :3] if values.shape[2] >= 3 else np.repeat(values[..., :1], 3, axis=2)
    return np.ascontiguousarray(values, dtype=np.uint8)


def _outline(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels of a mask that have another value above, below, left or right of them, background left out."""
    edge = np.zeros(mask.shape, dtype=bool)
    for axis in (0, 1):
        differ = np.diff(mask, axis=axis) != 0
        for before in (True, False):
            edge |= np.pad(differ, [(int(not before), int(before)) if a == axis else (0, 0) for a in (0, 1)])
    return edge & (mask > 0)


def _page(title: str, sections: list[tuple[str, list[Tile]]]) -> bytes:
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(shown(title))}</title><style>"
        "body{font:14px sans-serif;margin:1.5em}figure{display:inline-block;vertical-align:top;margin:4px;"
        f"width:{SIDE}px}}figcaption{{font-size:11px;overflow-wrap:anywhere}}"
        f".none{{width:{SIDE}px;height:{SIDE}px;background:#fbe3e0;border:1px solid #c33;box-sizing:border-box}}"
        f"</style><h1>{html.escape(shown(title))}</h1>"
    ]
    for name, tiles in sections:
        parts.append(f"<h2>{html.escape(shown(name))}</h2>")
        for tile in tiles:
            picture = f"<img alt='' src='data:image/png;base64,{_encoded(tile.picture)}'>" if tile.picture else ""
            parts.append(
                f"<figure>{picture or '<div class=none></div>'}"
                f"<figcaption>{html.escape(shown(tile.caption))}</figcaption></figure>"
            )
    return "\n".join(parts).encode("utf-8")


def _encoded(picture: "Image") -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _picture(title: str, sections: list[tuple[str, list[Tile]]]) -> bytes:
    from PIL import Image, ImageDraw, ImageFont

    step = SIDE + _CAPTION + 6
    heights = [_TITLE + step * -(-len(tiles) // _ACROSS) for _, tiles in sections]
    sheet = Image.new("RGB", (_ACROSS * (SIDE + 6) + 6, _TITLE + sum(heights) + 6), "white")
    draw = ImageDraw.Draw(sheet)
    small, large = ImageFont.load_default(10), ImageFont.load_default(15)
    draw.text((6, 4), shown(title, 120), "black", font=large)
    top = _TITLE
    for (name, tiles), height in zip(sections, heights, strict=True):
        draw.text((6, top + 6), shown(name, 100), "black", font=large)
        for number, tile in enumerate(tiles):
            left, upper = 6 + number % _ACROSS * (SIDE + 6), top + _TITLE + number // _ACROSS * step
            if tile.picture is None:
                draw.rectangle((left, upper, left + SIDE - 1, upper + SIDE - 1), "#fbe3e0", "#c33")
            else:
                sheet.paste(tile.picture, (left, upper))
            draw.text((left, upper + SIDE + 1), _fitting(draw, tile.caption, small), "black", font=small)
        top += height
    return _png(sheet)


def _png(picture: "Image") -> bytes:
    return base64.b64decode(_encoded(picture))


def _fitting(draw: "ImageDraw", caption: str, font: "ImageFont | FreeTypeFont") -> str:
    """The end of a caption that fits below a picture: names differ there."""
    text = shown(caption, 60)
    while len(text) > 4 and draw.textlength(text, font=font) > SIDE:
        text = "…" + text[2:]
    return text
