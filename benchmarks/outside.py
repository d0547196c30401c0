"""How often the input guard fires: on each set's own validation part, and on the images of all other sets.

The ranges are those of a recipe's training part, as an export measures them; nothing is trained.

    PRECEPTOR_DATA=… python benchmarks/outside.py recipes/crc_small.yaml recipes/kather2016.yaml
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from preceptor.data.prepare import prepare
from preceptor.data.samples import Pixels
from preceptor.data.sources import open_source
from preceptor.deploy.contract import Contract
from preceptor.deploy.looks import Ranges, looks_of
from preceptor.deploy.pieces import pieces_of
from preceptor.deploy.training_looks import training_ranges
from preceptor.recipe import Recipe, load_recipe


def contract_of(recipe: Recipe) -> Contract:
    data = recipe.data
    return Contract(task=recipe.task, classes=("a", "b"), image_size=data.size, resize=data.resize, tile=data.tile)


def images_of(recipe: Recipe, most: int) -> list[Pixels]:
    """Some images of a set as its files have them."""
    data = recipe.data
    table = open_source(data.source, data.path, data.options, data)
    rows = np.linspace(0, len(table.frame) - 1, min(most, len(table.frame))).round().astype(int)
    return [table.read(row)[0] for row in np.unique(rows)]


def fired(ranges: Ranges, contract: Contract, images: Sequence[Pixels]) -> tuple[float, float]:
    """Share of the images that lie outside, and how many by what."""
    reasons: list[list[str]] = []
    for image in images:
        seen = pieces_of("", image, contract)
        groups = [[one] for one in seen.pixels] if contract.tile and not contract.has_masks else [seen.pixels]
        reasons += [list(ranges.left(looks_of(pixels, seen.size))) for pixels in groups]
    but_size = [[one for one in found if not one.endswith("side")] for found in reasons]
    return float(np.mean([bool(found) for found in reasons])), float(np.mean([bool(found) for found in but_size]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", type=Path, nargs="+")
    parser.add_argument("--images", type=int, default=150, help="of each other set")
    given = parser.parse_args()
    recipes = {path.stem: load_recipe(path)[0] for path in given.recipes}
    others = {name: images_of(recipe, given.images) for name, recipe in recipes.items()}
    print("| trained on | own validation | " + " | ".join(recipes) + " |")
    print("|---" * (2 + len(recipes)) + "|")
    for name, recipe in recipes.items():
        ranges, said = training_ranges(prepare(recipe), recipe.data)
        seen = said["seen"]
        cells = [f"{100 * seen['validation_outside'] / seen['validation']:.1f} % of {seen['validation']}"]
        for other, images in others.items():
            share, but_size = fired(ranges, contract_of(recipe), images)
            cells.append("" if other == name else f"{100 * share:.0f} % ({100 * but_size:.0f} %)")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
