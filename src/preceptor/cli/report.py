"""``preceptor report``."""

from pathlib import Path

from preceptor.errors import UserError
from preceptor.screen import Screen


def report_folders(
    folders: list[Path], out: Path | None, *, margin: float, trust: bool = False, verify: bool = False
) -> None:
    """Write the report of all runs in ``folders`` into ``out``, or into the one folder; or verify the one there."""
    if out is None and len(folders) > 1:
        raise UserError("report: several folders have no folder in common; say with --out where the report goes")
    if verify:
        from preceptor.cli.verify import verify_report

        verify_report(folders, out or folders[0])
        return
    from preceptor.report import write_report

    console = Screen()

    def note(line: str) -> None:
        console.print(f"note: {line}", highlight=False, soft_wrap=True)

    page = write_report(folders, out or folders[0], note, trust=trust, margin=margin)
    console.print(f"report: {page} (tables in {page.parent / 'tables'})", highlight=False, soft_wrap=True)
