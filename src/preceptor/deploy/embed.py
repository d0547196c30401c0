"""``preceptor embed``: embeddings of many images in shards on disk, by one process, several, or a cluster; resumable.

Work is cut into parts of a fixed number of images, each written whole or not at all; which process did a part, and
whether it was killed before, changes no byte. When all are there they are joined into shards.
"""

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from preceptor.deploy.embedder import POOLED, Embedder, Wanted, open_embedder
from preceptor.deploy.hands import ALONE, Hands, Parts, Watch, do_parts, held, remove_leftovers, remove_unbegun
from preceptor.deploy.images import Item, find_images
from preceptor.deploy.plan import stamps_of
from preceptor.embeddings.store import ABOUT, FILES, FORMAT, Embeddings, ShardFacts, shard_name
from preceptor.errors import DamagedFileError, UserError
from preceptor.files import replacing, write_json, write_with
from preceptor.runs.place import require_place
from preceptor.sealed import file_sha256, read_sealed, write_sealed
from preceptor.study.work import JobRequest, Tell

WORK, PLAN = ".embed", "plan.json"
IMAGES = 128
"""In a part: some of them are asked together, so the number must not depend on who does the work."""
SHARD_BYTES = 256 * 2**20
_ANEW = "Delete the folder that was given with --out to embed all images anew."


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is going to be written.

    Args:
        record_bytes: of one image.
        alternatives: bytes of one image, by what could be asked for instead.
    """

    images: int
    record_bytes: int
    alternatives: dict[str, int]

    @property
    def bytes(self) -> int:
        """Of all images."""
        return self.images * self.record_bytes

    def __str__(self) -> str:
        return f"{self.images:,} images of {self.record_bytes:,} bytes each: {self.bytes / 1e9:.3g} GB"

    def require(self, most: float, out: Path) -> None:
        """Refuse what takes more than ``most`` GB, or than there is.

        Raises:
            UserError: with what would fit.
        """
        free = shutil.disk_usage(next(path for path in (out, *out.resolve().parents) if path.exists())).free
        if self.bytes > free:
            raise UserError(f"{self}, and {out} has {free / 1e9:.3g} GB left.{self._instead()}")
        if self.bytes > most * 1e9:
            raise UserError(f"{self}, more than --most {most:g} GB allows.{self._instead()}")

    def _instead(self) -> str:
        found = [f"--what {what}: {self.images * one / 1e9:.3g} GB" for what, one in self.alternatives.items()]
        return "\nInstead: " + "; ".join(found) if found else "\nGive fewer images, or more room."


def embed_images(
    wanted: Wanted,
    paths: Sequence[Path],
    out: Path,
    *,
    most: float = 20.0,
    hands: Hands = ALONE,
    watch: Watch = lambda done, count: None,
    note: Callable[[str], object] = lambda note: None,
) -> Embeddings:
    """Embed the images in ``paths`` into ``out``; the same call again goes on.

    Args:
        most: GB that may be written.

    Raises:
        UserError: no such network, no image, too little room, or a folder that is not this call's.
    """
    if Path(wanted.source).exists():  # workers may stand elsewhere
        wanted = replace(wanted, source=str(Path(wanted.source).resolve()))
    embedder = open_embedder(wanted, note=note)
    items = tuple(find_images(paths, embedder.contract.reading))
    estimate = estimate_of(embedder, len(items))
    task = _begin(out, paths, embedder, items, estimate, most)
    note(str(estimate))
    with held(out / WORK / "lock", out, "embedding"):
        if not (out / ABOUT).exists():
            remove_leftovers(out)
            count = -(-len(items) // IMAGES)
            _do(out, count, items, embedder, hands, watch)
            _join(out, count, items, embedder, task)
        _tidy(out)
    return Embeddings.open(out)


def estimate_of(embedder: Embedder, images: int) -> Estimate:
    """What the embeddings of so many images take."""
    channels, *sides = embedder.shape
    item = np.dtype(embedder.wanted.stored).itemsize
    alternatives = {}
    if embedder.wanted.what == "grid":
        alternatives["pooled"] = channels * int(np.prod([min(side, POOLED) for side in sides])) * item
    if embedder.wanted.what != "embedding":
        alternatives["embedding"] = channels * item
    return Estimate(images, embedder.record_bytes, alternatives)


def do_request(request: JobRequest, tell: Tell) -> None:
    """The part that a worker process, here or on another machine, was asked for."""
    task = _read(request.folder)
    assert task is not None, "the task is written before any of its parts is asked for"
    embedder = _opened(json.dumps(task["wanted"]), task["identity"])
    _do_part(request.folder, int(request.id), [Item(*one[:3]) for one in task["items"]], embedder)


@lru_cache(maxsize=1)
def _opened(wanted: str, identity: str) -> Embedder:
    """A worker does many parts by one network."""
    embedder = open_embedder(Wanted(**json.loads(wanted)))
    if embedder.identity != identity:
        raise UserError(f"{embedder.wanted.source} was exchanged for another network while its embeddings were made")
    return embedder


def _begin(
    out: Path, given: Sequence[Path], embedder: Embedder, items: Sequence[Item], estimate: Estimate, most: float
) -> dict[str, Any]:
    """Make ``out`` the folder of this task, or see that it is."""
    places = zip(items, stamps_of(items), strict=True)
    task: dict[str, Any] = {
        "wanted": asdict(embedder.wanted),
        "identity": embedder.identity,
        "items": [[item.name, item.path, item.place, *stamp] for item, stamp in places],
    }
    there = _read(out)
    if there is None:
        remove_unbegun(out / WORK)
        require_place(out, [str(path) for path in given if path.is_dir()], is_own=False, what="embeddings")
        estimate.require(most, out)
        write_sealed(out / WORK / PLAN, task)
    elif there != task:
        differs = next(key for key in task if there[key] != task[key])
        words = {"wanted": "they were asked for with other options", "identity": "they are of another network"}
        raise UserError(
            f"{out} holds other embeddings: {words.get(differs, 'the images are others, or have changed since')}.\n"
            "Give another folder with --out, or delete this one."
        )
    return task


def _read(out: Path) -> dict[str, Any] | None:
    try:
        task, is_sealed = read_sealed(out / WORK / PLAN, _ANEW)
    except FileNotFoundError:
        return None
    if not is_sealed:
        raise DamagedFileError(out / WORK / PLAN, "has lost its seal", _ANEW)
    return task


def _do(out: Path, count: int, items: Sequence[Item], embedder: Embedder, hands: Hands, watch: Watch) -> None:
    missing = [number for number in range(count) if not _is_done(out, number)]
    parts = Parts(
        folder=out,
        logs=out / WORK / "logs",
        device=embedder.wanted.device,
        here=lambda number: _do_part(out, number, items, embedder),
        elsewhere=do_request,
    )
    do_parts(missing, count, parts, hands, watch)


def _part(out: Path, number: int) -> Path:
    return out / WORK / f"part-{number:06d}.npy"


def _is_done(out: Path, number: int) -> bool:
    """Also where the part has been joined into a shard, before the process that did so was killed."""
    return _part(out, number).exists() or (out / WORK / f"joined-{number:06d}").exists()


def _do_part(out: Path, number: int, items: Sequence[Item], embedder: Embedder) -> None:
    records, errors = embedder.records(items[number * IMAGES : (number + 1) * IMAGES])
    path = _part(out, number)
    if errors:
        write_json(path.with_suffix(".json"), errors)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # numpy would add an ending to a name
            np.save(file, records)

    write_with(path, write)


def _join(out: Path, count: int, items: Sequence[Item], embedder: Embedder, task: dict[str, Any]) -> None:
    """Shards of whole parts, the index of files, and last of all what says that everything is there."""
    each = max(1, SHARD_BYTES // (embedder.record_bytes * IMAGES))
    shards = []
    for number, first in enumerate(range(0, count, each)):
        parts = range(first, min(first + each, count))
        rows = min(parts.stop * IMAGES, len(items)) - first * IMAGES
        shards.append(_shard(out, number, parts, (rows, *embedder.shape), embedder.wanted.stored))
    _write_index(out, count, items)
    wanted = embedder.wanted
    about = {
        "format": FORMAT,
        "shape": list(embedder.shape),
        "stored": embedder.wanted.stored,
        "shards": [asdict(shard) for shard in shards],
        "files_sha256": file_sha256(out / FILES),
        "facts": {"network": embedder.network.called, "what": wanted.what, "identity": task["identity"]},
    }
    write_sealed(out / ABOUT, about)


def _shard(out: Path, number: int, parts: range, shape: tuple[int, ...], stored: str) -> ShardFacts:
    path = out / shard_name(number)
    if not path.exists():
        with replacing(path) as temporary, temporary.open("wb") as file:
            header = {"descr": np.dtype(stored).str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for part in parts:
                file.write(np.load(_part(out, part)).data)
    for part in parts:
        (out / WORK / f"joined-{part:06d}").touch()
        _part(out, part).unlink(missing_ok=True)
    start = path.stat().st_size - int(np.prod(shape)) * np.dtype(stored).itemsize
    return ShardFacts(shape[0], start, file_sha256(path))


def _write_index(out: Path, count: int, items: Sequence[Item]) -> None:
    errors: dict[int, str] = {}
    for number in range(count):
        with suppress(FileNotFoundError):
            told = json.loads(_part(out, number).with_suffix(".json").read_text())
            errors |= {number * IMAGES + int(place): why for place, why in told.items()}
    with replacing(out / FILES) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "error"])
        table.writerows([item.name, errors.get(row, "")] for row, item in enumerate(items))


def _tidy(out: Path) -> None:
    """What was needed to go on."""
    for path in [*(out / WORK).glob("part-*"), *(out / WORK).glob("joined-*"), *(out / WORK / "logs").glob("*.log")]:
        path.unlink(missing_ok=True)
