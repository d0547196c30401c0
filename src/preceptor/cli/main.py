"""The command line: parse, call, print. Nothing heavy is imported before a command runs."""

import os
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from preceptor import __version__
from preceptor.cli import cache, data
from preceptor.cli import export as exporting
from preceptor.cli.complete import recipe_names, study_names
from preceptor.errors import ClosedOutputError, InterruptedRunError, UserError
from preceptor.quoting import plain
from preceptor.refusals import own_files_run, refusal
from preceptor.streams import drop_output, flush_output, is_output_closed, open_standard_streams, say

if TYPE_CHECKING:
    from preceptor.shipped import ShippedKind


class _Commands(TyperGroup):
    """Keeps from click two errors that it takes for answers at a prompt: it would end with a bare "Aborted!" or 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise RuntimeError(f"a file ends too early: {error}") from error
        except BrokenPipeError as error:
            if is_output_closed():
                raise ClosedOutputError from None
            raise RuntimeError(f"another process has ended: {error}") from error
        except Exception as error:
            if words := _recipe_key(error):
                raise UserError(words) from None
            raise


def _recipe_key(error: Exception) -> str | None:
    """What to say of an unknown option that is a key of recipes, to a command that changes one."""
    option, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    if option is None or context is None or not any(one.name == "overrides" for one in context.command.params):
        return None
    from preceptor.cli.changes import change_for

    key = change_for(option)
    if key is None:
        return None
    typed = next((word for word in sys.argv if word.split("=")[0] == option), option)
    after = sys.argv[sys.argv.index(typed) + 1 :] if typed in sys.argv else []
    value = typed.partition("=")[2] or (after[0] if after and not after[0].startswith("-") else "VALUE")
    return f"no such option: {option}. It is a key of the recipe: give --set {key}={value}"


app = typer.Typer(
    cls=_Commands,
    help="Train small biomedical image networks that learn from big ones and from each other.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data.app, name="data")
app.add_typer(cache.app, name="cache")
app.add_typer(exporting.app, name="bundle")

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change the recipe: a.b=value, or several after one another; also without --set."),
]
Recipe = Annotated[
    Path, typer.Argument(help="A recipe: a file, or the name of a shipped one.", autocompletion=recipe_names)
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Trust = Annotated[bool, typer.Option("--trust", help="Run Python files that the folder's recipe names.")]
Workers = Annotated[int | None, typer.Option(min=1, max=1024, help="Runs side by side; by default what fits.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        say(__version__)
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where the runs go.")] = Path("runs/demo"),
) -> None:
    """A minute or two, no download: teacher, baseline, KD, ML and KD+ML on phantom tissue."""
    from preceptor.cli.demo import run_demo

    run_demo(out)


@app.command()
def init(
    folder: Annotated[str, typer.Argument(help="A folder of images, a table or a .npz file.")],
    source: Annotated[
        str | None, typer.Option(help="Layout, for example folder or table; recognised by default.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Option of the layout, name=value. May be given several times.")
    ] = None,
    channels: Annotated[int, typer.Option(min=1, max=16, help="Channels that images are to have.")] = 3,
    out: Annotated[Path | None, typer.Option(help="The recipe; by default NAME.yaml, NAME being the folder's.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a recipe that is there.")] = False,
) -> None:
    """Write a first recipe for a folder of images, with the reasons as comments."""
    from preceptor.cli.init import init_recipe

    init_recipe(folder, source, data.parse_options(option or []), out, channels=channels, force=force)


@app.command(context_settings={"allow_extra_args": True})
def train(
    context: typer.Context,
    recipe: Recipe,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; by default below runs/.")] = None,
    device: Device = "auto",
    trust: Trust = False,
) -> None:
    """Train one run; the same command again resumes it."""
    from preceptor.cli.train import train_file

    train_file(_file(recipe, "recipes"), _changes(context, overrides), out, device, trust=trust)


def _changes(context: typer.Context, overrides: list[str] | None) -> list[str]:
    """All changes, those after the first one of --set and those without it too, with whole keys."""
    from preceptor.cli.changes import whole_changes

    changes, notes = whole_changes([*(overrides or []), *context.args])
    for note in notes:
        if os.environ.get("RANK", "0") == "0":
            say(f"note: {note}")
    return changes


def _file(given: Path, *kinds: "ShippedKind") -> Path:
    """The file of the user's, or the shipped one, that ``given`` names."""
    from preceptor.shipped import find_file

    return find_file(given, kinds)


@app.command(context_settings={"allow_extra_args": True})
def study(
    context: typer.Context,
    study: Annotated[
        Path, typer.Argument(help="A study: a file, or the name of a shipped one.", autocompletion=study_names)
    ],
    overrides: Overrides = None,
    scale: Annotated[str | None, typer.Option(help="Another size of the study, such as small.")] = None,
    out: Annotated[Path | None, typer.Option(help="Study folder; by default below runs/studies/.")] = None,
    workers: Workers = None,
    ray: Annotated[str | None, typer.Option(help="Address of a Ray cluster to run on, or auto.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Only the runs of this seed of the study; repeat it.")] = None,
    reuse: Annotated[
        list[Path] | None, typer.Option(help="A study folder whose finished runs are taken over; repeat it.")
    ] = None,
    device: Device = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the jobs.")] = False,
    trust: Trust = False,
) -> None:
    """Train many runs; the same command again does only what is missing."""
    from preceptor.cli.study import run_study

    finished = run_study(
        _file(study, "studies"),
        _changes(context, overrides),
        scale=scale,
        out=out,
        workers=workers,
        ray=ray,
        device=device,
        dry=dry_run,
        seeds=seed or [],
        reuse=reuse or [],
        trust=trust,
    )
    if not finished:
        raise typer.Exit(1)


@app.command(context_settings={"allow_extra_args": True})
def search(
    context: typer.Context,
    recipe: Recipe,
    over: Annotated[
        list[str] | None, typer.Option(help="A setting: key=a,b,c or key=low..high[:log]; repeat it.")
    ] = None,
    overrides: Overrides = None,
    sampler: Annotated[str, typer.Option(help="grid, random or tpe.")] = "tpe",
    trials: Annotated[int, typer.Option(min=1, max=100_000, help="How many in all; a grid has its own number.")] = 20,
    seed: Annotated[int, typer.Option(help="Of random and tpe.")] = 0,
    prune: Annotated[bool, typer.Option(help="Cut trials short that are worse than most.")] = True,
    out: Annotated[Path | None, typer.Option(help="Search folder; by default below runs/searches/.")] = None,
    workers: Workers = None,
    device: Device = "auto",
    trust: Trust = False,
) -> None:
    """Find the settings that are best on validation; the same command again goes on. Test images stay unseen."""
    from preceptor.cli.search import search_recipe

    search_recipe(
        _file(recipe, "recipes"),
        over or [],
        _changes(context, overrides),
        sampler=sampler,
        trials=trials,
        seed=seed,
        prune=prune,
        out=out,
        workers=workers,
        device=device,
        trust=trust,
    )


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    data: Annotated[str | None, typer.Option(help="Other data: a path for the source.")] = None,
    source: Annotated[str | None, typer.Option(help="How other data lie; by default as the recipe's.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="Of that source, name=value; repeat it.")] = None,
    device: Device = "auto",
    masks: Annotated[Path | None, typer.Option(help="Write every predicted mask as PNG below this folder.")] = None,
    names: Annotated[
        Path | None, typer.Option("--map", help="YAML: what classes of other data are called in the run.")
    ] = None,
    trust: Trust = False,
) -> None:
    """Evaluate a finished run again, on its own test split or on other data."""
    from preceptor.cli.evaluate import evaluate_run

    evaluate_run(run, data, device, masks, source=source, options=option or [], names=names, trust=trust)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="A run, RUN/networks/NAME, or a bundle: the new one.")],
    second: Annotated[Path, typer.Argument(help="Another, in whose place the first would come.")],
    data: Annotated[str, typer.Argument(help="Labelled images: a path for the source.")],
    source: Annotated[str, typer.Option(help="How they lie; `preceptor data sources` names all ways.")] = "folder",
    option: Annotated[list[str] | None, typer.Option(help="Of the source, name=value; repeat it.")] = None,
    names: Annotated[
        Path | None, typer.Option("--map", help="YAML: what the classes of the data are called by both.")
    ] = None,
    margin: Annotated[float, typer.Option(min=0, max=1, help="How much worse the first may be.")] = 0.02,
    device: Device = "auto",
) -> None:
    """Two models on the same labelled images: is the first at least as good as the second, but for a margin?"""
    from preceptor.cli.compare import compare_networks

    compare_networks(
        first, second, data, source=source, options=option or [], names=names, margin=margin, device=device
    )


@app.command()
def predict(
    source: Annotated[Path, typer.Argument(help="A finished run, RUN/networks/NAME, or a bundle.")],
    paths: Annotated[list[Path], typer.Argument(help="Folders, images, or a CSV with a column of images.")],
    out: Annotated[Path, typer.Option(help="Where predictions.csv and pictures go.")],
    overlay: Annotated[bool, typer.Option("--overlay", help="Draw masks over the images.")] = False,
    cam: Annotated[bool, typer.Option("--cam", help="Draw what speaks for the class; runs only.")] = False,
    dicom_seg: Annotated[
        bool, typer.Option("--dicom-seg", help="Write masks of DICOM images as DICOM SEG, too.")
    ] = False,
    tta: Annotated[bool, typer.Option("--tta", help="Average over mirrored and turned views.")] = False,
    calibrated: Annotated[
        bool, typer.Option("--calibrated", help="Probabilities at the bundle's temperature, not the network's own.")
    ] = False,
    device: Device = "auto",
    workers: Annotated[int, typer.Option(min=1, max=1024, help="Processes side by side.")] = 1,
    ray: Annotated[str | None, typer.Option(help="Address of a Ray cluster to run on, or auto.")] = None,
) -> None:
    """Answer on new images, labelled or not; the same command again goes on where it was stopped."""
    from preceptor.cli.predict import predict_images

    predict_images(
        source,
        paths,
        out,
        overlay=overlay,
        cam=cam,
        dicom_seg=dicom_seg,
        tta=tta,
        calibrated=calibrated,
        device=device,
        workers=workers,
        ray=ray,
    )


@app.command()
def embed(
    source: Annotated[str, typer.Argument(help="A finished run, RUN/networks/NAME, a recipe, or a network's name.")],
    paths: Annotated[list[Path], typer.Argument(help="Folders, images, or a CSV with a column of images.")],
    out: Annotated[Path, typer.Option(help="Where the shards and their index go.")],
    network: Annotated[str, typer.Option(help="Of a recipe: teacher, T1, S1, …")] = "teacher",
    what: Annotated[
        str, typer.Option(help="embedding, the token grid (grid), or it averaged (pooled) or in few dimensions (pca).")
    ] = "embedding",
    side: Annotated[int | None, typer.Option(min=1, help="Places each way of a pooled grid; 4 unless given.")] = None,
    dims: Annotated[int | None, typer.Option(min=1, help="Dimensions of pca; 64 unless given.")] = None,
    space: Annotated[
        str | None, typer.Option(help="Of a run: in the dimensions of its teacher, T or T/cosine, by the projector.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float16, or float32 as the network says it.")] = "float16",
    budget: Annotated[float, typer.Option(min=0, help="GB that may be written.")] = 20.0,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Images asked about at once; else training.batch_size, of a name 32.")
    ] = None,
    device: Device = "auto",
    workers: Annotated[int, typer.Option(min=1, max=1024, help="Processes side by side.")] = 1,
    ray: Annotated[str | None, typer.Option(help="Address of a Ray cluster to run on, or auto.")] = None,
) -> None:
    """Write what a network makes of images before it decides; the same command again goes on where it was stopped."""
    from preceptor.cli.embed import embed_folder
    from preceptor.deploy.wanted import Wanted

    how = {"what": what, "stored": dtype, "side": side, "dims": dims, "space": space}
    wanted = Wanted(source, network, device=device, batch=batch, **how)  # type: ignore[arg-type]  # checked by it
    embed_folder(wanted, paths, out, budget=budget, workers=workers, ray=ray)


@app.command()
def serve(
    bundle: Annotated[Path, typer.Argument(help="A folder that `preceptor export` made.")],
    host: Annotated[str, typer.Option(help="The address to listen at; this machine alone by default.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    most_mb: Annotated[float, typer.Option(min=0.001, max=1000, help="Megabytes an image may have.")] = 20.0,
    rate: Annotated[int, typer.Option(min=0, help="Images a minute from one address; 0 for any number.")] = 60,
    timeout: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds in which an image must arrive.")] = 30.0,
) -> None:
    """Answer on images that a browser or a script sends; nothing that is sent touches the disk."""
    from preceptor.cli.serve import serve_bundle

    serve_bundle(bundle, host, port, most_mb=most_mb, rate=rate, timeout=timeout)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A finished run, or RUN/networks/NAME.")],
    out: Annotated[Path, typer.Option(help="The bundle: a new folder.")],
    int8: Annotated[str, typer.Option(help="Whole numbers: auto, off, or force where they are as good.")] = "auto",
    formats: Annotated[str, typer.Option(help="Of onnx,torchscript,wsinfer,openvino.")] = "onnx",
    golden: Annotated[
        list[Path] | None, typer.Option(help="A real image whose pixels may leave; repeat it. Else images are made up.")
    ] = None,
    anonymous: Annotated[bool, typer.Option("--anonymous", help="No names of files, patients or the run.")] = False,
    mpp: Annotated[
        float | None,
        typer.Option(min=0.01, max=1000, help="Microns per pixel of the images, if their files do not say it."),
    ] = None,
    sensitivity: Annotated[
        float | None, typer.Option(min=0.01, max=1, help="Of thresholds; else that of the largest Youden index.")
    ] = None,
    abstain: Annotated[
        float | None, typer.Option(min=0.001, max=0.5, help="Leave out so much that at most this share is wrong.")
    ] = None,
    margin: Annotated[
        float, typer.Option(min=0, max=1, help="How much worse than its teacher the card calls not worse.")
    ] = 0.02,
    data: Annotated[str | None, typer.Option(help="Where the run's images lie now, if they have moved.")] = None,
) -> None:
    """Make a bundle of a student that runs without preceptor and without PyTorch."""
    exporting.export_run(
        run,
        out,
        int8=int8,
        formats=formats,
        golden=golden or [],
        anonymous=anonymous,
        mpp=mpp,
        sensitivity=sensitivity,
        abstain=abstain,
        margin=margin,
        data=data,
    )


@app.command()
def analyse(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    part: Annotated[str, typer.Option(help="test or validation.")] = "test",
    pairs: Annotated[list[str] | None, typer.Option("--pair", help="Two networks to compare, as T:S1.")] = None,
    images: Annotated[int, typer.Option(min=1, max=1000, help="Images in a gallery.")] = 6,
    device: Device = "auto",
    trust: Trust = False,
) -> None:
    """CKA, latency, and the images that are hardest or in dispute, as figures in RUN/analysis."""
    from preceptor.cli.analyse import analyse_run

    analyse_run(run, part, pairs or [], images, device, trust=trust)


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(help="A run, a study, or any folder with runs below; or several.")],
    out: Annotated[Path | None, typer.Option(help="Where report.html goes; by default into the folder.")] = None,
    margin: Annotated[float, typer.Option(min=0, max=1, help="How much worse than its teacher is not worse.")] = 0.02,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compute the tables of a written report anew, from predictions/ alone.")
    ] = False,
    trust: Trust = False,
) -> None:
    """Write report.html, one page that needs no network, and its tables as .csv, .md and .tex."""
    from preceptor.cli.report import report_folders

    report_folders(folders, out, margin=margin, trust=trust, verify=verify)


@app.command(context_settings={"allow_extra_args": True})
def bench(
    context: typer.Context,
    recipe: Recipe,
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option(min=2, max=100_000, help="Steps to time of each kind.")] = 8,
    device: Device = "auto",
    trust: Trust = False,
) -> None:
    """How fast a recipe trains here, where the time goes, and what to change first. Trains nothing, writes no run."""
    from preceptor.cli.bench import bench_recipe

    bench_recipe(_file(recipe, "recipes"), _changes(context, overrides), steps, device, trust=trust)


@app.command(context_settings={"allow_extra_args": True})
def plan(
    context: typer.Context,
    recipe: Annotated[
        Path,
        typer.Argument(help="A recipe or a study: a file, or the name of a shipped one.", autocompletion=recipe_names),
    ],
    overrides: Overrides = None,
    svg: Annotated[Path | None, typer.Option(help="Draw the graph of the last stage into this file.")] = None,
    scale: Annotated[str | None, typer.Option(help="Another size of a study, such as small.")] = None,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Hours, memory and disk of a study, from 20 steps of each kind of run."),
    ] = False,
    workers: Workers = None,
    device: Device = "auto",
    trust: Trust = False,
) -> None:
    """What a recipe or study will do: stages, losses as formulas, what is shared, which weights it wants."""
    kinds: tuple[ShippedKind, ...] = ("studies", "recipes") if measure or scale else ("recipes", "studies")
    recipe, changes = _file(recipe, *kinds), _changes(context, overrides)
    if measure:
        from preceptor.cli.expect import show_expected

        show_expected(recipe, changes, scale, workers=workers, device=device, trust=trust)
        return
    from preceptor.cli.plan import show_plan

    show_plan(recipe, changes, svg, scale, trust=trust)


@app.command()
def recipe_schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="As the page docs/recipe.md.")] = False,
) -> None:
    """Every key of a recipe, as the JSON Schema by which editors complete and check recipes."""
    from json import dumps

    from preceptor.reference import recipe_page
    from preceptor.reference import recipe_schema as schema

    say(recipe_page() if markdown else dumps(schema(), ensure_ascii=False, indent=2), nl=not markdown)


@app.command()
def recipes(
    deviations: Annotated[
        bool, typer.Option("--deviations", help="Papers beside studies: docs/deviations.md.")
    ] = False,
) -> None:
    """The recipes and studies that come with preceptor, with a line on each."""
    from preceptor.cli.recipes import deviations_page, print_shipped

    if deviations:
        say(deviations_page(), nl=False)
    else:
        print_shipped()


@app.command()
def methods(
    markdown: Annotated[bool, typer.Option("--markdown", help="As the page docs/methods.md.")] = False,
) -> None:
    """Every technique and knowledge loss, with its source, tasks and options."""
    from preceptor.cli.methods import methods_page, print_methods

    if markdown:
        say(methods_page(), nl=False)
    else:
        print_methods()


@app.command()
def teachers() -> None:
    """Foundation models that a recipe can name as teachers: what file to fetch, licence, access, sizes."""
    from preceptor.cli.teachers import print_teachers

    print_teachers()


def main() -> None:
    """Entry point. Exit code 2 for the user's mistakes and what the machine refuses, 1 for ours, 130 when stopped, 141
    when nobody reads the output any more; no traceback without --debug."""
    open_standard_streams()
    try:
        code = _answer(debug="--debug" in sys.argv)
        flush_output()
    except ClosedOutputError as closed:
        code = _closed(str(closed))
    if code:
        sys.exit(code)


def _answer(*, debug: bool) -> int:
    try:
        app()
    except InterruptedRunError as stop:
        if is_output_closed():  # which asked training to stop
            return _closed(str(stop))
        _complain(f"\n{stop}")
        return 130
    except UserError as error:
        if debug:
            traceback.print_exc()
        _complain(f"error: {error}")
        return 2
    except ClosedOutputError:
        raise
    except SystemExit as end:
        if end.code == 1 and is_output_closed():  # click's own end, where help is not read to its last line
            raise ClosedOutputError from None
        if words := refusal(end):  # a user's own file that ends the command
            _complain(f"error: {words}")
            return 2
        raise
    except Exception as error:
        if debug:
            raise
        if words := refusal(error):
            _complain(f"error: {words}")
            return 2
        _complain(f"error: {type(error).__name__}: {error}")
        if own := own_files_run():
            _complain(f"Your own {', '.join(own)} took part, and may be why; `preceptor --debug …` shows where.")
        else:
            _complain("This is likely a defect of preceptor; `preceptor --debug …` shows where.")
        return 1
    return 0


def _closed(words: str) -> int:
    """The end that other tools make where ``| head`` has read enough, with a word where work was stopped by it."""
    drop_output()
    if words:
        _complain(words)
    return 128 + signal.SIGPIPE


def _complain(text: str) -> None:
    """To the error output, if anybody reads that."""
    with suppress(OSError, ValueError):
        print(plain(text), file=sys.stderr)
