"""How often the input guard fires: on each set's own validation and test part, and on the images of all other sets.

A student of each recipe is trained without a teacher and exported into --out; what is there already is used.

    PRECEPTOR_DATA=… python benchmarks/outside.py recipes/crc_small.yaml recipes/ham10000_small.yaml --out /tmp/outside
    … --others recipes/kather2016.yaml some/folder --set training.epochs=3
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from preceptor.data.images import FileReader
from preceptor.data.sources import open_source
from preceptor.deploy.bundle import is_bundle, read_bundle
from preceptor.deploy.export import Options, export
from preceptor.deploy.held_out import spread_evenly
from preceptor.deploy.images import Item, find_images
from preceptor.deploy.looks import DISTANCE
from preceptor.deploy.predictor import Predictor, open_predictor
from preceptor.opened_run import open_run
from preceptor.recipe import Recipe, load_recipe
from preceptor.runs.files import RunFiles
from preceptor.screen import Screen
from preceptor.training.run import train_recipe

ALONE = ("technique.name=baseline", "networks.count=1")


def trained(recipe: Recipe, out: Path) -> Predictor:
    """The bundle of a student of ``recipe``."""
    if not RunFiles(out / "run").result.exists():
        train_recipe(recipe, out / "run", device="cpu", console=Screen())
    if not is_bundle(out / "bundle"):
        export(out / "run", out / "bundle", Options(int8="off"))
    return open_predictor(out / "bundle")


def images_of(given: Path, most: int) -> list[Item]:
    """Some images of a recipe's data, or of a folder; none where they are no files."""
    if given.suffix != ".yaml":
        items = find_images([given])
    else:
        data = load_recipe(given)[0].data
        reader = open_source(data.source, data.path, data.options, data).read
        if not isinstance(reader, FileReader):
            return []
        places = reader.places or [None] * len(reader.images)
        items = [Item(path, path, place) for path, place in zip(reader.images, places, strict=True)]
    return [items[at] for at in spread_evenly(np.arange(len(items)), most)]


def test_images(run: Path) -> list[Item]:
    """The test part of a run, where its images are files."""
    opened = open_run(run)
    data, prepared = opened.recipe.data, opened.data()
    table = open_source(data.source, data.path, data.options, data)
    if not isinstance(table.read, FileReader):
        return []
    frame, rows = prepared.packed.frame, prepared.rows["test"]
    wanted = dict.fromkeys(frame["parent" if "parent" in frame else "id"].iloc[rows])
    place = {name: at for at, name in enumerate(table.frame["id"])}
    return [Item(name, table.read.images[place[name]]) for name in wanted]


def fired(predictor: Predictor, items: Sequence[Item]) -> str:
    """Percent of the images, or tiles, that are outside; without their sizes; by the distance of features alone."""
    if not items:
        return "–"
    parts = [items[at : at + 32] for at in range(0, len(items), 32)]
    reasons = [row.outside for part in parts for row in predictor.rows(part) if row.answer is not None]
    kinds = (
        [bool(found) for found in reasons],
        [any(not name.endswith("side") for name in found) for found in reasons],
        [DISTANCE in found for found in reasons],
    )
    return ", ".join(f"{100 * float(np.mean(kind)):.3g}" for kind in kinds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--others", type=Path, nargs="*", default=[], help="recipes and folders to look at only")
    parser.add_argument("--images", type=int, default=60, help="of each other set")
    parser.add_argument("--set", dest="changes", nargs="*", default=[], help="changes of all recipes")
    given = parser.parse_args()
    sets = {path.stem: path for path in (*given.recipes, *given.others)}
    others = {name: images_of(path, given.images) for name, path in sets.items()}
    print("Percent of the images that are outside; without sizes; by the distance of features alone.")
    print("| trained on | own validation | own test | " + " | ".join(others) + " |")
    print("|---" * (3 + len(others)) + "|")
    for path in given.recipes:
        predictor = trained(load_recipe(path, [*ALONE, *given.changes])[0], given.out / path.stem)
        folder = given.out / path.stem
        seen = read_bundle(folder / "bundle").facts["outside"]["seen"]
        cells = [f"{seen['validation_outside']} of {seen['validation']}", fired(predictor, test_images(folder / "run"))]
        cells += ["" if name == path.stem else fired(predictor, images) for name, images in others.items()]
        print(f"| {path.stem} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
