"""``preceptor embed``: embeddings of many images in shards on disk, by one process, several, or a cluster; resumable.

Work is cut into parts of a fixed number of images, each written whole or not at all; which process did a part, and
whether it was killed before, changes no byte. When all are there they are joined into shards.
"""

import csv
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from preceptor.deploy.embedder import Embedder
from preceptor.deploy.hands import ALONE, Hands, Parts, Watch, do_parts, held, remove_leftovers, remove_unbegun
from preceptor.deploy.images import Item, find_images
from preceptor.deploy.open_embedder import open_embedder
from preceptor.deploy.plan import stamps_of
from preceptor.deploy.wanted import DIMS, SIDE, Wanted
from preceptor.embeddings.keys import KEY_BYTES, as_bytes, as_keys
from preceptor.embeddings.shards import SHARD_BYTES, ShardWriter, sweep
from preceptor.embeddings.store import ABOUT, AXES, FILES, FORMAT, Embeddings
from preceptor.errors import DamagedFileError, UserError
from preceptor.files import replacing, write_json, write_with
from preceptor.runs.place import require_place
from preceptor.sealed import file_sha256, read_sealed, write_sealed
from preceptor.study.work import JobRequest, Tell

WORK, PLAN = ".embed", "plan.json"
IMAGES = 128
"""In a part, at least: some of them are asked together, so the number must not depend on who does the work."""
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

    def require(self, budget: float, out: Path) -> None:
        """Refuse what takes more than ``budget`` GB, or than there is.

        Raises:
            UserError: with what would fit.
        """
        free = shutil.disk_usage(next(path for path in (out, *out.resolve().parents) if path.exists())).free
        if self.bytes > free:
            raise UserError(f"{self}, and {out} has {free / 1e9:.3g} GB left.{self._instead()}")
        if self.bytes > budget * 1e9:
            raise UserError(f"{self}, more than --budget {budget:g} GB allows.{self._instead()}")

    def _instead(self) -> str:
        found = [f"--what {what}: {self.images * one / 1e9:.3g} GB" for what, one in self.alternatives.items()]
        return "\nInstead: " + "; ".join(found) if found else "\nGive fewer images, or more room."


def embed_images(
    wanted: Wanted,
    paths: Sequence[Path],
    out: Path,
    *,
    budget: float = 20.0,
    hands: Hands = ALONE,
    watch: Watch = lambda done, count: None,
    note: Callable[[str], object] = lambda note: None,
) -> Embeddings:
    """Embed the images in ``paths`` into ``out``; the same call again goes on.

    Args:
        budget: GB that may be written.

    Raises:
        UserError: no such network, no image, too little room, or a folder that is not this call's.
    """
    if Path(wanted.source).exists():  # workers may stand elsewhere
        wanted = replace(wanted, source=str(Path(wanted.source).resolve()))
    if wanted.threads is None:
        wanted = replace(wanted, threads=_threads(out, hands))
    embedder = open_embedder(wanted, note=note)
    items = tuple(find_images(paths, embedder.contract.reading))
    estimate = estimate_of(embedder, len(items))
    _begin(out, paths, embedder, items, estimate, budget)
    note(str(estimate))
    with held(out / WORK / "lock", out, "embedding"):
        if not (out / ABOUT).exists():
            remove_leftovers(out)
            sweep(out)
            embedder.settle(out)
            parts = _parts_of(items, embedder)
            _do(out, parts, embedder, hands, watch)
            _join(out, parts, embedder)
        _tidy(out)
    return Embeddings.open(out)


def _threads(out: Path, hands: Hands) -> int | None:
    """As many as the call had that began; of a new one with several workers its share of the processors."""
    there = _read(out)
    if there is not None:
        found: int | None = there["wanted"]["threads"]
        return found
    alone = hands.ray is None and hands.workers == 1
    if alone:
        return None
    return 1 if hands.ray is not None else max(1, len(os.sched_getaffinity(0)) // hands.workers)


def estimate_of(embedder: Embedder, images: int) -> Estimate:
    """What the embeddings of so many images take."""
    channels, *sides = embedder.network.shapes[embedder.tap]
    item = np.dtype(embedder.wanted.stored).itemsize
    alternatives = {
        f"pooled --side {SIDE}": channels * int(np.prod([min(side, SIDE) for side in sides])) * item,
        f"pca --dims {DIMS}": min(channels, DIMS) * int(np.prod(sides)) * item,
        "embedding": channels * item,
    }
    smaller = {what: size for what, size in alternatives.items() if size < embedder.record_bytes}
    return Estimate(images, embedder.record_bytes, smaller if sides else {})


def do_request(request: JobRequest, tell: Tell) -> None:
    """The part that a worker process, here or on another machine, was asked for."""
    task = _read(request.folder)
    assert task is not None, "the task is written before any of its parts is asked for"
    embedder = _opened(json.dumps(task["wanted"]), task["identity"], str(request.folder))
    parts = _parts_of([Item(*one[:3]) for one in task["items"]], embedder)
    _do_part(request.folder, int(request.id), parts[int(request.id)], embedder)


@lru_cache(maxsize=1)
def _opened(wanted: str, identity: str, out: str) -> Embedder:
    """A worker does many parts by one network."""
    embedder = open_embedder(Wanted(**json.loads(wanted)))
    if embedder.identity != identity:
        raise UserError(f"{embedder.wanted.source} was exchanged for another network while its embeddings were made")
    embedder.settle(Path(out))
    return embedder


def _begin(
    out: Path, given: Sequence[Path], embedder: Embedder, items: Sequence[Item], estimate: Estimate, budget: float
) -> None:
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
        estimate.require(budget, out)
        write_sealed(out / WORK / PLAN, task)
    elif there != task:
        differs = next(key for key in task if there[key] != task[key])
        words = {"wanted": "they were asked for with other options", "identity": "they are of another network"}
        raise UserError(
            f"{out} holds other embeddings: {words.get(differs, 'the images are others, or have changed since')}.\n"
            "Give another folder with --out, or delete this one."
        )


def _read(out: Path) -> dict[str, Any] | None:
    try:
        task, is_sealed = read_sealed(out / WORK / PLAN, _ANEW)
    except FileNotFoundError:
        return None
    if not is_sealed:
        raise DamagedFileError(out / WORK / PLAN, "has lost its seal", _ANEW)
    return task


def _parts_of(items: Sequence[Item], embedder: Embedder) -> list[Sequence[Item]]:
    """The images of each part: whole batches, so that who does which changes nothing."""
    each = -(-IMAGES // embedder.batch) * embedder.batch
    return [items[first : first + each] for first in range(0, len(items), each)]


def _do(out: Path, parts: Sequence[Sequence[Item]], embedder: Embedder, hands: Hands, watch: Watch) -> None:
    each = _in_a_shard(parts, embedder)
    missing = [number for number in range(len(parts)) if not _is_done(out, number, each)]
    work = Parts(
        folder=out,
        logs=out / WORK / "logs",
        device=embedder.wanted.device,
        here=lambda number: _do_part(out, number, parts[number], embedder),
        elsewhere=do_request,
    )
    do_parts(missing, len(parts), work, hands, watch)


def _part(out: Path, number: int) -> Path:
    return out / WORK / f"part-{number:06d}.npy"


def _joined(out: Path, number: int) -> Path:
    """What is left of the parts of a shard once it is there: its name, and why images have no record."""
    return out / WORK / f"joined-{number:06d}.json"


def _in_a_shard(parts: Sequence[Sequence[Item]], embedder: Embedder) -> int:
    """How many parts."""
    return max(1, SHARD_BYTES // (embedder.record_bytes * len(parts[0])))


def _is_done(out: Path, number: int, each: int) -> bool:
    """Also where the part has been joined into a shard, before the process that did so was killed."""
    return _part(out, number).exists() or _joined(out, number // each).exists()


def _do_part(out: Path, number: int, items: Sequence[Item], embedder: Embedder) -> None:
    made = embedder.records(items)
    path = _part(out, number)
    told = {
        "keys": as_bytes(made.keys).tobytes().hex(),
        "errors": [made.errors.get(at, "") for at in range(len(items))],
    }
    write_json(path.with_suffix(".json"), told)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # numpy would add an ending to a name
            np.save(file, made.records)

    write_with(path, write)


def _join(out: Path, parts: Sequence[Sequence[Item]], embedder: Embedder) -> None:
    """Shards of whole parts, the index of files, and last of all what says that everything is there."""
    each = _in_a_shard(parts, embedder)
    firsts = range(0, len(parts), each)
    joined = [_shard(out, first // each, parts[first : first + each], first, embedder) for first in firsts]
    _write_index(out, [item.name for part in parts for item in part], [why for one in joined for why in one["errors"]])
    form = embedder.form
    about = {
        "format": FORMAT,
        "network": embedder.network.called,
        "tap": embedder.tap,
        **asdict(form),
        "shards": [one["shard"] for one in joined],
        "files": {name: file_sha256(out / name) for name in (FILES, AXES) if (out / name).exists()},
        **({"grid": list(embedder.grid)} if embedder.grid else {}),
        "facts": embedder.facts,
    }
    write_sealed(out / ABOUT, about)


def _shard(out: Path, number: int, parts: Sequence[Sequence[Item]], first: int, embedder: Embedder) -> dict[str, Any]:
    """The shard of some parts, from the part ``first`` on: what :func:`_joined` says of it."""
    done = _joined(out, number)
    if not done.exists():
        writer = ShardWriter(out, 0, embedder.tap, embedder.form)
        errors: list[str] = []
        try:
            for part in range(first, first + len(parts)):
                told = json.loads(_part(out, part).with_suffix(".json").read_text())
                keys = np.frombuffer(bytes.fromhex(told["keys"]), dtype=np.uint8).reshape(-1, KEY_BYTES)
                writer.add(as_keys(keys), np.load(_part(out, part)))
                errors += told["errors"]
            write_json(done, {"shard": writer.finish().name, "errors": errors})
        finally:
            writer.drop()
    for part in range(first, first + len(parts)):
        _part(out, part).unlink(missing_ok=True)
    found: dict[str, Any] = json.loads(done.read_text())
    return found


def _write_index(out: Path, names: Sequence[str], errors: Sequence[str]) -> None:
    with replacing(out / FILES) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "error"])
        table.writerows(zip(names, errors, strict=True))


def _tidy(out: Path) -> None:
    """What was needed to go on."""
    for path in [*(out / WORK).glob("part-*"), *(out / WORK).glob("joined-*"), *(out / WORK / "logs").glob("*.log")]:
        path.unlink(missing_ok=True)
