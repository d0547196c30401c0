"""Recipes and studies that come with preceptor, found by name from any folder."""

import difflib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from preceptor.errors import UserError
from preceptor.extras import CHECKOUT

ShippedKind = Literal["recipes", "studies"]

_ONE: dict[ShippedKind, str] = {"recipes": "recipe", "studies": "study"}


def shipped_folder(kind: ShippedKind) -> Path:
    """Where they lie: in the installed package, or at the top of a checkout."""
    inside = Path(__file__).parent / kind
    return inside if inside.is_dir() else CHECKOUT / kind


def shipped_names(kind: ShippedKind) -> list[str]:
    """Their names, in order."""
    return sorted(file.stem for file in shipped_folder(kind).glob("*.yaml"))


def shipped_recipe(name: str) -> Path:
    """The file of a shipped recipe.

    Raises:
        UserError: there is none of that name.
    """
    return find_file(Path("recipes") / name, ["recipes"])


def find_file(given: Path, kinds: Sequence[ShippedKind]) -> Path:
    """The file that a user means by ``given``: one of their own, or else a shipped one.

    Shipped ones are named ``phantom``, ``recipes/phantom`` or ``recipes/phantom.yaml``; a file of the user's with that
    path comes first.

    Args:
        kinds: what may be meant, in the order in which a bare name is looked up.

    Raises:
        UserError: there is no such file, neither the user's nor a shipped one.
    """
    if given.is_file() or (given.exists() and not _is_name(given)):
        return given
    for kind in kinds:
        if _is_name(given) or (given.parent == Path(kind) and given.suffix in ("", ".yaml")):
            found = shipped_folder(kind) / f"{given.stem if given.suffix else given.name}.yaml"
            if found.is_file():
                return found
    names = [name for kind in kinds for name in shipped_names(kind)]
    beside = {file.stem: str(file) for file in given.parent.glob("*.yaml")}
    near = difflib.get_close_matches(given.stem, [*beside, *names], n=1)
    hint = f"did you mean {beside.get(near[0], near[0])!r}? It wants" if near else "give"
    if given.is_dir() and not near:
        hint = (
            f"it is a folder; `preceptor init {shlex.quote(str(given))}` writes a recipe for a folder of images. Give"
        )
    raise UserError(
        f"no {_ONE[kinds[0]]} {str(given)!r}: {hint} the path of a .yaml file, for example {kinds[0]}/phantom.yaml, "
        "or a name that `preceptor recipes` lists"
    )


def _is_name(given: Path) -> bool:
    """Whether it is a name without a folder and an ending."""
    return len(given.parts) == 1 and not given.suffix and given.name not in ("", "..")


def described_files(kind: ShippedKind) -> dict[str, str]:
    """Name -> its title, or else the first sentence of the comment that heads its file."""
    files = {name: shipped_folder(kind) / f"{name}.yaml" for name in shipped_names(kind)}
    return {name: _title(file) or _first_sentence(file) for name, file in files.items()}


def _title(file: Path) -> str:
    lines = file.read_text(encoding="utf-8").splitlines()
    return next((line.removeprefix("title:").strip(" \"'") for line in lines if line.startswith("title:")), "")


def _first_sentence(file: Path) -> str:
    words: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        words.append(line.lstrip("# "))
    text = " ".join(words)
    end = text.find(". ")
    while end >= 0 and (text[:end].endswith(("et al", "vs", "e.g", "i.e")) or not text[end + 2 : end + 3].isupper()):
        end = text.find(". ", end + 1)
    return text if end < 0 else text[: end + 1]
