"""``preceptor analyse``."""

from pathlib import Path

from preceptor.errors import UserError
from preceptor.opened_run import open_run
from preceptor.screen import Screen


def analyse_run(run: Path, part: str, pairs: list[str], images: int, device: str, *, trust: bool = False) -> None:
    """Write the figures and say where they are."""
    split = [tuple(pair.split(":")) for pair in pairs]
    for pair in split:
        if len(pair) != 2:
            raise UserError(f"--pair {':'.join(pair)!r}: write two networks with a colon, for example T:S1")
    from preceptor.analysis import analyse

    console = Screen()
    opened = open_run(run)
    for note in opened.notes:
        console.print(f"note: {note}", highlight=False, soft_wrap=True)
    with console.status("looking at the networks"):
        entries = analyse(
            run,
            part=part,
            pairs=[(a, b) for a, b in split],
            most=images,
            device=device,
            trust=trust,
            note=lambda note: console.print(f"note: {note}", highlight=False, soft_wrap=True),
        )
    for entry in entries:
        console.print(f"{entry['title']}: {opened.files.analysis / entry['file']}", highlight=False)
