"""``preceptor predict``: answers on many images, by one process, several, or a cluster; resumable."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from preceptor.deploy.dicom_seg import require_dicom, write_segmentations
from preceptor.deploy.images import Item, find_images
from preceptor.deploy.parts import cam_of, count_of, do_part, do_request, join_parts, part_file
from preceptor.deploy.plan import TABLE, WORK, Pictures, PredictionTask, stamps_of
from preceptor.deploy.predictor import Predictor, open_predictor
from preceptor.errors import InterruptedRunError, UserError
from preceptor.files import file_lock
from preceptor.stopping import stop_requests
from preceptor.study.crew import Crew, Death
from preceptor.study.work import JobOutcome, JobRequest

_LEFTOVER = re.compile(r"\..+\.\d+\.part")
_ATTEMPTS = 3

Watch = Callable[[int, int], object]
"""Told how many parts are done, of how many."""


@dataclass(frozen=True, slots=True)
class Hands:
    """Who does the work.

    Args:
        workers: processes; 1 works in this one.
        ray: address of a cluster, or None.
    """

    workers: int = 1
    ray: str | None = None


def predict(
    source: Path,
    paths: Sequence[Path],
    out: Path,
    *,
    pictures: Pictures,
    tta: bool = False,
    is_calibrated: bool = False,
    device: str = "auto",
    hands: Hands = Hands(),
    watch: Watch = lambda done, count: None,
    note: Callable[[str], object] = lambda note: None,
) -> pd.DataFrame:
    """Answer on the images in ``paths`` by a bundle or a run, into ``out/predictions.csv``; the same call goes on.

    Raises:
        UserError: no such network, no image, or a folder that is not this call's.
    """
    predictor = open_predictor(source, device=device, tta=tta, is_calibrated=is_calibrated, note=note)
    items = tuple(find_images(paths, predictor.contract.reading))
    _require_pictures(predictor, pictures, items)
    there = str(source.resolve())
    task = PredictionTask(there, predictor.identity, device, tta, is_calibrated, pictures, items, stamps_of(items))
    task.begin(out, paths)
    with _held(out):
        count = count_of(task, predictor)
        if not (out / TABLE).exists():
            _remove_leftovers(out)
            missing = [number for number in range(count) if not part_file(out, number).exists()]
            _do(missing, count, out, task, predictor, hands, watch)
            if pictures.dicom:
                write_segmentations(out, items, predictor.contract, predictor.identity, note)
            join_parts(out, count)
        _tidy(out)
    return read_answers(out)


def read_answers(out: Path) -> pd.DataFrame:
    """``predictions.csv`` of a finished call."""
    texts = {"file": str, "label": str, "error": str}
    found = pd.read_csv(out / TABLE, dtype=texts, keep_default_na=False)
    shares = [name for name in found.columns if name.startswith("p_")]
    return found.assign(**{name: pd.to_numeric(found[name], errors="coerce") for name in shares})


def _require_pictures(predictor: Predictor, pictures: Pictures, items: Sequence[Item]) -> None:
    if pictures.dicom:
        require_dicom(items, predictor.contract)
    if pictures.cam:
        cam_of(predictor)
    if pictures.overlay and not predictor.contract.has_masks:
        raise UserError("--overlay draws masks, and this network classifies; for a run --cam shows what it looks at")


def _do(
    missing: Sequence[int],
    count: int,
    out: Path,
    task: PredictionTask,
    predictor: Predictor,
    hands: Hands,
    watch: Watch,
) -> None:
    watch(count - len(missing), count)
    if hands.ray is None and min(hands.workers, len(missing)) <= 1:
        for done, number in enumerate(missing, start=count - len(missing) + 1):
            do_part(out, number, task, predictor)
            watch(done, count)
    elif missing:
        with closing(_crew(hands, len(missing), task.device)) as crew:
            _hand_out(list(missing), count, out, crew, watch)


def _crew(hands: Hands, parts: int, device: str) -> Crew:
    if hands.ray is not None:
        from preceptor.study.ray import RayCrew

        return RayCrew(hands.ray, 1, device=device, work=do_request)
    from preceptor.study.local import LocalCrew

    workers = min(hands.workers, parts)
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    return LocalCrew(workers, threads, device=device, work=do_request)


def _hand_out(waiting: list[int], count: int, out: Path, crew: Crew, watch: Watch) -> None:
    """Give parts to whoever is free; a part whose worker dies is given again, a few times."""
    done, attempts = count - len(waiting), dict.fromkeys(waiting, 0)
    with stop_requests() as asked:
        while (waiting or crew.busy) and not asked.count:
            while waiting and crew.free:
                number = waiting.pop(0)
                attempts[number] += 1
                log = out / WORK / "logs" / f"{number}.log"
                crew.give(JobRequest(str(number), out.resolve(), log.resolve(), "", "auto"))
            for id, event in crew.events(1.0):
                if isinstance(event, Death) and attempts[int(id)] < _ATTEMPTS:
                    waiting.insert(0, int(id))
                elif isinstance(event, Death):
                    raise UserError(f"a worker {event.words} over part {id} {_ATTEMPTS} times; try fewer --workers")
                elif isinstance(event, JobOutcome) and event.outcome == "done":
                    done += 1
                    watch(done, count)
                elif isinstance(event, JobOutcome):
                    raise UserError(f"part {id} failed in a worker: {event.error}")
    if asked.count:
        raise InterruptedRunError(f"stopped after {done} of {count} parts; the same command goes on from there")


@contextmanager
def _held(out: Path) -> Iterator[None]:
    try:
        with file_lock(out / WORK / "lock", wait=False):
            yield
    except BlockingIOError:
        raise UserError(f"another process is predicting into {out}; wait for it, or give another folder") from None


def _remove_leftovers(out: Path) -> None:
    """What a killed process left half written."""
    for path in out.rglob(".*.part"):
        if _LEFTOVER.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _tidy(out: Path) -> None:
    """Parts that a killed process had joined already, and what workers printed."""
    for path in [*(out / WORK).glob("part-*.csv"), *(out / WORK / "logs").glob("*.log")]:
        path.unlink(missing_ok=True)
