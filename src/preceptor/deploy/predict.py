"""``preceptor predict``: answers on many images, by one process, several, or a cluster; resumable."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from preceptor.deploy.dicom_seg import require_dicom, write_segmentations
from preceptor.deploy.hands import ALONE, Hands, Parts, Watch, do_parts, held, remove_leftovers
from preceptor.deploy.images import Item, find_images
from preceptor.deploy.parts import cam_of, count_of, do_part, do_request, join_parts, part_file
from preceptor.deploy.plan import TABLE, WORK, Pictures, PredictionTask, stamps_of
from preceptor.deploy.predictor import Predictor, open_predictor
from preceptor.errors import UserError


def predict(
    source: Path,
    paths: Sequence[Path],
    out: Path,
    *,
    pictures: Pictures,
    tta: bool = False,
    is_calibrated: bool = False,
    device: str = "auto",
    hands: Hands = ALONE,
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
    with held(out / WORK / "lock", out, "predicting"):
        count = count_of(task, predictor)
        if not (out / TABLE).exists():
            remove_leftovers(out)
            missing = [number for number in range(count) if not part_file(out, number).exists()]
            parts = Parts(
                folder=out,
                logs=out / WORK / "logs",
                device=device,
                here=lambda number: do_part(out, number, task, predictor),
                elsewhere=do_request,
            )
            do_parts(missing, count, parts, hands, watch)
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


def _tidy(out: Path) -> None:
    """Parts that a killed process had joined already, and what workers printed."""
    for path in [*(out / WORK).glob("part-*.csv"), *(out / WORK / "logs").glob("*.log")]:
        path.unlink(missing_ok=True)
