"""A task in parts of a few images: each is written whole or not at all, so that whoever is killed goes on there."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from preceptor.data.samples import Pixels
from preceptor.deploy.draw import colours, heat, overlay
from preceptor.deploy.images import file_for
from preceptor.deploy.plan import TABLE, WORK, Pictures, PredictionTask
from preceptor.deploy.predictor import Predictor, Row, open_predictor
from preceptor.errors import UserError
from preceptor.files import replacing, write_with
from preceptor.study.work import JobRequest, Tell

_IMAGES = {"classification": 32, "segmentation": 8}
"""In a part: the images of one are asked together, so the number must not depend on who does the work."""


def count_of(task: PredictionTask, predictor: Predictor) -> int:
    """How many parts a task has."""
    return -(-len(task.items) // _IMAGES[predictor.contract.task])


def part_file(out: Path, number: int) -> Path:
    """Where the rows of a part lie until all are there."""
    return out / WORK / f"part-{number:06d}.csv"


def do_part(out: Path, number: int, task: PredictionTask, predictor: Predictor) -> None:
    """Answer a part, its pictures first."""
    size = _IMAGES[predictor.contract.task]
    rows = predictor.rows(task.items[number * size : (number + 1) * size])
    for row in rows:
        _draw(out, row, task.pictures, predictor)
    table = predictor.table(rows)
    write_with(
        part_file(out, number), lambda path: table.to_csv(path, index=False, float_format="%.7g", lineterminator="\n")
    )


def join_parts(out: Path, count: int) -> None:
    """Write the table from its parts, then remove these."""
    parts = [part_file(out, number) for number in range(count)]
    with replacing(out / TABLE) as temporary, temporary.open("wb") as whole:
        for number, part in enumerate(parts):
            head, _, rows = part.read_bytes().partition(b"\n")
            whole.write((head + b"\n" if not number else b"") + rows)
    for part in parts:
        part.unlink()


def do_request(request: JobRequest, tell: Tell) -> None:
    """The part that a worker process, here or on another machine, was asked for."""
    out = request.folder
    task = PredictionTask.read(out)
    assert task is not None, "the task is written before any of its parts is asked for"
    do_part(out, int(request.id), task, _opened(task.source, task.device, task.tta, task.is_calibrated, task.identity))


@lru_cache(maxsize=1)
def _opened(source: str, device: str, tta: bool, is_calibrated: bool, identity: str) -> Predictor:
    """A worker answers many parts by one network."""
    predictor = open_predictor(Path(source), device=device, tta=tta, is_calibrated=is_calibrated)
    return require_same(predictor, identity, source)


def require_same(predictor: Predictor, identity: str, source: str) -> Predictor:
    """Refuse a network that was exchanged in between."""
    if predictor.identity != identity:
        raise UserError(f"{source} was exchanged for another network while its predictions were made")
    return predictor


def _draw(out: Path, row: Row, pictures: Pictures, predictor: Predictor) -> None:
    if row.answer is None or row.pixels is None:
        return
    mask = row.answer.mask
    if mask is not None and pictures.masks:
        _save(file_for(out / "masks", row.name), mask * np.uint8(predictor.contract.grey_step))
    if mask is not None and pictures.overlay:
        palette = colours(len(predictor.contract.classes), has_background=True)
        _save(file_for(out / "overlays", row.name), overlay(row.pixels, mask, palette))
    if pictures.cam:
        _save(file_for(out / "cam", row.name), heat(row.pixels, cam_of(predictor)(row)))


def cam_of(predictor: Predictor) -> Callable[[Row], np.ndarray]:
    """Makes the class-activation map of a row.

    Raises:
        UserError: the network is no classifier of a run, or has no map that shows places.
    """
    from preceptor.deploy.cams import heat_maker

    return heat_maker(predictor)


def _save(path: Path, pixels: Pixels) -> None:
    image = Image.fromarray(pixels)
    write_with(path, lambda temporary: image.save(temporary, format="PNG"))
