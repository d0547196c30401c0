"""What the shell offers where a recipe or a study is wanted: shipped names, and YAML files."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from preceptor.shipped import ShippedKind


def recipe_names(incomplete: str) -> list[str]:
    """Shipped recipes, YAML files and folders that begin so."""
    return _offered(incomplete, "recipes")


def study_names(incomplete: str) -> list[str]:
    """Shipped studies, YAML files and folders that begin so."""
    return _offered(incomplete, "studies")


def _offered(incomplete: str, kind: "ShippedKind") -> list[str]:
    from preceptor.shipped import shipped_names

    names = [name for name in shipped_names(kind) if name.startswith(incomplete)]
    folder, _, start = incomplete.rpartition("/")
    place = Path(folder or ("/" if incomplete.startswith("/") else "."))
    found = sorted(place.glob(f"{start}*")) if place.is_dir() and not set(start) & set("*?[") else []
    files = [f"{path}/" if path.is_dir() else str(path) for path in found if path.is_dir() or path.suffix == ".yaml"]
    return names + files
