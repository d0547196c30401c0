"""``preceptor export``: a network of a run as a bundle that runs alone. Whole or not there at all."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from preceptor import __version__
from preceptor.data.names import check_names
from preceptor.data.prepare import Prepared
from preceptor.data.repair import on_sound_pixels
from preceptor.deploy.bundle import CARD, INT8, MODEL, NETWORKS, SCRIPTS, Bundle, is_bundle, read_bundle, write_bundle
from preceptor.deploy.contract import Contract
from preceptor.deploy.draw import colours
from preceptor.deploy.fitted import points_facts, require_classes
from preceptor.deploy.formats import require_formats, write_formats
from preceptor.deploy.golden import write_golden
from preceptor.deploy.points import Points
from preceptor.deploy.predictor import Predictor
from preceptor.deploy.student import Student, find_student, open_student
from preceptor.errors import UserError
from preceptor.extras import install_command
from preceptor.files import sync_folder
from preceptor.measures.not_worse import MARGIN
from preceptor.notes import Note
from preceptor.places import place_free
from preceptor.runs.begun import known_fingerprint
from preceptor.runs.place import is_alive
from preceptor.sealed import file_sha256

Int8Choice = Literal["auto", "off", "force"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a bundle is to be like.

    Args:
        int8: ``auto`` keeps the model in whole numbers where it is as good and measurably quicker; ``force`` where it
            is as good; ``off`` never.
        formats: besides ONNX.
        golden: real images that may leave; only their pixels do.
        anonymous: names of images are replaced by hashes, and the run's name is left out.
        mpp: microns per pixel of the training images, where their files do not say it.
        sensitivity: that thresholds are to have; without, they are those of the largest Youden index.
        abstain: share of the answers that may be wrong; without, none is left out.
        margin: how much worse than its teacher a student may be to be called not worse, as a share.
    """

    int8: Int8Choice = "auto"
    formats: tuple[str, ...] = ("onnx",)
    golden: tuple[Path, ...] = ()
    anonymous: bool = False
    mpp: float | None = None
    sensitivity: float | None = None
    abstain: float | None = None
    margin: float = MARGIN

    @property
    def facts(self) -> dict[str, Any]:
        """For ``bundle.json``: no paths; golden images by their content."""
        golden = [file_sha256(path) for path in self.golden]
        return {**asdict(self), "formats": list(self.formats), "golden": golden}


def export(
    path: Path, out: Path, options: Options, *, data: str | None = None, note: Note = lambda note: None
) -> Bundle:
    """Make the bundle ``out`` of a run, or of ``RUN/networks/NAME``; one that is there already is left alone.

    Args:
        data: where the run's images lie now, if not where its recipe says.
        note: called with what the user should know, one sentence each.

    Raises:
        UserError: no such network, no data, ``out`` holds other things, or the model says other than the network.
    """
    if any(find_spec(name) is None for name in ("onnx", "onnxruntime")):
        find_student(path)  # whoever has named no run should hear of that first
        raise UserError(f"exporting wants onnx and onnxruntime, which are not installed: {install_command('export')}")
    student = open_student(path, data=data, note=note)
    require_formats(options.formats, student.contract, options.mpp)
    require_classes(student.contract, options.sensitivity, options.abstain)
    check_names("names of classes", student.contract.classes)
    made_of = {
        "preceptor": __version__,
        "result": file_sha256(student.run.files.result),
        "network": student.name,
        "options": options.facts,
    }
    if (there := _there(out, made_of)) is not None:
        note(f"{out} is there already, as this command makes it")
        return there

    def make() -> None:
        with _new(out) as folder:
            _fill(folder, student, student.run.data(), options, made_of, note)

    on_sound_pixels(make)
    return read_bundle(out)


def _fill(
    folder: Path, student: Student, prepared: Prepared, options: Options, made_of: dict[str, Any], note: Note
) -> None:
    from preceptor.deploy.engines import OnnxEngine, TorchEngine
    from preceptor.deploy.familiar import with_distance, without_embedding
    from preceptor.deploy.held_out import parity_sample
    from preceptor.deploy.int8 import int8_model
    from preceptor.deploy.onnx_graph import graph_of
    from preceptor.deploy.parity import parity_of
    from preceptor.deploy.training_looks import training_looks

    graph = graph_of(deepcopy(student.network))
    sample = parity_sample(prepared)
    if sample.note:
        note(sample.note)
    exported = OnnxEngine(graph.content, graph.size, spins=False)
    parity = parity_of(exported, TorchEngine(student.network, "cpu"), sample)
    parity.require(MODEL)
    _copy(student.folder, folder / NETWORKS / student.name)
    for script in SCRIPTS:
        shutil.copyfile(Path(__file__).parent / "alone" / script, folder / script)
    small = int8_model(graph, student.contract, prepared, options.int8)
    served, answering = (MODEL, graph.content) if small.content is None else (INT8, small.content)
    seeing = exported if small.content is None else OnnxEngine(answering, graph.size, spins=False)
    known = training_looks(prepared, seeing, mpp=options.mpp)
    (folder / MODEL).write_bytes(without_embedding(graph.content))
    (folder / served).write_bytes(
        without_embedding(answering) if known.familiar is None else with_distance(answering, known.familiar)
    )
    write_formats(folder, options.formats, student.network, student.contract, options.mpp)
    engine = OnnxEngine(str(folder / served), graph.size, spins=False)
    points = points_facts(engine, student.contract, prepared, options.sensitivity, options.abstain)
    note(points["fitted"]["note"])
    facts = {
        **_contract_facts(student.contract, graph.size, graph.dynamic, known.microns),
        "serves": {"file": served, "why": small.why},
        **points,
        "outside": known.facts,
        "parity": parity.to_json(),
        "int8": small.to_json(),
        "timing": small.timing,
        "run": _run_facts(student, anonymous=options.anonymous),
        "data": {"fingerprint": known_fingerprint(student.run.files.folder), "source": student.run.recipe.data.source},
        "made_of": made_of,
    }
    note(f"{served} answers: {small.why}")
    from preceptor.deploy.card import card_of

    (folder / CARD).write_text(card_of(student, facts), encoding="utf-8")
    predictor = Predictor(student.contract, engine, identity="", points=Points.from_json(points), ranges=known.ranges)
    write_golden(folder, predictor, options.golden, anonymous=options.anonymous)
    write_bundle(folder, facts)


def _copy(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file():
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / path.relative_to(source))


def _contract_facts(contract: Contract, size: tuple[int, int], dynamic: list[str], mpp: float | None) -> dict[str, Any]:
    reading = contract.reading
    palette = colours(len(contract.classes), has_background=contract.has_masks)
    classes: list[dict[str, Any]] = [
        {"name": name, "colour": list(colour)} for name, colour in zip(contract.classes, palette, strict=True)
    ]
    channels = 1 if contract.has_masks and len(contract.classes) == 2 else len(contract.classes)
    output: dict[str, Any] = {"name": "logits", "channels": channels, "activation": "softmax over the classes"}
    if contract.has_masks:
        for value, one in enumerate(classes):
            one["grey"] = value * contract.grey_step
        output["size"] = list(contract.image_size)
        output["mask"] = "logit > 0" if channels == 1 else "the class of the largest logit"
        if channels == 1:
            output["activation"] = "sigmoid"
    return {
        "task": contract.task,
        "classes": classes,
        "images": contract.to_json(),
        "input": {
            "name": "images",
            "channels": {1: "grey", 3: "RGB"}.get(reading.channels, f"{reading.channels} in the order of the file"),
            "layout": "NCHW",
            "type": "float32",
            "range": [0.0, 1.0],
            "depth": f"{reading.depth} bits a channel, divided by {contract.top}",
            "size": list(size),
            "resize_to_size": "bilinear, antialiased, of the floats" if tuple(size) != contract.image_size else None,
            "dynamic": dynamic,
            "normalisation": "inside the model",
            "microns_per_pixel": mpp,
        },
        "output": output,
    }


def _run_facts(student: Student, *, anonymous: bool) -> dict[str, Any]:
    recipe = student.run.recipe
    spec = student.network.blueprint.spec
    return {
        "name": "" if anonymous else recipe.name,
        "network": student.name,
        "architecture": place_free(spec.architecture),
        "encoder": spec.encoder,
        "mean": list(student.network.blueprint.mean),
        "std": list(student.network.blueprint.std),
        "technique": place_free(recipe.technique.name),
        "seed": recipe.seed,
        "recipe_sha256": file_sha256(student.run.files.recipe),
    }


def _there(out: Path, made_of: dict[str, Any]) -> Bundle | None:
    """The bundle in ``out`` where this very command made it; None where there is nothing.

    Raises:
        UserError: there is something else.
    """
    if is_bundle(out):
        found = read_bundle(out)
        if found.facts.get("made_of") == made_of:
            return found
        raise UserError(f"{out} holds another bundle; give another folder with --out, or delete it")
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f"{out} holds other things and no bundle; give a new or empty folder with --out")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; give a new or empty folder with --out")
    return None


@contextmanager
def _new(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` that becomes it when the block ends; what killed processes left beside goes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    leftover = re.compile(rf"\.{re.escape(out.name)}\.(\d+)\.part")
    for path in out.parent.glob(".*.part"):
        found = leftover.fullmatch(path.name)
        if found and not is_alive(int(found[1])):
            shutil.rmtree(path, ignore_errors=True)
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir()
        yield part
        for path in part.rglob("*"):
            _sync(path)
        if out.is_dir():
            out.rmdir()  # an empty one
        part.rename(out)
        sync_folder(out.parent)
    except OSError as error:
        _blame(out, part, error)
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _blame(out: Path, part: Path, error: OSError) -> None:
    """Let a failed write name ``out``: the system names no file, or one of the folder that goes."""
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    if error.errno and (not names or any(name.startswith(str(part)) for name in names)):
        error.filename, error.filename2 = str(out), None


def _sync(path: Path) -> None:
    if path.is_dir():
        sync_folder(path)
        return
    with path.open("rb") as file:
        os.fsync(file.fileno())
