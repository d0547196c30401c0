"""The folder of a recipe's run, which holds no run of another recipe."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from preceptor.errors import DamagedFileError, UserError
from preceptor.files import write_with
from preceptor.own_files import own_files
from preceptor.recipe import Recipe, load_recipe
from preceptor.runs.begun import known_fingerprint, read_begun, text_sha256
from preceptor.runs.files import RunFiles
from preceptor.runs.folder import RunFolder
from preceptor.runs.names import OWN
from preceptor.sealed import CHANGED, file_sha256

_ELSEWHERE = ("path", "cache")
"""Parts of a recipe's ``data`` that say where things are, not what they are."""


def folder_for(
    path: Path, recipe: Recipe, *, writes: bool = True, note: Callable[[str], None] = lambda line: None
) -> RunFolder:
    """The folder ``path`` for the run of a recipe.

    Args:
        writes: whether this process writes there.
        note: says a line to the user.

    Raises:
        UserError: it holds a run of another recipe that has begun to train.
    """
    moved_from = _where_data_were(RunFiles(path), recipe) if RunFiles(path).has_trained() else None
    return RunFolder(path, recipe.to_yaml(), writes=writes, note=note, moved_from=moved_from)


def keep_own(folder: RunFolder, recipe: Recipe) -> None:
    """Keep the content of the user's own files in the run; that of a file which has changed since stays beside it."""
    if not folder.writes:
        return
    before = {path.name for path in folder.files.own.glob("*.py")} if folder.files.has_trained() else set()
    for file in own_files(recipe):
        kept = folder.path / file.kept_as
        if before and kept.name not in before:
            folder.tell_once(f"{file.path} is another than this run has used so far; what that was is kept in {OWN}/")
        if not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            write_with(kept, partial(Path.write_bytes, data=file.content))


def _where_data_were(files: RunFiles, recipe: Recipe) -> str | None:
    """Where the data lay when the run began, if that is elsewhere; any other difference of the recipes is refused."""
    text, begun = recipe.to_yaml(), read_begun(files.folder)
    if begun and begun.recipe == text_sha256(text):
        return None  # whatever became of recipe.yaml, it is written anew
    remedy = f"Bring the file back, or give the recipe with which the run began, or delete {files.folder}."
    if not files.recipe.exists():
        if begun:
            raise DamagedFileError(files.recipe, "is missing", remedy)
        return None
    if begun and file_sha256(files.recipe) != begun.recipe:
        raise DamagedFileError(files.recipe, CHANGED, remedy)
    # What an older version wrote lacks options that have come since: reading it fills in their defaults.
    found, _ = load_recipe(files.recipe)
    if found == recipe:
        return None
    has_moved = found.data.path != recipe.data.path
    if _anywhere(found, has_moved) != _anywhere(recipe, has_moved) or (
        has_moved and known_fingerprint(files.folder) is None
    ):
        raise UserError(
            f"{files.folder} holds a run of another recipe ({_first_difference(found.to_yaml(), text)}).\n"
            "Give another folder with --out, or delete this one to start anew."
        )
    return str(found.data.path) if has_moved else None


def _anywhere(recipe: Recipe, has_moved: bool) -> dict[str, Any]:
    """The recipe but for where its data lie, and for its name where they have moved: that may be their folder's."""
    raw = recipe.model_dump(mode="json", exclude={"name"} if has_moved else None)
    raw["data"] = {key: value for key, value in raw["data"].items() if key not in _ELSEWHERE}
    return raw


def _first_difference(old: str, new: str) -> str:
    for before, after in zip(old.splitlines(), new.splitlines(), strict=False):
        if before != after:
            return f"it says `{before.strip()}`, this one `{after.strip()}`"
    return "of another length"
