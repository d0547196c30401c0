"""Imports go one way, and nothing that must answer quickly waits for torch or matplotlib."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "preceptor"
GROUND = {
    "calls",
    "catalogue",
    "errors",
    "explain",
    "extras",
    "files",
    "groupings",
    "hub",
    "inside",
    "kinds",
    "lazy_names",
    "notes",
    "opening",
    "own_code",
    "places",
    "plotting",
    "protocols",
    "quoting",
    "randomness",
    "recipe_rules",
    "refusals",
    "screen",
    "sealed",
    "shipped",
    "signatures",
    "stopping",
    "knowledge.setting",
    "knowledge.catalogue",
    "specs",
    "streams",
    "study_index",
    "written_tables",
    "yaml_text",
}
"""What every room stands on."""

ROOMS = {
    "runs": {"measures.segmentation", "measures.surface"},
    "plan": {"runs"},
    "techniques": {"plan"},
    "data": {"recipe", "networks.build", "networks.normalisation", "measures.drift"},
    "drafting": {"measures.table", "data"},
    "reference": {"recipe", "data", "techniques"},
    "networks": set(),
    "knowledge": {"networks.outputs"},
    "measures": set(),
    "embeddings": set(),
    "composed": {"networks", "knowledge"},
    "machine": {"networks"},
    "cohort": {"plan", "composed", "machine", "networks", "knowledge", "data.batches"},
    "teacher_cache": {"recipe", "plan", "cohort", "composed", "machine", "data", "networks", "embeddings"},
    "training": {
        "recipe",
        "own_files",
        "machine",
        "embeddings",
        "teacher_cache",
        "plan",
        "techniques",
        "cohort",
        "composed",
        "data",
        "networks",
        "knowledge",
        "measures",
        "runs",
        "__version__",
    },
    "bench": {
        "recipe",
        "plan",
        "techniques",
        "training",
        "teacher_cache",
        "machine",
        "cohort",
        "composed",
        "data",
        "networks",
    },
    "analysis": {
        "machine",
        "recipe",
        "own_files",
        "opened_run",
        "plan",
        "training",
        "cohort",
        "composed",
        "data",
        "networks",
        "measures",
        "runs",
    },
    "deploy": {
        "embeddings",
        "machine",
        "recipe",
        "opened_run",
        "analysis.cam",
        "teacher_cache.facts",
        "teacher_cache.folder",
        "teacher_cache.compress",
        "teacher_cache.reader",
        "cohort.frozen",
        "cohort.instantiate",
        "plan",
        "training",
        "study",
        "composed",
        "data",
        "networks",
        "measures",
        "runs",
        "__version__",
    },
    "serve": {"deploy", "data", "measures", "__version__"},
    "study": {"machine", "recipe", "own_files", "plan", "techniques", "training", "networks", "data", "runs"},
    "report": {"recipe", "plan", "techniques", "measures", "runs", "__version__"},
    "verify": {"runs.files"},
    "face": {
        "recipe",
        "opened_run",
        "plan",
        "training.run",
        "training.optim",
        "cohort",
        "deploy",
        "report.reading.intervals",
        "data",
        "networks",
        "knowledge",
        "measures",
        "runs",
    },
    "cli": {
        "embeddings",
        "drafting",
        "reference",
        "bench",
        "machine",
        "teacher_cache",
        "analysis",
        "deploy",
        "report",
        "serve",
        "study",
        "verify",
        "training",
        "recipe",
        "own_files",
        "opened_run",
        "plan",
        "techniques",
        "cohort",
        "data",
        "networks",
        "knowledge",
        "measures",
        "runs",
        "__version__",
    },
}
"""Room -> what it may import besides the ground and itself."""

LOADS = {("knowledge.catalogue", "knowledge.base")}
"""The catalogue imports a loss when it is asked for one."""

QUICK = [
    "networks.presets",
    "cli.main",
    "cli.analyse",
    "cli.bench",
    "cli.cache",
    "cli.data",
    "cli.demo",
    "cli.embed",
    "cli.evaluate",
    "cli.init",
    "cli.methods",
    "cli.plan",
    "cli.export",
    "cli.predict",
    "cli.recipes",
    "cli.report",
    "cli.search",
    "cli.serve",
    "cli.study",
    "cli.teachers",
    "cli.train",
    "recipe",
    "opened_run",
    "places",
    "specs",
    "plan.draw",
    "plan.merge",
    "plan.ready",
    "plan.show",
    "techniques",
    "knowledge.catalogue",
    "teacher_cache.folder",
    "data.sources",
    "data.splits",
    "data.inspect",
    "drafting",
    "reference",
    "deploy.bundle",
    "deploy.embed",
    "deploy.predict",
    "embeddings",
    "measures",
    "runs.analysis",
    "runs.begun",
    "runs.folder",
    "runs.place",
    "runs.predictions",
    "runs.tables",
    "report",
    "serve.server",
    "verify.check",
]


@cache
def trees():
    """(path, syntax tree) of every file of the package, each read once in a process."""
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(SOURCE.rglob("*.py"))]


@cache
def statements():
    """(importing module, imported one) of every import statement inside the package."""
    found = []
    for path, tree in trees():
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found += [(module, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module}: a relative import"
                # `from preceptor.data import splits` may name a module; where it names a function the room is the same
                found += [(module, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def imports():
    """:func:`statements` that import from the package itself, names without ``preceptor.``."""
    return [(module, name.removeprefix("preceptor.")) for module, name in statements() if name.startswith("preceptor.")]


def within(name, allowed):
    return any(name == one or name.startswith(f"{one}.") for one in allowed)


def test_every_room_is_known():
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    assert rooms <= set(ROOMS), "say in ROOMS what the new room may import"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_lies_below_it(room):
    allowed = {room, *ROOMS[room], *GROUND}
    found = [(module, name) for module, name in imports() if module.split(".")[0] == room]
    assert found
    assert [f"{module} imports {name}" for module, name in found if not within(name, allowed)] == []


def test_timm_and_smp_are_imported_by_one_module_which_keeps_the_compiler_and_wandb_out():
    libraries = {"timm", "segmentation_models_pytorch"}
    assert {module for module, name in statements() if name.partition(".")[0] in libraries} == {"networks.libraries"}


def test_the_ground_stands_on_itself():
    found = [(module, name) for module, name in imports() if module in GROUND]
    loads = {(module, base) for module, base in LOADS for one, name in found if one == module and within(name, {base})}
    assert loads == LOADS
    wrong = [(module, name) for module, name in found if not within(name, GROUND | {base for _, base in LOADS})]
    assert wrong == []


@pytest.mark.parametrize(("module", "more"), [("recipe", set()), ("own_files", {"recipe", "runs"})])
def test_a_recipe_stands_on_plans_and_techniques(module, more):
    found = [name for one, name in imports() if one == module]
    assert [name for name in found if not within(name, {*GROUND, "plan", "techniques", "measures", *more})] == []


def test_a_finished_run_is_opened_without_the_training_loop():
    """By one module, which stands on the training's rooms and enters neither its run nor its loop."""
    found = {name for one, name in imports() if one in ("opened_run", "training.build", "training.last_stage")}
    assert not [name for name in found if within(name, {"training.run", "training.fit", "training.finish"})]


def circle(edges):
    """Modules of which each imports the next and the last the first; None where there are none."""
    graph = {}
    for module, imported in edges:
        graph.setdefault(module, set()).add(imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def test_a_circle_is_found():
    assert set(circle([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")])) == {"a", "b", "c"}
    assert circle([("a", "b"), ("b", "c"), ("a", "c")]) is None


def test_no_modules_import_one_another_in_a_circle():
    """Import statements inside functions and below TYPE_CHECKING count too."""
    modules = {".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SOURCE.rglob("*.py")}
    modules = {module.removesuffix(".__init__") for module in modules}
    targets = [(module, name if name in modules else name.rpartition(".")[0]) for module, name in imports()]
    assert circle((module, target) for module, target in targets if target in modules and target != module) is None


def test_the_scripts_of_benchmarks_import_one_another_in_no_circle():
    folder = SOURCE.parents[1] / "benchmarks"
    edges = [
        (path.stem, node.module)
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (folder / f"{node.module}.py").exists()
    ]
    assert edges
    assert circle(edges) is None


def test_nothing_imports_the_command_line():
    assert {module.split(".")[0] for module, name in imports() if within(name, {"cli"})} == {"cli", "__main__"}


def test_what_must_answer_quickly_imports_neither_torch_nor_matplotlib():
    """All at once, in one fresh interpreter: the first module that brings one of them is named."""
    code = (
        "import importlib, sys\n"
        "heavy = ('torch', 'timm', 'lightning_fabric', 'segmentation_models_pytorch', 'torchvision', 'matplotlib')\n"
        f"for name in {QUICK}:\n"
        "    importlib.import_module(f'preceptor.{name}')\n"
        "    print(*(f'{name} imports {one}' for one in heavy if one in sys.modules), sep='\\n', end='')\n"
        "    if any(one in sys.modules for one in heavy): break\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == ""


def test_what_verifies_a_report_shares_nothing_with_it():
    """Not by way of another module either: its scores, intervals and tests are its own."""
    code = (
        "import sys, preceptor.cli.verify\n"
        "print(*sorted(name for name in sys.modules if name.startswith(('preceptor.measures', 'preceptor.report'))))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


LONG = {
    "cli.main": "every command with its options, which typer reads from one signature each; the work is done elsewhere",
    "specs": "every section of a recipe that is not a technique's, checked as one",
}
"""Files over 350 lines, and why; five at the most, together with classes and constructors of :data:`WIDE`."""

WIDE: dict[str, str] = {}
"""Classes over 200 lines and constructors over 8 arguments, and why."""


def test_files_classes_and_constructors_are_of_a_size_that_is_read_at_once():
    found = set()
    for path, tree in trees():
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        if len(path.read_text(encoding="utf-8").splitlines()) > 350:
            found.add(module)
        for node in ast.walk(tree):
            if not isinstance(node, ast.ClassDef):
                continue
            own = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
            arguments = [len([*one.args.posonlyargs, *one.args.args, *one.args.kwonlyargs]) - 1 for one in own]
            if node.end_lineno - node.lineno >= 200 or any(count > 8 for count in arguments):
                found.add(f"{module}.{node.name}")
    assert found == {*LONG, *WIDE}, "make it smaller, or say why not; take what is small again off the list"
    assert len(LONG) + len(WIDE) <= 5


MANY = {
    **dict.fromkeys(
        ("cli.main.embed", "cli.main.export", "cli.main.plan", "cli.main.predict", "cli.main.search", "cli.main.study"),
        "options of a command, which typer reads from one signature",
    ),
    **dict.fromkeys(
        ("cli.export.export_run", "cli.predict.predict_images", "cli.search.search_recipe", "cli.study.run_study"),
        "what a command was given, by name",
    ),
    **dict.fromkeys(
        (f"data.sources.{name}.{name}" for name in ("folder", "images", "phantom", "table")),
        "options of a source in recipes, which are read from its signature",
    ),
    **dict.fromkeys(
        ("face.fit.fit", "deploy.predict.predict", "data.splits.split", "data.store.pack"),
        "a few things and many options by name, each with a default, as callers know them",
    ),
    "measures.significance.difference_in_words": "facts of one sentence, by name",
    "networks.presets._row": "a row of a table of facts, by name",
    "training.evaluate.evaluate": "networks and data by place, the rest by name",
    "training.fit.train_stage": "the one loop: all that a stage needs, each made elsewhere",
}
"""Functions of more than 8 arguments, and why."""


def functions():
    """(dotted name, node) of every function and method inside the package."""
    for path, tree in trees():
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                yield f"{module}.{node.name}", node


def test_functions_take_few_arguments_and_are_short():
    every = list(functions())
    counts = {
        name: len(
            [one for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs) if one.arg != "self"]
        )
        for name, node in every
    }
    assert {name for name, count in counts.items() if count > 8} == set(MANY), "make it plainer, or say why not"
    lengths = [node.end_lineno - node.lineno + 1 for _, node in every]
    assert sum(lengths) / len(lengths) < 10.15, (
        "functions were of 10.16 lines on average, with docstring, and shall stay so"
    )


def test_nobody_asks_a_technique_by_its_name_or_for_what_it_may_have():
    """The plan is asked, or a property that every technique has."""
    found = []
    for path, tree in trees():
        for node in ast.walk(tree):
            where = f"{path.relative_to(SOURCE)}:{getattr(node, 'lineno', 0)}"
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("getattr", "hasattr")
            ):
                found += [where] if "technique" in ast.unparse(node.args[0]) else []
            if not isinstance(node, ast.Compare) or getattr(node.left, "attr", None) != "name":
                continue
            if ast.unparse(node.left).endswith("technique.name"):
                found.append(where)
    assert found == []


OF_A_RUN = {"result.json", "metrics.csv", "split.csv", "pixels.npz", "events.jsonl"}


def test_files_of_a_run_are_named_in_one_room():
    found = [
        f"{path.relative_to(SOURCE)}: {node.value}"
        for path, tree in trees()
        if path.parent.name != "runs"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in OF_A_RUN
    ]
    assert found == []
