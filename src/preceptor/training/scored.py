"""By which measures a recipe's networks are scored: those of the table and the user's own, tried before training."""

from typing import Any

from preceptor.data.prepare import Prepared
from preceptor.measures.measure import Measures
from preceptor.measures.own import answers_to_try, entry_of, loaded, measure_in_result, path_of, require_sound
from preceptor.measures.table import MEASURES, with_own
from preceptor.own_files import own_files
from preceptor.recipe import Recipe
from preceptor.specs import FEATURES


def measures_for(recipe: Recipe, prepared: Prepared) -> Measures:
    """The measures, ready to score; the files of the user's own are run.

    Raises:
        UserError: one of them cannot score answers about the validation or the test part.
    """
    if recipe.is_label_free:
        return MEASURES[FEATURES]
    own = [loaded(name) for name in recipe.measures]
    labels = prepared.packed.frame["label"].to_numpy()
    for part in ("validation", "test") if own else ():
        answers = answers_to_try(recipe.task, len(prepared.packed.classes), labels[prepared.rows[part]])
        for one in own:
            require_sound(one, answers)
    return with_own(recipe.task, own, prepared.packed.classes)


def said_of_own(recipe: Recipe, measures: Measures) -> dict[str, Any]:
    """What the result says of the user's own measures, by key."""
    kept = {file.path: file.kept_as for file in own_files(recipe)}
    described = zip(recipe.measures, list(measures.values())[len(measures) - len(recipe.measures) :], strict=True)
    return {one.key: measure_in_result(one, kept[path_of(name)], entry_of(name)) for name, one in described}
