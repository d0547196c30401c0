"""``preceptor data``: look at data, and fetch what is openly published."""

from pathlib import Path
from typing import Annotated, Any

import typer

from preceptor.streams import say

app = typer.Typer(help="Look at data, and fetch published data sets.", no_args_is_help=True)


@app.command()
def inspect(
    path: Annotated[str | None, typer.Argument(help="A folder, a table or a .npz file.")] = None,
    source: Annotated[
        str | None, typer.Option(help="Layout, for example folder or table; recognised by default.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Option of the layout, name=value. May be given several times.")
    ] = None,
    channels: Annotated[int, typer.Option(min=1, max=16, help="Channels that images are to have.")] = 3,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    look: Annotated[
        Path | None,
        typer.Option(help="Write a contact sheet, .html or .png: some of each class, odd ones first."),
    ] = None,
) -> None:
    """What a data set is, what a run would do with it, and what became of every file: all images are read."""
    import os
    from json import dumps

    from rich.progress import track

    from preceptor.cli.inspected import as_json, render
    from preceptor.data.contact_sheet import require_ending, write_sheet
    from preceptor.data.inspect import inspect as inspected
    from preceptor.data.inspect import open_found
    from preceptor.screen import Screen

    if look is not None:
        require_ending(look)
    progress = Screen(stderr=True)
    options = parse_options(option or [])
    found = inspected(
        path,
        source,
        options,
        channels=channels,
        track=lambda rows: track(
            rows, "reading images", console=progress, transient=True, disable=not progress.is_terminal
        ),
        processes=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    )
    if look is not None:
        table = open_found(found.path, found.source, found.options, channels)[0]
        write_sheet(look, str(found.path or "generated images"), table, found.damaged, found.odd)
    if json:
        say(dumps(as_json(found), ensure_ascii=False, indent=2))
    else:
        render(found, Screen(highlight=False, soft_wrap=True))
    if look is not None:
        Screen(stderr=True).print(f"contact sheet: {look}", highlight=False, soft_wrap=True)


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


@app.command()
def sources(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As the page docs/sources.md, with every option.")
    ] = False,
) -> None:
    """Every data source, with what it reads."""
    from preceptor.reference import source_rows, sources_page

    if markdown:
        say(sources_page(), nl=False)
        return
    width = max(len(key) for key, _ in source_rows())
    for key, summary in source_rows():
        say(f"{key:<{width}}  {summary}")


def parse_options(texts: list[str]) -> dict[str, Any]:
    """``name=value`` texts to a dict; numbers, lists and mappings are what they look like, the rest are texts.

    Raises:
        UserError: no ``=``, or a list or mapping that is no YAML.
    """
    from preceptor.errors import UserError
    from preceptor.yaml_text import NotYamlError, read_value

    options = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"--option {text!r}: write it as name=value, for example image=ImageName")
        try:
            options[name.strip()] = read_value(value, f"--option {text!r}")
        except NotYamlError:
            options[name.strip()] = value  # a regular expression, for example, need not be YAML
    return options
