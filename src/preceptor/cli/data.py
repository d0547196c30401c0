"""``preceptor data``: look at data, and fetch what is openly published."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from preceptor.streams import say

if TYPE_CHECKING:
    from rich.console import Console

    from preceptor.data.inspect import Inspection

app = typer.Typer(help="Look at data, and fetch published data sets.", no_args_is_help=True)


@app.command()
def inspect(
    path: Annotated[str | None, typer.Argument(help="A folder, a .csv or a .npz file.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Layout, for example folder or table; recognised by default.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Option of the layout, name=value. May be given several times.")
    ] = None,
) -> None:
    """Layout, classes, groups, sizes, damaged files and equal images of a data set."""
    from rich.progress import track

    from preceptor.data.inspect import inspect as look
    from preceptor.screen import Screen

    progress = Screen(stderr=True)
    found = look(
        path,
        source,
        parse_options(option or []),
        track=lambda rows: track(
            rows, "reading images", console=progress, transient=True, disable=not progress.is_terminal
        ),
    )
    render(found, Screen(highlight=False, soft_wrap=True))


@app.command()
def fetch(
    key: Annotated[str, typer.Argument(help="kather2016, pcam, ham10000, or for example medmnist:pathmnist_64.")],
    to: Annotated[Path, typer.Option(help="Folder to put it into; a folder of the set's name is made there.")] = Path(
        "data"
    ),
) -> None:
    """Download an openly published data set; checked by hash, and the same command again goes on."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from preceptor.data.fetch import fetch as download
    from preceptor.data.published import published
    from preceptor.screen import Screen

    remote = published(key)
    console = Screen(stderr=True)
    console.print(f"{remote.title}. Licence: {remote.licence}. Source: {remote.home}", highlight=False, soft_wrap=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, Any] = {}

        def progress(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name)
            bars.update(tasks[name], completed=done, total=total)

        folder = download(remote, to, progress=progress)
    say(f"{folder}  (source: {remote.source})")


def parse_options(texts: list[str]) -> dict[str, Any]:
    """``name=value`` texts to a dict, values being YAML.

    Raises:
        UserError: no ``=``, or no YAML.
    """
    from preceptor.errors import UserError
    from preceptor.yaml_text import NotYamlError, read_yaml

    options = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"--option {text!r}: write it as name=value, for example image=ImageName")
        try:
            options[name.strip()] = read_yaml(value, f"--option {text!r}")
        except NotYamlError:
            options[name.strip()] = value  # a regular expression, for example, need not be YAML
    return options


def render(found: "Inspection", console: "Console") -> None:
    """Print what was found, plainly: the same text on a terminal and in a file."""
    from rich.table import Table

    def line(name: str, text: str) -> None:
        console.print(f"{name:<11}{text}")

    line("data", str(found.path or "generated"))
    line("source", found.source + "".join(f"\n{'':<11}  {name}: {value}" for name, value in found.options.items()))
    for reason in found.reasons:
        line("", reason)
    line("task", f"{found.task}, {len(found.classes)} classes")
    total = int(found.counts.to_numpy().sum())
    line("images", f"{total}, {len(found.damaged)} damaged")
    line("sizes", _sizes(found.sizes))
    if found.foreground is not None:
        low, middle, high, empty = found.foreground
        line("masks", f"foreground {low:.1%} to {high:.1%} of an image, median {middle:.1%}; {empty} empty")
    line("groups", _groups(found))
    line("split", found.splitting)

    console.print()
    table = Table("class" if found.task == "classification" else "", box=None, pad_edge=False)
    for name in [*found.counts.columns, *(["groups"] if found.groups is not None else [])]:
        table.add_column(name, justify="right")
    groups = [[]] * len(found.counts) if found.groups is None else [[str(count)] for count in found.groups]
    for name, counts, held in zip(found.counts.index, found.counts.to_numpy(), groups, strict=True):
        table.add_row(str(name), *(str(count) for count in counts), *held)
    console.print(table)

    for title, lines in (("damaged", _damaged(found)), ("equal images", _equal(found)), ("notes", list(found.notes))):
        if lines:
            console.print(f"\n{title}")
            for text in lines:
                console.print(f"  {text}")


def _sizes(sizes: dict[tuple[int, int], int]) -> str:
    shown = ", ".join(f"{height} x {width} ({count})" for (height, width), count in list(sizes.items())[:4])
    more = f", and {len(sizes) - 4} more sizes" if len(sizes) > 4 else ""
    return f"height x width {shown}{more}" if sizes else "none could be read"


def _groups(found: "Inspection") -> str:
    if found.grouping is None or found.group_sizes is None:
        return "none known: samples of one patient cannot be kept together (see notes)"
    low, middle, high = found.group_sizes
    if high == 1:
        return f"by {found.grouping}: {found.group_count} groups of one image each"
    return f"by {found.grouping}: {found.group_count} groups of {low} to {high} images, median {middle:g}"


def _damaged(found: "Inspection") -> list[str]:
    lines = [message.splitlines()[0] for message in found.damaged.values()]
    return lines[:20] + ([f"and {len(lines) - 20} more"] if len(lines) > 20 else [])


def _equal(found: "Inspection") -> list[str]:
    if not found.equal:
        return []
    conflicting = sum(equal.conflicting for equal in found.equal)
    across = sum(equal.across_parts for equal in found.equal)
    what = "masks" if found.task == "segmentation" else "labels"
    lines = [
        f"{len(found.equal)} sets of images with equal pixels: {conflicting} with different {what}, "
        f"{across} in several official parts",
        "a run keeps one of each set whose labels agree and none of the others, unless data.duplicates says otherwise",
    ]
    for equal in found.equal[:20]:
        labels = f": {', '.join(equal.classes)}" if found.task == "classification" else ""
        marks = [
            *([f"different {what}"] if equal.conflicting else []),
            *([f"in {', '.join(sorted(str(part) for part in set(equal.parts)))}"] if equal.across_parts else []),
            *(["in different groups"] if len(set(equal.groups)) > 1 else []),
        ]
        lines.append(f"{' = '.join(equal.ids)}{labels}{' (' + '; '.join(marks) + ')' if marks else ''}")
    return lines + ([f"and {len(found.equal) - 20} more sets"] if len(found.equal) > 20 else [])
