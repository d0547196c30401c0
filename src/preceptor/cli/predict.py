"""``preceptor predict``."""

from collections.abc import Sequence
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from preceptor.screen import Screen

FAREWELL = "stopped: nobody reads the output any more. The same command again goes on from there."


def predict_images(
    source: Path,
    paths: Sequence[Path],
    out: Path,
    *,
    overlay: bool,
    cam: bool,
    dicom_seg: bool,
    tta: bool,
    calibrated: bool,
    device: str,
    workers: int,
    ray: str | None,
) -> None:
    """Answer, and say what was answered and where it is."""
    if ray is not None:
        from preceptor.study.ray import require_ray

        require_ray(ray)
    from preceptor.deploy.plan import TABLE, Pictures
    from preceptor.deploy.predict import Hands, predict

    console = Screen(farewell=FAREWELL)
    columns = (TextColumn("predicting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        shown = bar.add_task("predicting", total=None)
        found = predict(
            source,
            paths,
            out,
            pictures=Pictures(masks=True, overlay=overlay, cam=cam, dicom=dicom_seg),
            tta=tta,
            is_calibrated=calibrated,
            device=device,
            hands=Hands(workers, ray),
            watch=lambda done, count: bar.update(shown, completed=done, total=count),
            note=lambda note: console.print(f"note: {note}", highlight=False, soft_wrap=True),
        )
    failed = found[found["error"] != ""]
    for name, reason in zip(failed["file"].head(5), failed["error"].head(5), strict=True):
        console.print(f"no answer on {name}: {reason}", highlight=False, soft_wrap=True)
    if len(failed) > 5:
        console.print(f"… and on {len(failed) - 5} more: see the column error", highlight=False)
    for column, what in (("abstained", "not certain enough"), ("outside", "unlike the images of training")):
        if count := int(found[column].sum()):
            console.print(f"{count} {what}: see the column {column}", highlight=False)
    console.print(
        f"{len(found) - len(failed)} of {len(found)} answered: {out / TABLE}", highlight=False, soft_wrap=True
    )
