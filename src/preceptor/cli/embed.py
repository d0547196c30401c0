"""``preceptor embed``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from preceptor.screen import Screen

if TYPE_CHECKING:
    from preceptor.deploy.wanted import Wanted

FAREWELL = "stopped: nobody reads the output any more. The same command again goes on from there."


def embed_folder(
    wanted: "Wanted", paths: Sequence[Path], out: Path, *, budget: float, workers: int, ray: str | None
) -> None:
    """Embed, and say what was written and where it is."""
    if ray is not None:
        from preceptor.study.ray import require_ray

        require_ray(ray)
    from preceptor.deploy.embed import embed_images
    from preceptor.deploy.hands import Hands

    console = Screen(farewell=FAREWELL)
    columns = (TextColumn("embedding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        shown = bar.add_task("embedding", total=None)
        found = embed_images(
            wanted,
            paths,
            out,
            budget=budget,
            hands=Hands(workers, ray),
            watch=lambda done, count: bar.update(shown, completed=done, total=count),
            note=lambda note: console.print(f"note: {note}", highlight=False, soft_wrap=True),
        )
    for row, reason in list(found.damaged.items())[:5]:
        console.print(f"no embedding of {found.files[row]}: {reason}", highlight=False, soft_wrap=True)
    if len(found.damaged) > 5:
        console.print(f"… and of {len(found.damaged) - 5} more: see the column error of files.csv", highlight=False)
    shape = "×".join(map(str, found.shape))
    console.print(
        f"{len(found) - len(found.damaged)} of {len(found)} embedded, {shape} {found.stored} each: {out}",
        highlight=False,
        soft_wrap=True,
    )
