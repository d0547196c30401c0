"""Run many cells of one recipe and print their scores with spread.

Each run is what `preceptor train RECIPE --set …` does, with its own run folder and log; what is finished is not
run again, what was interrupted goes on. The tables in docs/ were made with this script.

    python benchmarks/cells.py recipes/crc_small.yaml --seeds 0 1 2 --cells twelve
    python benchmarks/cells.py recipes/crc_small.yaml --seeds 0 1 2 --cells losses
    python benchmarks/cells.py recipes/crc_small.yaml --seeds 0 1 2 --cells fewshot
    python benchmarks/cells.py recipes/crc_small.yaml --cells twelve --table
"""

import argparse
import json
import statistics
import traceback
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from preceptor.knowledge.catalogue import losses
from preceptor.measures.uncertainty import bootstrap_sums
from preceptor.recipe import load_recipe

STRATEGIES = ("predictions", "features", "diverse")
FEW = {
    "baseline": ["technique.name=baseline"],
    "kd_offline-predictions": ["technique.name=kd_offline", "technique.strategy=predictions"],
    "kd_ml-diverse": ["technique.name=kd_ml", "technique.strategy=diverse"],
}
TWELVE = {"baseline": FEW["baseline"]} | {
    f"{name}-{strategy}": [f"technique.name={name}", f"technique.strategy={strategy}"]
    for name in ("ml", "kd_offline", "kd_online", "kd_ml")
    for strategy in STRATEGIES
}

PEERS = [
    "networks.student=null",
    "networks.students=[{architecture: test_resnet, weights: none}, {architecture: test_efficientnet, weights: none}]",
]
DML = [
    "technique.name=ml",
    "technique.strategy=predictions",
    "technique.alpha=1",
    "technique.gamma=1",
    "technique.temperature=1",
]
KTHF2 = {
    "independent": [*PEERS, "technique.name=baseline"],
    "ml": [*PEERS, *DML],
    "kthf2": [*PEERS, "technique.name=kthf2"],
    "kthf2-same_level": [*PEERS, "technique.name=kthf2", "technique.cross_level=false"],
}
"""Two peers of different families; mutual learning with the weights of its paper."""

PARTS = ["networks.count=1", "technique.name=multi_part", "technique.every=2"]
MULTI_PART = {
    "alone": ["networks.count=1", "technique.name=baseline"],
    "vanilla": [*PARTS, "technique.anchors=last"],
    "multi_part": [*PARTS, "technique.anchors=equal"],
    "multi_part-greedy": [*PARTS, "technique.anchors=greedy"],
}
"""One student; every run trains the teacher of its seed, the same one in all cells."""

TEACHERS = 3
STAGES = 9
"""Of grafting a student of five blocks, its blocks counted one after another."""


def few_shot_cells(folder: Path) -> dict[str, list[str]]:
    """One small student that sees K images of each class, under one or three teachers that saw all of them.

    Every cell of a K makes as many optimiser steps: a stage of grafting lasts 400 / K epochs, other training nine times
    as long. A batch has 20 images, and validation comes every 16 steps. Each seed draws other shots.
    """
    teachers = [str(folder / f"teacher-seed{number}") for number in range(TEACHERS)]
    one, every = f"technique.teacher={teachers[0]}", f"technique.teachers={json.dumps(teachers)}"
    kd = ["technique.name=kd_offline", "technique.strategy=predictions", "technique.temperature=4"]
    ways = {
        "alone": ["technique.name=baseline"],
        "kd": kd,
        "kd-no_labels": [*kd, "technique.alpha=0"],
        "graft": ["technique.name=graft", one],
        "graft-3": ["technique.name=graft", every],
    }
    student = ["networks.student={architecture: test_resnet, weights: none}", "networks.count=1"]
    cells = {}
    for shots in (5, 10, 20):
        for way, chosen in ways.items():
            epochs = 400 // shots * (1 if way.startswith("graft") else STAGES)
            few = [f"split.shots={shots}", f"training.epochs={epochs}", f"training.validate_every={80 // shots}"]
            cells[f"k{shots}-{way}"] = [*student, *chosen, *few, "training.batch_size=20"]
    return cells


PARTS_OF_TECHNIQUES = ("feature_mse", "exit_features", "grafting")
"""What KD+ML shares (with an adapter inside the teacher), what exits copy, and what grafting minimises."""


def loss_cells(task: str) -> dict[str, list[str]]:
    """One student under one teacher: every loss with its published setting, beside no teacher and KD+ML diverse.

    Losses that are parts of a technique with cells of its own are left out.
    """
    cells = {"alone": ["technique.name=baseline", "networks.count=1"], "kd_ml-diverse": FEW["kd_ml-diverse"]}
    for key, entry in losses().items():
        if task in entry.settings and key not in PARTS_OF_TECHNIQUES:
            chosen = json.dumps([{"loss": key}])
            cells[f"loss-{key}"] = ["technique.name=kd_offline", "networks.count=1", f"technique.losses={chosen}"]
    return cells


def run(path: Path, overrides: list[str], out: Path) -> str:
    """Train one cell unless it is finished; a failure is told and stops no other."""
    if (out / "result.json").exists():
        return f"{out.name}: was done"
    from preceptor.training.run import train_recipe

    out.parent.mkdir(parents=True, exist_ok=True)
    with out.with_suffix(".log").open("w") as log:
        try:
            recipe, _ = load_recipe(path, overrides)
            train_recipe(recipe, out, device="cpu", console=Console(file=log, width=160))
        except Exception:
            traceback.print_exc(file=log)
            return f"{out.name}: FAILED, see {log.name}"
    return f"{out.name}: done"


def interval(run: Path, network: str, metric: str) -> str:
    """95 % bootstrap interval over groups of one run's test score."""
    groups = pd.read_csv(run / "split.csv", dtype=str)
    groups["image"] = groups["id"].str.split("@").str[0]  # tiles bear their image's name
    group_of = groups.drop_duplicates("image").set_index("image")["group"]
    found = pd.read_csv(run / "predictions" / "test.csv", dtype={"id": str})
    found = found[found["network"] == network]
    if metric == "accuracy":
        right = found.filter(regex="^p_").to_numpy().argmax(axis=1) == found["label"]
        columns, ratio = np.stack([right, np.ones(len(found))], axis=1), lambda sums: sums[:, 0] / sums[:, 1]
    else:
        columns, ratio = found[["tp", "fp", "fn"]].to_numpy(float), lambda sums: sums[:, 0] / sums.sum(axis=1)
    answer = bootstrap_sums(columns, ratio, groups=group_of.loc[found["id"]].to_list())
    return f"{100 * answer.low:.1f}–{100 * answer.high:.1f}"


def table(folder: Path, metric: str) -> str:
    """Mean ± sample standard deviation over seeds, a row per cell, as Markdown.

    The last column is the interval of the first seed's mean ensemble, or of its only network.
    """
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted(folder.glob("*-seed*/result.json")):
        result = json.loads(file.read_text())
        cell = file.parent.name.rsplit("-seed", 1)[0]
        for network, scores in result["test"].items():
            found[cell][network].append(scores[metric])
    networks = ("T", "S1", "S2", "F", "ensemble", "ensemble_mean")
    lines = [f"| cell | runs | {' | '.join(networks)} | 95 % over groups |", f"|---|---|{'---|' * len(networks)}---|"]
    for cell, scores in found.items():
        runs = max(len(values) for values in scores.values())
        answers = " | ".join(_spread(scores.get(network, [])) for network in networks)
        first = sorted(folder.glob(f"{cell}-seed*/result.json"))[0].parent
        widest = "ensemble_mean" if "ensemble_mean" in scores else "S1" if "S1" in scores else "T"
        lines.append(f"| {cell} | {runs} | {answers} | {interval(first, widest, metric)} |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    if not values:
        return ""
    mean = f"{100 * statistics.mean(values):.1f}"
    return f"{mean} ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--cells", choices=("few", "twelve", "losses", "kthf2", "multi_part", "fewshot"), default="few")
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="for every run")
    parser.add_argument("--workers", type=int, default=2, help="runs side by side; use threads: 1 in the recipe")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", action="store_true", help="only print what is there")
    given = parser.parse_args()
    recipe, _ = load_recipe(given.recipe, given.overrides)
    folder = given.out or Path("runs") / f"{given.recipe.stem}-{given.cells}"
    # Offline cells of every strategy share one teacher, so it has the adapter that sharing features wants.
    adapter = f"technique.adapter={'never' if given.cells in ('losses', 'fewshot') else 'always'}"
    if not given.table:
        cells = {
            "few": FEW,
            "twelve": TWELVE,
            "losses": loss_cells(recipe.task),
            "kthf2": KTHF2,
            "multi_part": MULTI_PART,
            "fewshot": few_shot_cells(folder),
        }[given.cells]
        teachers = [folder / f"teacher-seed{n}" for n in range(TEACHERS if given.cells == "fewshot" else 1)]
        train_teacher = ["technique.name=baseline", "technique.network=teacher", adapter]
        jobs = []
        with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
            if any("technique.name=kd_offline" in chosen for chosen in cells.values()):
                for number, teacher in enumerate(teachers):
                    overrides = [*given.overrides, *train_teacher, f"seed={number}"]
                    print(pool.submit(run, given.recipe, overrides, teacher).result(), flush=True)
            for seed in given.seeds:
                for cell, chosen in cells.items():
                    overrides = [*given.overrides, *chosen, f"seed={seed}"]
                    if given.cells == "fewshot":
                        overrides.append(f"split.shots_seed={seed}")
                    if "technique.name=kd_offline" in chosen:
                        overrides += [f"technique.teacher={teachers[0]}", adapter]
                    jobs.append(pool.submit(run, given.recipe, overrides, folder / f"{cell}-seed{seed}"))
            for job in as_completed(jobs):
                print(job.result(), flush=True)
    print(table(folder, "accuracy" if recipe.task == "classification" else "iou"))


if __name__ == "__main__":
    main()
