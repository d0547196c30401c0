"""``preceptor cache``: what is kept of teachers' outputs. Listing and pruning need no torch."""

from pathlib import Path
from typing import Annotated

import typer

from preceptor.streams import say

app = typer.Typer(help="Look at, verify and prune what teachers said, kept by earlier runs.", no_args_is_help=True)

CacheKeys = Annotated[list[str] | None, typer.Argument(help="Keys, or how they begin; all by default.")]
CacheFolder = Annotated[
    str | None, typer.Option(help="The cache, as data.cache in a recipe; by default $PRECEPTOR_CACHE or the user's.")
]


def _root(folder: str | None) -> Path:
    from preceptor.files import cache_root
    from preceptor.teacher_cache.folder import FOLDER

    return cache_root(folder) / FOLDER


@app.command(name="list")
def list_(folder: CacheFolder = None) -> None:
    """What is kept, of which network, how much of it, and since when nobody has used it."""
    from preceptor.embeddings.shards import tap_of, view_of
    from preceptor.teacher_cache.folder import everything_kept, size_of

    root = _root(folder)
    for kept in everything_kept(root):
        shards = kept.shards
        views, taps = {view_of(path) for path in shards}, sorted({tap_of(path) for path in shards})
        size, age = f"{kept.bytes / 1e6:,.1f} MB", f"unused for {kept.unused_for:.1f} days"
        what = f"{kept.name} ({kept.facts['network']['architecture']}) of {Path(kept.packed).name}"
        say(f"{kept.key}  {what}: {', '.join(taps)} in {len(views)} views, {size}, {age}")
    say(f"{root}: {size_of(root) / 1e6:,.1f} MB with the networks themselves")


@app.command()
def verify(
    keys: CacheKeys = None,
    entries: Annotated[int, typer.Option(min=0, help="Random outputs of each key to compute again.")] = 64,
    folder: CacheFolder = None,
    device: Annotated[str, typer.Option(help="cpu or cuda: where the outputs were computed.")] = "cpu",
) -> None:
    """Compare checksums, and random entries with what the network says now; what is wrong is removed."""
    from preceptor.teacher_cache.folder import everything_kept
    from preceptor.teacher_cache.verify import verify as compare

    is_sound = True
    for kept in everything_kept(_root(folder), keys or ()):
        verdict = compare(kept, entries=entries, device=device)
        for line in verdict.wrong:
            say(f"{kept.key}: {line}; removed")
        words = f"not computed again ({verdict.unable})" if verdict.unable else f"{verdict.compared} computed again"
        say(f"{kept.key} {kept.name}: {words}; {'DAMAGED' if verdict.wrong else 'sound'}")
        is_sound &= not verdict.wrong
    if not is_sound:
        raise typer.Exit(1)


@app.command()
def prune(
    keys: CacheKeys = None,
    unused_for: Annotated[float | None, typer.Option(min=0, help="Remove what nobody used for so many days.")] = None,
    down_to: Annotated[float | None, typer.Option(min=0, help="Remove the longest unused until so many GiB.")] = None,
    folder: CacheFolder = None,
) -> None:
    """Remove kept outputs by key, age or size; without any, only what killed runs left behind."""
    from preceptor.teacher_cache.folder import prune as remove
    from preceptor.teacher_cache.folder import size_of

    root = _root(folder)
    before = size_of(root)
    limit = None if down_to is None else int(down_to * 2**30)
    for kept in remove(root, unused_for=unused_for, down_to=limit, keys=keys or ()):
        say(f"{kept.key} {kept.name}: removed")
    say(f"{root}: {(before - size_of(root)) / 1e6:,.1f} MB freed, {size_of(root) / 1e6:,.1f} MB left")
