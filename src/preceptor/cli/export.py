"""``preceptor export`` and ``preceptor bundle check``."""

from pathlib import Path
from typing import Annotated

import typer

from preceptor.errors import UserError
from preceptor.screen import Screen
from preceptor.streams import say

app = typer.Typer(help="Exported students: check a bundle.", no_args_is_help=True, rich_markup_mode=None)
INT8 = ("auto", "off", "force")


@app.callback()
def _commands() -> None:
    """Exported students."""


@app.command()
def check(bundle: Annotated[Path, typer.Argument(help="A folder that `preceptor export` made.")]) -> None:
    """Compare every file with its checksum, and the answers on golden images with those of when it was made."""
    from preceptor.deploy.check import check_bundle

    found = check_bundle(bundle)
    say(f"{bundle} is whole: {found.files} files are as they were exported.")
    say(f"{found.serves} answers {found.golden} golden images as it did then.")


def export_run(
    path: Path,
    out: Path,
    *,
    int8: str,
    formats: str,
    golden: list[Path],
    anonymous: bool,
    mpp: float | None,
    sensitivity: float | None,
    abstain: float | None,
    margin: float,
    data: str | None,
) -> None:
    """Make a bundle and say what it holds."""
    if int8 not in INT8:
        raise UserError(f"--int8 {int8}: is none of {', '.join(INT8)}")
    from preceptor.deploy.export import Options, export

    console = Screen()
    options = Options(
        int8=int8,  # type: ignore[arg-type]  # one of them, as was seen above
        formats=tuple(dict.fromkeys(name.strip() for name in formats.split(",") if name.strip())),
        golden=tuple(golden),
        anonymous=anonymous,
        mpp=mpp,
        sensitivity=sensitivity,
        abstain=abstain,
        margin=margin,
    )
    with console.status("exporting"):
        bundle = export(
            path,
            out,
            options,
            data=data,
            note=lambda note: console.print(f"note: {note}", highlight=False, soft_wrap=True),
        )
    parity = bundle.facts["parity"]
    equal = parity["equal_pixels"]
    same = f"{100 * equal:.3f} % of the pixels are equal" if equal is not None else "probabilities are equal"
    console.print(
        f"on {parity['images']} images {same}, at most {parity['largest_gap']:.1e} apart from the network's",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"bundle: {out}; python {out / 'predict.py'} FOLDER --out DIR", highlight=False, soft_wrap=True)
