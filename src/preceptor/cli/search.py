"""``preceptor search``."""

from functools import partial
from pathlib import Path

from preceptor.cli.places import SEARCHES, other_data, require_own_place
from preceptor.errors import UserError
from preceptor.explain import unknown
from preceptor.files import file_lock
from preceptor.own_files import settle
from preceptor.recipe import apply_change, changed_recipe, parse_override
from preceptor.runs.place import require_place
from preceptor.screen import Screen
from preceptor.study.checks import check_device, check_recipes
from preceptor.study.local import LocalCrew, fair_workers
from preceptor.study.search import SAMPLERS, Search, require_optuna, run_search
from preceptor.study.space import parse_over
from preceptor.study.trial import train_trial
from preceptor.yaml_text import read_mapping


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
    own = read_mapping(path, "recipe")
    data = other_data(own.get("data"), raw.get("data"))
    if data and raw.get("name") == own.get("name"):
        raw["name"] = data
    out = out or SEARCHES / (data or path.stem)
    require_own_place(out, "a search")
    search = Search(raw, [parse_over(text) for text in overs], out, sampler, trials, seed, prune)
    require_place(out, [search.base.data.path], is_own=(out / "journal.log").exists(), what="search")
    require_optuna()
    check_device(device)
    check_recipes([(search.base, True)], console)
    crew = LocalCrew(workers or fair_workers(threads, device), threads, device=device, work=train_trial)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with file_lock(out / ".lock", wait=False):
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
