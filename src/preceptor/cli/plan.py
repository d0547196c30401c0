"""``preceptor plan``: what a recipe or a study will do, before an image is read."""

from collections import Counter
from pathlib import Path

from rich.console import Console

from preceptor.files import write_text
from preceptor.groupings import units_of
from preceptor.own_files import settle
from preceptor.plan.cast import Usual
from preceptor.plan.draw import cohort_svg
from preceptor.plan.ready import require_trainable
from preceptor.plan.show import plan_in_words, wanted_from_outside
from preceptor.recipe import Recipe, load_recipe
from preceptor.screen import Screen
from preceptor.yaml_text import read_mapping


def show_plan(path: Path, overrides: list[str], svg: Path | None, scale: str | None, *, trust: bool = False) -> None:
    """Print the plan of a recipe, or what the runs of a study share; draw the graph where it is wanted."""
    console = Screen(highlight=False, soft_wrap=True)
    if "recipe" in read_mapping(path, "recipe"):
        _show_study(console, path, overrides, scale, trust)
    else:
        _show_recipe(console, path, overrides, svg, trust)


def _show_recipe(console: Console, path: Path, overrides: list[str], svg: Path | None, trust: bool) -> None:
    recipe, notes = load_recipe(path, overrides)
    settle(recipe, path, console.print, trust=trust)
    facts = Usual()
    plan = recipe.plan(facts)
    console.print(" ".join(filter(None, (recipe.technique.name, recipe.technique.shared, f"({recipe.task})"))))
    console.print(f"split: {split_in_words(recipe)}")
    for line in (*(f"note: {note}" for note in notes), *plan_in_words(plan, recipe.task)):
        console.print(line)
    for assumed in facts.assumed:
        console.print(f"note: {assumed}")
    if svg:
        write_text(svg, cohort_svg(plan, recipe.task))
        console.print(f"graph of stage {plan.stages[-1].name}: {svg}")
    require_trainable(plan, shots=recipe.split.shots)


def _show_study(console: Console, path: Path, overrides: list[str], scale: str | None, trust: bool) -> None:
    from preceptor.cli.study import settle_study
    from preceptor.study.lockstep import lockstep, name_of
    from preceptor.study.plan import plan_study
    from preceptor.study.spec import load_study

    study = load_study(path, scale, overrides)
    settle_study(study, path, console, trust=trust)
    made = plan_study(study)
    kinds = Counter(job.kind for job in made.jobs)
    words = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in kinds.items()]
    console.print(f"{study.name}: {', '.join(words)}; seeds {', '.join(map(str, study.seeds))}")
    for split in dict.fromkeys(split_in_words(job.recipe) for job in made.jobs):
        console.print(f"split: {split}")
    for note in made.notes:
        console.print(f"note: {note}")
    learned_from = Counter(teacher for job in made.jobs for teacher in job.teachers)
    compared_with = Counter(before for job in made.jobs for before in job.after)
    console.print("trained once for several runs:")
    for job in made.jobs:
        uses = [f"teaches {_runs(learned_from[job.id])}"] if learned_from[job.id] else []
        uses += [f"{_runs(compared_with[job.id])} compared with it"] if compared_with[job.id] else []
        if uses:
            console.print(f"  {job.id}: {'; '.join(uses)}")
    if study.together:
        console.print("trained as one cohort:")
        groups = {name_of(group): group for group in lockstep(made.jobs).values() if len(group) > 1}
        for name, group in groups.items():
            console.print(f"  {name}: {', '.join(job.id for job in group)}")
    console.print("from outside:")
    wanted = dict.fromkeys(
        line for job in made.jobs for line in wanted_from_outside(job.recipe.plan(Usual(trained=False)))
    )
    for line in wanted or ["nothing"]:
        console.print(f"  {line}")


def split_in_words(recipe: Recipe) -> str:
    """How the images will be divided, as far as the recipe says: which groups stay whole, by their name."""
    split, options = recipe.split, recipe.data.options
    named = options.get("grouping") or (options.get("group") if recipe.data.source == "table" else None)
    groups = units_of(named if isinstance(named, str) else None)
    ways = {
        "auto": f"official parts where the data have them, else whole {groups} where they know any, else single images",
        "group": f"whole {groups} on one side",
        "image": "single images, whoever they are of",
        "official": "the data's official parts",
    }
    shares = ":".join(f"{100 * share:g}" for share in split.fractions)
    if split.folds:
        return f"{ways[split.by]}; fold {split.fold} of {split.folds} for test"
    return ways[split.by] if split.by == "official" else f"{ways[split.by]}; {shares} for training, validation, test"


def _runs(count: int) -> str:
    return f"{count} run" + ("s" if count > 1 else "")
