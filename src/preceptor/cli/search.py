"""``preceptor search``."""

from functools import partial
from pathlib import Path

from rich.console import Console

from preceptor.errors import UserError
from preceptor.explain import unknown
from preceptor.files import alone
from preceptor.own_files import settle
from preceptor.recipe import apply_change, changed_recipe, parse_override, read_mapping
from preceptor.screen import Screen
from preceptor.study.local import LocalCrew, fair_workers
from preceptor.study.search import SAMPLERS, Search, run_search
from preceptor.study.space import parse_over
from preceptor.study.trial import train_trial


def search_recipe(
    path: Path,
    overs: list[str],
    overrides: list[str],
    *,
    sampler: str,
    trials: int,
    seed: int,
    prune: bool,
    out: Path | None,
    workers: int | None,
    device: str,
    trust: bool = False,
) -> None:
    """Search, and say what was best on validation."""
    if sampler not in SAMPLERS:
        raise UserError(f"--sampler: {unknown(sampler, SAMPLERS)}")
    raw = read_mapping(path, "recipe")
    for key, value in map(parse_override, overrides):
        apply_change(raw, key, value)
    recipe, _ = changed_recipe(raw, [], origin=str(path))
    console = Screen()
    settle(recipe, path, partial(console.print, highlight=False, soft_wrap=True), trust=trust)
    threads = recipe.training.threads or 1
    apply_change(raw, "training.threads", threads)
    out = out or Path("runs") / f"{path.stem}-search"
    search = Search(raw, [parse_over(text) for text in overs], out, sampler, trials, seed, prune)
    out.mkdir(parents=True, exist_ok=True)
    crew = LocalCrew(workers or fair_workers(threads, device), threads, device=device, work=train_trial)
    try:
        with alone(out / ".lock", wait=False):
            _prepare(search, console)
            best = run_search(search, crew, console, device=device)
    except BlockingIOError:
        raise UserError(
            f"{out}: another `preceptor search` is at work in this folder; wait for it, or give another with --out"
        ) from None
    settings = " ".join(f"{key}={value}" for key, value in best.params.items())
    console.print(
        f"best on validation: {search.base.monitor} {best.value:.4f} with {settings}.\n"
        f"All trials: {out / 'trials.csv'}. The test images were not looked at; they are by\n"
        f"  preceptor train {out / 'best.yaml'}",
        highlight=False,
        soft_wrap=True,
    )


def _prepare(search: Search, console: Console) -> None:
    """Pack the images once, before several workers want them; what is wrong with the data is refused now."""
    from preceptor.data.prepare import prepare

    with console.status("reading images"):
        prepare(search.base)
